//! The console in S3: its template deploys, and `make deploy` fills the bucket.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use local::emulator::ministack;
use local::python::Environment;
use local::settings::Settings;
use serde_json::Value;

use crate::document::repository;

/// Deploys the template, and returns the files in its bucket and its security policy.
fn deployed() -> Value {
    let (settings, _folder) = Settings::ephemeral(&repository()).unwrap();
    let emulator = Environment::ensure(&settings, "ministack").unwrap();
    let _running = ministack::start(&settings, &emulator).unwrap();
    let python = Environment::ensure(&settings, "sam").unwrap();
    let output = Command::new(python.program("python"))
        // Without `-B` it would write a folder of compiled files beside the scripts.
        .arg("-B")
        .arg(repository().join("tests/template/console.py"))
        .arg("dev")
        .envs([
            ("AWS_ENDPOINT_URL", settings.endpoint().as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Names of the files of the console, as objects in the bucket.
fn built() -> BTreeSet<String> {
    let folders = [
        ("console/dist", "console"),
        ("console/dist/assets", "console/assets"),
    ];
    let files = folders.iter().flat_map(|(folder, prefix)| {
        let entries = fs::read_dir(repository().join(folder)).unwrap();
        entries
            .map(Result::unwrap)
            .filter(|entry| entry.path().is_file())
            .map(move |entry| format!("{prefix}/{}", entry.file_name().display()))
    });
    files.collect()
}

#[test]
fn each_file_of_the_console_is_uploaded_with_its_type_and_time_to_live() {
    let deployed = deployed();
    let files = deployed["files"].as_object().unwrap();
    let uploaded: BTreeSet<String> = files.keys().cloned().collect();
    assert_eq!(uploaded, built());
    for (name, file) in files {
        let expected = if name.starts_with("console/assets/") {
            "public, max-age=31536000, immutable"
        } else {
            "public, no-cache"
        };
        assert_eq!(file["cache"], expected, "{name}");
        assert!(file["bytes"].as_u64().unwrap() > 0, "{name}");
    }
    let page = &files["console/index.html"];
    assert_eq!(page["type"], "text/html; charset=utf-8");
    let policy = deployed["policy"].as_str().unwrap();
    let connect = "connect-src 'self' https://auth.example.com https://api.example.com \
                   https://tokens.example.com;";
    assert!(policy.contains(connect), "{policy}");
}
