//! The program under test.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::receiver::TOKEN;

/// A folder with a configuration and a spool.
pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new(url: &str, rest: &str) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        place.configure(7, url, rest);
        place
    }

    pub fn configure(&self, server_id: i32, url: &str, rest: &str) {
        // A key that is given takes the place of the usual one.
        let usual = [
            format!("server_id = {server_id}"),
            format!("spool = \"{}\"", self.spool().display()),
            "read_seconds = 0.05".to_owned(),
            "report_seconds = 0.1".to_owned(),
            "log = \"debug\"".to_owned(),
        ];
        let given = |line: &String| {
            let (key, _) = line.split_once(" = ").unwrap();
            rest.lines()
                .any(|line| line.starts_with(&format!("{key} = ")))
        };
        let usual: Vec<_> = usual.into_iter().filter(|line| !given(line)).collect();
        let sink = format!("[sink]\nurl = \"{url}\"\ntoken = \"{TOKEN}\"\n");
        let config = format!("{}\n{rest}\n{sink}", usual.join("\n"));
        fs::write(self.config(), config).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn spool(&self) -> PathBuf {
        self.path("spool")
    }

    fn config(&self) -> PathBuf {
        self.path("config.toml")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_telecom-collector"));
        command.arg("--config").arg(self.config()).args(arguments);
        command
    }

    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command printed, and its exit code.
    pub fn run_to_end(&self, arguments: &[&str]) -> (String, i32) {
        let output = self.output(arguments);
        let text = [output.stdout, output.stderr].concat();
        (
            String::from_utf8(text).unwrap(),
            output.status.code().unwrap(),
        )
    }

    pub fn status(&self) -> serde_json::Value {
        serde_json::from_slice(&self.output(&["status", "--json"]).stdout).unwrap()
    }

    pub fn start(&self) -> Running {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"));
        let mut command = self.command(&["run"]);
        command.stdin(Stdio::null()).stderr(log.unwrap());
        Running(command.spawn().unwrap())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }
}

/// A running collector. Killed if it is dropped.
pub struct Running(Child);

impl Running {
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Stops it in order, and returns whether it succeeded.
    pub fn stop(mut self) -> bool {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        self.0.wait().unwrap().success()
    }

    /// A field of `/proc/PID/status`, in KiB.
    pub fn memory_kib(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// An address on which nothing listens.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// The body of a GET request.
pub fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
