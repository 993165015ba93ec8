//! Commands: how they are found, run to their end, and what they print.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::Mode;
use rustix::process::{Pid, Signal, kill_process};

use super::interrupt;
use crate::files::{private_folder, write_private};

/// Interval between two checks of a wait.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// Makes all files that this process and its children create from now on private to their user.
pub fn keep_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// A command that creates files which all users can read, for programs that the service user runs.
pub fn shared_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 022; exec \"$@\"", "sh"])
        .arg(program);
    command
}

/// A command to which the kernel sends `signal` when this process dies. `user` is the `(uid, gid)`
/// to run as.
pub fn dying_with_parent(
    program: impl AsRef<OsStr>,
    signal: &str,
    user: Option<(u32, u32)>,
) -> Command {
    // Files that a service writes are private to its user.
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    if find_program("setpriv").is_none() {
        command.arg(program);
        return command;
    }
    command.args(["setpriv", "--pdeathsig", signal]);
    if let Some((uid, gid)) = user {
        command
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={gid}"))
            .arg("--clear-groups");
    }
    command.arg("--").arg(program);
    command
}

/// Runs `command` to its end with its output in `log`. Returns an error with the end of that log if
/// the command fails. A request to stop ends the command early.
pub fn run_logged(mut command: Command, log: &Path, what: &str) -> Result<()> {
    let file = create_log(log)?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let mut child = command
        .spawn()
        .with_context(|| format!("Cannot start the command to {what}"))?;
    let status = wait_interruptibly(&mut child)?;
    interrupt::check()?;
    if !status.success() {
        bail!(
            "Could not {what} ({status}). From {}:\n{}",
            log.display(),
            tail(log, 15)
        );
    }
    Ok(())
}

/// Runs `command` to its end and returns its standard output. Returns an error with its standard
/// error if the command fails.
pub fn output(command: &mut Command, what: &str) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("Cannot start the command to {what}"))?;
    if !output.status.success() {
        bail!(
            "Could not {what} ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` to its end without output. Returns true if it succeeds.
pub fn succeeds(command: &mut Command) -> bool {
    let output = command.stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

/// Waits for `child`. Passes a request to stop on to it, and kills it ten seconds later.
pub fn wait_interruptibly(child: &mut Child) -> Result<ExitStatus> {
    let mut asked: Option<Instant> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if interrupt::requested() {
            let since = *asked.get_or_insert_with(|| {
                let _ = pid_of(child).map(|pid| kill_process(pid, Signal::TERM));
                Instant::now()
            });
            if since.elapsed() > Duration::from_secs(10) {
                child.kill()?;
            }
        }
        thread::sleep(POLL);
    }
}

/// Path of `program` on the search path.
#[must_use]
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The last `lines` lines of a log. Empty if the log cannot be read.
pub(super) fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let all: Vec<&str> = text.trim_end().lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

/// Creates an empty log that only its owner can read.
pub fn create_log(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    // A log may hold tokens and passwords.
    write_private(path, "")?;
    fs::OpenOptions::new()
        .append(true)
        .open(path)
        .with_context(|| format!("Cannot write {}", path.display()))
}

pub(super) fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}
