//! Child processes that cannot outlive this one.
//!
//! A service gets a process group of its own, so that a Ctrl-C on the terminal does not reach it
//! before this program has stopped the services in order; it is asked by the kernel to stop when
//! this program dies.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::fs::Mode;
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process, kill_process_group, set_child_subreaper, waitpgid,
};

use crate::interrupt;
use crate::settings::{private_folder, write_private};

/// How often a wait looks again.
pub const POLL: Duration = Duration::from_millis(20);

/// A long-running child with a process group of its own, stopped when dropped.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    child: Child,
    stop_with: Signal,
    grace: Duration,
    log: PathBuf,
}

/// How a [`Service`] is started and ended.
#[derive(Debug)]
pub struct ServiceSpec {
    /// What messages call it.
    pub name: &'static str,
    /// The signal that makes it stop in order.
    pub stop_with: Signal,
    /// How long that may take before it is killed.
    pub grace: Duration,
    /// Where its output goes.
    pub log: PathBuf,
}

impl Service {
    /// Starts `command`, which [`dying_with_parent`] made, in the background.
    pub fn start(spec: ServiceSpec, mut command: Command) -> Result<Self> {
        // Grandchildren that outlive a service become this process's children, and can be waited
        // for.
        set_child_subreaper(Some(rustix::process::getpid()))
            .context("Cannot adopt orphaned processes")?;
        let log = create_log(&spec.log)?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let child = spawn_from_lasting_thread(command)
            .with_context(|| format!("Cannot start {}", spec.name))?;
        Ok(Self {
            name: spec.name,
            child,
            stop_with: spec.stop_with,
            grace: spec.grace,
            log: spec.log,
        })
    }

    /// An error with the end of its log if it has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                bail!(
                    "{} has ended ({status}). Its last words, from {}:\n{}",
                    self.name,
                    self.log.display(),
                    tail(&self.log, 12)
                )
            }
        }
    }

    /// Waits until `ready` says so. An error if the service ends first, a stop is asked for, or
    /// `limit` passes.
    pub fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let began = Instant::now();
        while !ready() {
            self.check_alive()?;
            interrupt::check()?;
            if began.elapsed() > limit {
                bail!(
                    "{} is not ready after {} s. See {}.",
                    self.name,
                    limit.as_secs(),
                    self.log.display()
                );
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Stops it and everything it started. True if it ended in order, within its grace.
    pub fn stop(&mut self) -> bool {
        let Some(pid) = pid_of(&self.child) else {
            return false;
        };
        let mut in_order = matches!(self.child.try_wait(), Ok(None));
        if in_order {
            let _ = kill_process(pid, self.stop_with);
            in_order = self.ended_within(self.grace);
        }
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = self.child.wait();
        reap_group(pid);
        in_order
    }

    fn ended_within(&mut self, grace: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < grace {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(POLL);
        }
        false
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Lets nobody but this user read what this process and its children write from now on.
pub fn keep_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// A command whose files everybody may read, for programs that services of another user run.
pub fn shared_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 022; exec \"$@\"", "sh"])
        .arg(program);
    command
}

/// A command that the kernel sends `signal` to when this process dies. `account` is `(uid, gid)` to
/// run as.
pub fn dying_with_parent(
    program: impl AsRef<OsStr>,
    signal: &str,
    account: Option<(u32, u32)>,
) -> Command {
    // What a service writes is its user's alone.
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    if find_program("setpriv").is_none() {
        command.arg(program);
        return command;
    }
    command.args(["setpriv", "--pdeathsig", signal]);
    if let Some((uid, gid)) = account {
        command
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={gid}"))
            .arg("--clear-groups");
    }
    command.arg("--").arg(program);
    command
}

/// Runs `command` to its end with its output in `log`. An error with the end of that log if it
/// fails; ended early if a stop is asked for.
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

/// Runs `command` to its end and returns what it printed. An error with what it complained about if
/// it fails.
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

/// Waits for `child`; passes a request to stop on to it, and kills it ten seconds later.
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

/// Where `program` is on the search path.
#[must_use]
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The last `lines` lines of a log, or nothing if it cannot be read.
#[must_use]
pub fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let all: Vec<&str> = text.trim_end().lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

/// An empty log that nobody but its owner reads.
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

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Waits, for at most five seconds, for what is left of a killed group.
fn reap_group(group: Pid) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        match waitpgid(group, WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => thread::sleep(POLL),
            Err(_) => return,
        }
    }
}

type Spawn = (Command, Sender<std::io::Result<Child>>);

/// Spawns from a thread that lives as long as this process. The kernel's death signal is sent when
/// the *thread* that spawned ends, and a test's thread ends long before the services that other
/// tests share.
fn spawn_from_lasting_thread(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<Sender<Spawn>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = channel::<Spawn>();
        thread::spawn(move || {
            for (mut command, reply) in requests {
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, answer) = channel();
    spawner
        .send((command, reply))
        .map_err(|_| anyhow!("The thread that starts processes is gone"))?;
    Ok(answer
        .recv()
        .context("The thread that starts processes is gone")??)
}
