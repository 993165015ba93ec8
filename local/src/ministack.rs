//! ministack: the AWS endpoint of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::net;
use crate::postgres::Account;
use crate::process::{Service, ServiceSpec};
use crate::python::Environment;
use crate::settings::{START_LIMIT, Settings, private_folder, write_private};

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
pub const FOREIGN_SETTINGS: [&str; 4] = [
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
];

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
        net::check_port(
            settings.gateway_port,
            "the AWS endpoint",
            "--port or TELECOM_PORT",
        )?;
        for folder in [saved_state(settings), scratch(settings)] {
            private_folder(&folder)?;
        }
        follow_port(settings)?;
        let account = Account::choose_to_reach(&[&settings.root])?;
        account.own_all(&settings.state.join("ministack"))?;
        let spec = ServiceSpec {
            name: "ministack",
            stop_with: Signal::TERM,
            grace: Duration::from_secs(20),
            log: settings.log("ministack"),
        };
        let mut service = Service::start(spec, command(settings, environment, account))?;
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

/// It runs functions as its own user.
fn command(settings: &Settings, environment: &Environment, account: Account) -> Command {
    let mut command = account.service(environment.program("ministack"), "TERM", &scratch(settings));
    // The account may not be allowed to stand in the caller's folder.
    command.current_dir("/");
    for name in FOREIGN_SETTINGS
        .iter()
        .chain(&["DATABASE_URL", "RUST_LOG", "PYTHONHOME"])
    {
        command.env_remove(name);
    }
    // Functions inherit this environment, the endpoint to call back to among it.
    command.envs(client_environment(settings));
    command
        .env("MINISTACK_REGION", "us-east-1")
        .env("GATEWAY_PORT", settings.gateway_port.to_string());
    // It runs whatever code it is given: nobody but this machine may reach it.
    command
        .env("BIND_HOST", "127.0.0.1")
        .env("MINISTACK_HOST", "127.0.0.1");
    command
        .env("LAMBDA_EXECUTOR", "local")
        .env("LOG_LEVEL", "INFO");
    command.env("PERSIST_STATE", if settings.durable { "1" } else { "0" });
    command
        .env("STATE_DIR", saved_state(settings))
        .env("S3_DATA_DIR", scratch(settings).join("s3"));
    command
        .env("TMPDIR", scratch(settings))
        .env("PYTHONPATH", settings.root.join("local").join("python"));
    // pip has compiled its packages already; local/python/ is to stay clean.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    // Services that would listen on fixed ports, where a second system would meet them.
    command
        .env("SFTP_ENABLED", "0")
        .env("IOT_MTLS_ENABLED", "0");
    command
}

/// Saved queue URLs name the port of their time. After a change of port they are rewritten, or the
/// messages in these queues would be lost.
fn follow_port(settings: &Settings) -> Result<()> {
    let note = saved_state(settings).join("port");
    let port = settings.gateway_port.to_string();
    let before = fs::read_to_string(&note).unwrap_or_default();
    if !before.is_empty() && before != port {
        for entry in fs::read_dir(saved_state(settings))?.flatten() {
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                replace_in_file(
                    &entry.path(),
                    &format!("127.0.0.1:{before}"),
                    &format!("127.0.0.1:{port}"),
                )?;
            }
        }
    }
    write_private(&note, &port)
}

fn replace_in_file(path: &Path, from: &str, to: &str) -> Result<()> {
    let text =
        fs::read_to_string(path).with_context(|| format!("Cannot read {}", path.display()))?;
    if text.contains(from) {
        fs::write(path, text.replace(from, to))
            .with_context(|| format!("Cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;
    use std::process::Stdio;

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
        assert_eq!(
            fs::read_to_string(&queues).unwrap(),
            r#"{"url":"http://127.0.0.1:4999/0/q"}"#
        );
    }

    /// The status of a request with these headers to a server of Python's own, as the Lambda
    /// runtime API is one.
    fn status_with(port: u16, headers: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(
            stream,
            "GET / HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    }

    #[test]
    fn a_page_reaches_no_server_of_the_emulators_interpreter() {
        const SERVER: &str = "import http.server as h; s = h.HTTPServer(('127.0.0.1', 0), \
            h.SimpleHTTPRequestHandler); \
            print(s.server_port, flush=True); s.serve_forever()";
        let guard = crate::settings::repository().join("local/python");
        let mut server = Command::new("python3");
        server
            .args(["-c", SERVER])
            .env("PYTHONPATH", guard)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let mut server = server
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let port: u16 = port.trim().parse().unwrap();
        let statuses = [
            "Host: 127.0.0.1\r\n",
            "Host: 127.0.0.1\r\nOrigin: https://evil.test\r\n",
            "Host: evil.test\r\n",
            "Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n",
        ]
        .map(|headers| status_with(port, headers));
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(statuses, ["200", "403", "403", "403"]);
    }
}
