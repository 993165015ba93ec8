//! The binary in the file system of its image, as another user, without a shell or a writable file.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};
use sqlx::PgPool;
use telecom_tests::token::Issuer;
use telecom_tests::{World, until};
use tempfile::TempDir;

use super::drain::{Process, binary, configured};

/// User id of the image.
const NONROOT: u32 = 65_532;

/// The file system of the image, created by the script that the Dockerfile uses.
fn image() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/grpc/image-root");
    let made = Command::new(script)
        .arg(binary())
        .arg(root.path())
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    root
}

/// Runs the image's binary in its file system: as the image's user if this process is root,
/// otherwise as this user in a namespace of its own.
fn in_image(root: &Path) -> Command {
    let mut command;
    if getuid().is_root() {
        command = Command::new("/usr/sbin/chroot");
        command
            .args([
                format!("--userspec={NONROOT}:{NONROOT}"),
                "--groups=".to_owned(),
            ])
            .arg(root);
    } else {
        command = Command::new("/usr/bin/unshare");
        command
            .args(["--user", "--map-current-user"])
            .arg(format!("--root={}", root.display()));
    }
    command.arg("/telecom-grpc");
    command
}

/// Every file below `root` with its size, modification and change time.
fn files(root: &Path) -> Vec<(PathBuf, u64, i64, i64)> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let data = entry.metadata().unwrap();
            if data.is_dir() {
                folders.push(entry.path());
            }
            found.push((entry.path(), data.len(), data.mtime(), data.ctime()));
        }
    }
    found.sort();
    found
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_server_runs_in_its_image_without_writing_files(pool: PgPool) {
    let (world, issuer, root) = (World::new(pool).await, Issuer::default(), image());
    let before = files(root.path());
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let command = || configured(in_image(root.path()), port, &world.pool, &issuer);
    let health = || command().arg("health").output().unwrap();
    assert_eq!(health().status.code(), Some(1), "no server runs yet");

    let mut server = Process(command().stdout(Stdio::null()).spawn().unwrap());
    until("the image's health check succeeds", async || {
        health().status.code() == Some(0)
    })
    .await;
    let id = Pid::from_raw(i32::try_from(server.0.id()).unwrap()).unwrap();
    let owner = std::fs::metadata(format!("/proc/{}", id.as_raw_nonzero()))
        .unwrap()
        .uid();
    assert_eq!(
        owner,
        if getuid().is_root() {
            NONROOT
        } else {
            getuid().as_raw()
        }
    );

    let began = Instant::now();
    kill_process(id, Signal::TERM).unwrap();
    until("the server has ended", async || {
        server.0.try_wait().unwrap().is_some()
    })
    .await;
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "shutdown takes the drain of 2 s and the remaining calls"
    );
    assert_eq!(files(root.path()), before);
}

#[test]
fn the_image_has_no_other_program_and_no_writable_file() {
    let root = image();
    let all = files(root.path());
    let named = |name: &str| all.iter().any(|(path, ..)| path.ends_with(name));
    for needed in [
        "telecom-grpc",
        "etc/ssl/certs/ca-certificates.crt",
        "etc/passwd",
        "libc.so.6",
    ] {
        assert!(named(needed), "{needed} is missing");
    }
    for (path, _, modified, _) in &all {
        let data = std::fs::metadata(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        assert_eq!(
            data.mode() & 0o022,
            0,
            "{} is writable by others",
            path.display()
        );
        assert_eq!(*modified, 0, "{} has a modification time", path.display());
        let program = data.is_file() && data.mode() & 0o111 != 0;
        assert!(
            !program || name == "telecom-grpc" || name.contains(".so"),
            "{} is executable",
            path.display()
        );
    }
}
