//! Services: long-running children.
//!
//! A service gets a process group of its own, so that Ctrl-C on the terminal does not reach it
//! before this program has stopped the services in the right order. When this program dies, the
//! kernel sends the service its stop signal.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process, kill_process_group, set_child_subreaper, waitpgid,
};

use super::command::{POLL, create_log, pid_of, tail};
use super::interrupt;

/// Time limit of a service's start.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A long-running child with a process group of its own. Dropping it stops it.
#[derive(Debug)]
pub struct Service {
    spec: ServiceSpec,
    child: Child,
}

/// How to start and stop a [`Service`].
#[derive(Debug)]
pub struct ServiceSpec {
    /// The name in messages.
    pub name: &'static str,
    /// Signal that makes it stop in an orderly way.
    pub stop_with: Signal,
    /// How long an orderly stop may take before the process is killed.
    pub grace: Duration,
    /// Path of the log that receives its output.
    pub log: PathBuf,
}

impl Service {
    /// Starts `command`, which [`dying_with_parent`](super::dying_with_parent) made, in the
    /// background.
    pub fn start(spec: ServiceSpec, mut command: Command) -> Result<Self> {
        // Grandchildren that outlive a service become children of this process, which can then wait
        // for them.
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
        Ok(Self { spec, child })
    }

    /// The name in messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Returns an error with the end of the service's log if the service has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                bail!(
                    "{} has ended ({status}). The end of its log {}:\n{}",
                    self.spec.name,
                    self.spec.log.display(),
                    tail(&self.spec.log, 12)
                )
            }
        }
    }

    /// Waits until `ready` returns true. Returns an error if the service ends first, the user asks
    /// to stop, or a minute passes.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let began = Instant::now();
        while !ready() {
            self.check_alive()?;
            interrupt::check()?;
            if began.elapsed() > START_LIMIT {
                bail!(
                    "{} is not ready after {} s. See {}.",
                    self.spec.name,
                    START_LIMIT.as_secs(),
                    self.spec.log.display()
                );
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Stops the service and everything that it started. Returns true if it ended by itself within
    /// its grace period.
    pub fn stop(&mut self) -> bool {
        let Some(pid) = pid_of(&self.child) else {
            return false;
        };
        let mut orderly = matches!(self.child.try_wait(), Ok(None));
        if orderly {
            let _ = kill_process(pid, self.spec.stop_with);
            orderly = self.ended_within(self.spec.grace);
        }
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = self.child.wait();
        reap_group(pid);
        orderly
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

/// Waits at most five seconds for the remaining processes of a killed group.
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

/// Spawns from a thread that lives as long as this process. The kernel sends the death signal when
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
