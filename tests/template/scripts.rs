//! What `make deploy` refuses before anything is sent, by `local/scripts`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use local::python::Environment;
use local::settings::Settings;
use rand::RngCore;
use rstest::rstest;

use crate::document::repository;

const PARAMETERS: &str =
    "Architecture: arm64\nCertificateArn: arn:c\nAuthIssuer: https://i\nAuthAudience: a\n";
const KEYS: &str = "AuthJwks: '{\"keys\":[]}'\n";

/// Creates the parameters of `sam deploy` from those that an operator wrote.
fn check_parameters(written: &str) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (
        folder.path().join("dev.yaml"),
        folder.path().join("parameters.yaml"),
    );
    fs::write(&source, written).unwrap();
    let python = Environment::ensure(&Settings::lasting(&repository()), "sam")
        .unwrap()
        .program("python");
    let script = repository().join("local/scripts/parameters.py");
    let output = Command::new(python)
        .arg(script)
        .args([&source, &target])
        .output()
        .unwrap();
    (output, fs::read_to_string(target).unwrap_or_default())
}

#[test]
fn parameters_are_deployed_with_the_newest_migration() {
    let (output, parameters) = check_parameters(&format!("{PARAMETERS}{KEYS}"));
    assert!(output.status.success(), "{output:?}");
    let newest = fs::read_dir(repository().join("migrations"))
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .max();
    let version = newest.unwrap().into_string().unwrap();
    let version = version.split('_').next().unwrap();
    assert!(
        parameters.contains(&format!("SchemaVersion: '{version}'")),
        "{parameters}"
    );
}

#[rstest]
#[case::no_certificate(
    "Architecture: arm64\nAuthIssuer: i\nAuthAudience: a\n",
    "CertificateArn is empty"
)]
#[case::no_keys("", "give AuthJwks or AuthJwksUrl")]
#[case::two_sources_of_keys(
    "AuthJwks: a\nAuthJwksUrl: b\nNatGateway: \"true\"\n",
    "give AuthJwks or AuthJwksUrl"
)]
#[case::unreachable_keys("AuthJwksUrl: https://i/jwks\n", "AuthJwksUrl needs NatGateway")]
#[case::a_misspelt_name("AuthJwks: a\nLoglevel: debug\n", "no parameter Loglevel")]
#[test]
fn invalid_parameters_are_refused_before_the_build(#[case] written: &str, #[case] expected: &str) {
    let given = if written.contains("Architecture") {
        written.to_owned()
    } else {
        format!("{PARAMETERS}{written}")
    };
    let (output, parameters) = check_parameters(&given);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && error.contains(expected) && parameters.is_empty(),
        "{error}"
    );
}

/// The start of an ELF file for a processor, by its machine number.
fn program(machine: u8) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes.splice(..4, *b"\x7fELF");
    bytes.splice(18..19, [machine]);
    bytes
}

fn check_program(folder: &Path, bytes: &[u8]) -> Output {
    fs::write(folder.join("bootstrap"), bytes).unwrap();
    let script = repository().join("local/scripts/lambda-sizes.py");
    Command::new("python3")
        .arg(script)
        .arg("x86_64")
        .arg(folder)
        .output()
        .unwrap()
}

#[test]
fn only_small_functions_for_the_right_platform_are_deployed() {
    let folder = tempfile::tempdir().unwrap();
    let (small, foreign) = (program(62), program(183));
    let newer = [small.clone(), b"GLIBC_2.39".to_vec()].concat();
    let mut large = vec![0; 5_100_000];
    // Random bytes do not compress.
    rand::rng().fill_bytes(&mut large);
    let large = [small.clone(), large].concat();
    assert!(check_program(folder.path(), &small).status.success());
    for (bytes, expected) in [
        (foreign, "made for arm64"),
        (newer, "needs glibc 2.39"),
        (large, "more than 5"),
    ] {
        let output = check_program(folder.path(), &bytes);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && error.contains(expected),
            "{error}"
        );
    }
}
