//! The running system of a repository, of which there is at most one: in the foreground (`run`) or
//! in the background (`up`, `down`).

use std::fs::{self, File};
use std::io::stderr;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::banner;
use crate::demo::background::Running;
use crate::demo::bootstrap;
use crate::demo::script::Load;
use crate::files::{try_lock, write_private};
use crate::process::{create_log, interrupt};
use crate::progress::{note, step};
use crate::settings::Settings;
use crate::stack::{Endpoints, Stack};

/// How long an orderly stop may take before the process is killed.
const STOP_LIMIT: Duration = Duration::from_secs(90);

/// The file `run.json`, which describes the running system.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// Process id of the program that runs the system.
    pub pid: i32,
    /// `None` until the system is ready.
    pub endpoints: Option<Endpoints>,
}

/// Runs the system until the user asks to stop or a part of it fails. `load` is what the simulator
/// sends, or `None` to send nothing. `show` receives the text to print when the system is ready.
pub fn run(settings: &Settings, load: Option<Load>, show: impl FnOnce(&str)) -> Result<()> {
    settings.create_state()?;
    let lock = open_lock(settings)?;
    if !try_lock(&lock).context("Cannot lock the state folder")? {
        bail!(already_running(settings));
    }
    write_record(settings, None)?;
    let outcome = run_locked(settings, load, show);
    // The lock, not this file, tells whether a system is running.
    let _ = fs::remove_file(record_file(settings));
    match outcome {
        Err(_) if interrupt::requested() => Ok(()),
        other => other,
    }
}

fn run_locked(settings: &Settings, load: Option<Load>, show: impl FnOnce(&str)) -> Result<()> {
    let mut stack = Stack::start(settings.clone(), bootstrap::auth_parameters(settings)?)?;
    let _sign_in = bootstrap::sign_in(settings)?;
    let fleet = bootstrap::seed(stack.endpoints())?;
    let accesses = bootstrap::node_access(settings, stack.endpoints(), &fleet)?;
    let banner = bootstrap::banner(settings, stack.endpoints())?;
    let mut simulator = load
        .map(|load| bootstrap::simulate(settings, stack.endpoints(), fleet, accesses, load))
        .transpose()?;
    write_record(settings, Some(stack.endpoints()))?;
    show(&banner::ready(settings, stack.endpoints(), &banner));
    let outcome = interrupt::wait(|| {
        stack.check_alive()?;
        simulator.as_mut().map_or(Ok(()), Running::check_alive)
    });
    if let Some(mut simulator) = simulator {
        simulator.stop();
    }
    stack.stop()?;
    outcome
}

/// Starts this program in the background with `arguments`, which must lead to [`run`]. Returns when
/// the system is ready.
pub fn up(settings: &Settings, arguments: &[String]) -> Result<()> {
    settings.create_state()?;
    if is_running(settings)? {
        bail!(already_running(settings));
    }
    let log = settings.log("run");
    let output = create_log(&log)?;
    let mut follower = File::open(&log)?;
    let program = std::env::current_exe().context("Cannot find this program")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0);
    if let Some(url) = &settings.database_url {
        command.env("DATABASE_URL", url);
    }
    let mut child = command
        .spawn()
        .context("Cannot start the system in the background")?;
    wait_until_ready(settings, &mut child, &mut follower)?;
    note("The system runs in the background. `make status` shows it, `make down` stops it.");
    Ok(())
}

/// Copies the growing log, which `follower` reads, to standard error.
fn wait_until_ready(settings: &Settings, child: &mut Child, follower: &mut File) -> Result<()> {
    let pid = i32::try_from(child.id()).unwrap_or_default();
    loop {
        let ended = child.try_wait()?;
        let ready = read_record(settings)
            .is_some_and(|record| record.pid == pid && record.endpoints.is_some());
        if ready {
            // The banner is printed right after the record is written.
            thread::sleep(Duration::from_millis(100));
        }
        std::io::copy(follower, &mut stderr())?;
        if let Some(status) = ended {
            bail!("The start failed ({status}). The lines above say why.");
        }
        if ready {
            return Ok(());
        }
        if interrupt::requested() {
            down(settings)?;
            interrupt::check()?;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Stops the running system. Returns when all its processes have ended.
pub fn down(settings: &Settings) -> Result<()> {
    if !is_running(settings)? {
        note("The system is not running.");
        return Ok(());
    }
    let record = read_record(settings)
        .context("The system is just starting or stopping. Try again in a second.")?;
    let pid = Pid::from_raw(record.pid).context("run.json holds an invalid process id")?;
    step("Stopping", || {
        kill_process(pid, Signal::TERM)
            .context("Cannot stop the system. Was it started by another user?")?;
        let began = Instant::now();
        while is_running(settings)? {
            if began.elapsed() > STOP_LIMIT {
                kill_process(pid, Signal::KILL)?;
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    })
}

/// Whether the system of this state folder is running.
pub fn is_running(settings: &Settings) -> Result<bool> {
    if !settings.state.is_dir() {
        return Ok(false);
    }
    let free = try_lock(&open_lock(settings)?);
    Ok(!free.context("Cannot check the lock of the state folder")?)
}

/// Reads `run.json`. Returns `None` if it does not exist.
#[must_use]
pub fn read_record(settings: &Settings) -> Option<Record> {
    serde_json::from_str(&fs::read_to_string(record_file(settings)).ok()?).ok()
}

fn write_record(settings: &Settings, endpoints: Option<&Endpoints>) -> Result<()> {
    let pid = i32::try_from(std::process::id()).context("The process id is out of range")?;
    let record = Record {
        pid,
        endpoints: endpoints.cloned(),
    };
    let unfinished = settings.state.join("run.json.new");
    // The record contains the database's password.
    write_private(&unfinished, &serde_json::to_string_pretty(&record)?)?;
    fs::rename(unfinished, record_file(settings)).context("Cannot write run.json")
}

fn already_running(settings: &Settings) -> String {
    let pid = read_record(settings)
        .map(|record| format!(" (process {})", record.pid))
        .unwrap_or_default();
    format!("The system is already running{pid}. `make status` shows it, `make down` stops it.")
}

fn record_file(settings: &Settings) -> PathBuf {
    settings.state.join("run.json")
}

fn open_lock(settings: &Settings) -> Result<File> {
    let path = settings.state.join("run.lock");
    let mut options = fs::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    file.with_context(|| {
        format!(
            "Cannot open {}. Was it created by another user?",
            path.display()
        )
    })
}
