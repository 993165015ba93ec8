//! ministack: an AWS emulator that deploys the whole template.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::client::as_client;
use crate::files::{private_folder, write_private};
use crate::process::{Service, ServiceSpec, ServiceUser};
use crate::python::{self, Environment};
use crate::settings::Settings;

/// Starts ministack. If the system is durable, it loads the state that the last orderly stop saved,
/// and its own orderly stop saves the state.
pub fn start(settings: &Settings, environment: &Environment) -> Result<Service> {
    settings.create_state()?;
    for folder in [saved_state(settings), scratch(settings)] {
        private_folder(&folder)?;
    }
    follow_port(settings)?;
    let user = ServiceUser::choose_to_reach(&[&settings.root])?;
    user.own_all(&settings.state.join("ministack"))?;
    let spec = ServiceSpec {
        name: "ministack",
        stop_with: Signal::TERM,
        grace: Duration::from_secs(20),
        log: settings.log("ministack"),
    };
    let mut service = Service::start(spec, command(settings, environment, user))?;
    let health = format!("{}/_ministack/health", settings.endpoint());
    service.wait_until(|| ureq::get(&health).call().is_ok())?;
    Ok(service)
}

/// Folder with the state that ministack saves when it stops: the stack, and the messages in its
/// queues.
#[must_use]
pub fn saved_state(settings: &Settings) -> PathBuf {
    settings.state.join("ministack").join("state")
}

fn scratch(settings: &Settings) -> PathBuf {
    settings.state.join("ministack").join("tmp")
}

/// ministack runs functions as its own user.
fn command(settings: &Settings, environment: &Environment, user: ServiceUser) -> Command {
    let mut command = user.service(environment.program("ministack"), "TERM", &scratch(settings));
    // The user may not be allowed to enter the current folder.
    command.current_dir("/");
    for name in ["DATABASE_URL", "RUST_LOG", "PYTHONHOME"] {
        command.env_remove(name);
    }
    // Functions inherit this environment, including the endpoint that they call.
    as_client(&mut command, settings);
    command.envs([
        ("MINISTACK_REGION", "us-east-1"),
        ("GATEWAY_PORT", &settings.gateway_port.to_string()),
        // ministack runs any code that it is given, so only this machine may reach it.
        ("BIND_HOST", "127.0.0.1"),
        ("MINISTACK_HOST", "127.0.0.1"),
        ("LAMBDA_EXECUTOR", "local"),
        ("LOG_LEVEL", "INFO"),
        ("PERSIST_STATE", if settings.durable { "1" } else { "0" }),
        // These services would listen on fixed ports, which a second system could not use.
        ("SFTP_ENABLED", "0"),
        ("IOT_MTLS_ENABLED", "0"),
    ]);
    command.envs([
        ("STATE_DIR", saved_state(settings)),
        ("S3_DATA_DIR", scratch(settings).join("s3")),
        ("TMPDIR", scratch(settings)),
    ]);
    python::customize(&mut command, &settings.root);
    command
}

/// Saved queue URLs contain the port. After a change of port they are rewritten, because the
/// messages in these queues would be lost otherwise.
fn follow_port(settings: &Settings) -> Result<()> {
    let file = saved_state(settings).join("port");
    let port = settings.gateway_port.to_string();
    let saved = fs::read_to_string(&file).unwrap_or_default();
    if !saved.is_empty() && saved != port {
        for entry in fs::read_dir(saved_state(settings))?.flatten() {
            if entry.path().extension().is_some_and(|kind| kind == "json") {
                let [from, to] = [&saved, &port].map(|port| format!("127.0.0.1:{port}"));
                replace_in_file(&entry.path(), &from, &to)?;
            }
        }
    }
    write_private(&file, &port)
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

    /// Sends a request with these headers to a server of Python's library, as the Lambda runtime
    /// API is one, and returns the response's status.
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
        let mut server = Command::new("python3");
        server.args(["-c", SERVER]);
        python::customize(&mut server, &crate::settings::repository());
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
