//! ministack: the AWS endpoint of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::net;
use crate::process::{Service, ServiceSpec, dying_with_parent};
use crate::python::Environment;
use crate::settings::{START_LIMIT, Settings};

/// What every AWS client on this machine is told; the emulator takes any credentials.
fn client_environment(settings: &Settings) -> [(&'static str, String); 5] {
    [
        ("AWS_ENDPOINT_URL", settings.endpoint()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ]
}

/// The caller's own AWS settings, which must not reach the emulator's clients.
pub const FOREIGN_SETTINGS: [&str; 4] =
    ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"];

/// Makes a command a client of the emulator, whatever the caller's own settings are.
pub fn as_client(command: &mut Command, settings: &Settings) {
    for name in FOREIGN_SETTINGS {
        command.env_remove(name);
    }
    command.envs(client_environment(settings));
}

/// A running ministack, stopped when dropped.
#[derive(Debug)]
pub struct Ministack {
    service: Service,
}

impl Ministack {
    /// Starts it, with the state that the last orderly stop saved if the system is a lasting one.
    pub fn start(settings: &Settings, environment: &Environment) -> Result<Self> {
        settings.create_state()?;
        net::check_port(settings.gateway_port, "the AWS endpoint", "--port or TELECOM_PORT")?;
        for folder in [saved_state(settings), scratch(settings)] {
            fs::create_dir_all(&folder).with_context(|| format!("Cannot create {}", folder.display()))?;
        }
        follow_port(settings)?;
        let spec = ServiceSpec {
            name: "ministack",
            stop_with: Signal::TERM,
            grace: Duration::from_secs(20),
            log: settings.log("ministack"),
        };
        let mut service = Service::start(spec, command(settings, environment))?;
        let health = format!("{}/_ministack/health", settings.endpoint());
        service.wait_until(START_LIMIT, || ureq::get(&health).call().is_ok())?;
        Ok(Self { service })
    }

    /// An error if it has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        self.service.check_alive()
    }

    /// Stops it and the functions it runs. True if its state was saved.
    pub fn stop(&mut self) -> bool {
        self.service.stop()
    }
}

/// The folder with what ministack saves when it stops: the stack, and the messages in its queues.
#[must_use]
pub fn saved_state(settings: &Settings) -> PathBuf {
    settings.state.join("ministack").join("state")
}

fn scratch(settings: &Settings) -> PathBuf {
    settings.state.join("ministack").join("tmp")
}

fn command(settings: &Settings, environment: &Environment) -> Command {
    let mut command = dying_with_parent(environment.program("ministack"), "TERM", None);
    for name in FOREIGN_SETTINGS.iter().chain(&["DATABASE_URL", "RUST_LOG", "PYTHONHOME"]) {
        command.env_remove(name);
    }
    // Functions inherit this environment, the endpoint to call back to among it.
    command.envs(client_environment(settings));
    command.env("MINISTACK_REGION", "us-east-1").env("GATEWAY_PORT", settings.gateway_port.to_string());
    // It runs whatever code it is given: nobody but this machine may reach it.
    command.env("BIND_HOST", "127.0.0.1").env("MINISTACK_HOST", "127.0.0.1");
    command.env("LAMBDA_EXECUTOR", "local").env("LOG_LEVEL", "INFO");
    command.env("PERSIST_STATE", if settings.durable { "1" } else { "0" });
    command.env("STATE_DIR", saved_state(settings)).env("S3_DATA_DIR", scratch(settings).join("s3"));
    command.env("TMPDIR", scratch(settings)).env("PYTHONPATH", settings.root.join("local").join("python"));
    // pip has compiled its packages already; local/python/ is to stay clean.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    // Services that would listen on fixed ports, where a second system would meet them.
    command.env("SFTP_ENABLED", "0").env("IOT_MTLS_ENABLED", "0");
    command
}

/// Saved queue URLs name the port of their time. After a change of port they are rewritten, or the messages in these
/// queues would be lost.
fn follow_port(settings: &Settings) -> Result<()> {
    let note = saved_state(settings).join("port");
    let port = settings.gateway_port.to_string();
    let before = fs::read_to_string(&note).unwrap_or_default();
    if !before.is_empty() && before != port {
        for entry in fs::read_dir(saved_state(settings))?.flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "json") {
                replace_in_file(&entry.path(), &format!("127.0.0.1:{before}"), &format!("127.0.0.1:{port}"))?;
            }
        }
    }
    fs::write(note, port).context("Cannot write to ministack's saved state")
}

fn replace_in_file(path: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("Cannot read {}", path.display()))?;
    if text.contains(from) {
        fs::write(path, text.replace(from, to)).with_context(|| format!("Cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_queue_urls_follow_a_change_of_port() {
        let (mut settings, _folder) = Settings::ephemeral(Path::new("/nowhere")).unwrap();
        fs::create_dir_all(saved_state(&settings)).unwrap();
        settings.gateway_port = 4566;
        follow_port(&settings).unwrap();
        let queues = saved_state(&settings).join("sqs.json");
        fs::write(&queues, r#"{"url":"http://127.0.0.1:4566/0/q"}"#).unwrap();
        settings.gateway_port = 4999;
        follow_port(&settings).unwrap();
        assert_eq!(fs::read_to_string(&queues).unwrap(), r#"{"url":"http://127.0.0.1:4999/0/q"}"#);
    }
}
