//! The one system a repository may have running: in the foreground (`run`) or in the background
//! (`up`, `down`).

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write, stderr};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::demo::script::Load;
use crate::hooks::{self, Workload};
use crate::process::create_log;
use crate::progress::{note, step};
use crate::settings::Settings;
use crate::stack::{Endpoints, Stack};
use crate::{banner, interrupt};

/// How long an orderly stop may take before it is forced.
const STOP_LIMIT: Duration = Duration::from_secs(90);

/// What a running system has written down about itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// The program that runs it.
    pub pid: i32,
    /// Where it is reached, once it is ready.
    pub endpoints: Option<Endpoints>,
}

/// Runs the system until a stop is asked for or a part of it fails. `load` is what the simulator
/// sends, if it is to send anything; `show` gets what to print when it is ready.
pub fn run(settings: &Settings, load: Option<Load>, show: impl FnOnce(&str)) -> Result<()> {
    settings.create_state()?;
    let lock = open_lock(settings)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!(already_running(settings)),
        Err(TryLockError::Error(error)) => {
            return Err(error).context("Cannot lock the state folder");
        }
    }
    write_record(settings, None)?;
    let outcome = run_locked(settings, load, show);
    // The lock, not this file, says whether something runs.
    let _ = fs::remove_file(record_file(settings));
    match outcome {
        Err(_) if interrupt::requested() => Ok(()),
        other => other,
    }
}

fn run_locked(settings: &Settings, load: Option<Load>, show: impl FnOnce(&str)) -> Result<()> {
    let mut stack = Stack::start(settings.clone(), hooks::auth_parameters(settings)?)?;
    let fleet = hooks::seed(stack.endpoints())?;
    let mut workload = load
        .map(|load| hooks::simulate(settings, stack.endpoints(), fleet, load))
        .transpose()?;
    write_record(settings, Some(stack.endpoints()))?;
    show(&banner::ready(
        settings,
        stack.endpoints(),
        &hooks::banner(settings, stack.endpoints())?,
    ));
    let outcome = wait_for_end(&mut stack, workload.as_deref_mut());
    if let Some(mut workload) = workload {
        workload.stop();
    }
    stack.stop()?;
    outcome
}

fn wait_for_end(
    stack: &mut Stack,
    mut workload: Option<&mut (dyn Workload + 'static)>,
) -> Result<()> {
    while !interrupt::requested() {
        stack.check_alive()?;
        workload
            .as_mut()
            .map_or(Ok(()), |workload| workload.check_alive())?;
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Starts `program` with `arguments`, which must call [`run`], in the background; returns when the
/// system is ready.
pub fn up(settings: &Settings, arguments: &[String]) -> Result<()> {
    settings.create_state()?;
    if is_running(settings)? {
        bail!(already_running(settings));
    }
    let log = settings.log("run");
    let output = create_log(&log)?;
    let mut follower = Follower {
        file: File::open(&log)?,
        at: 0,
    };
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
    let mut child = command.spawn().context("Cannot start in the background")?;
    wait_until_ready(settings, &mut child, &mut follower)?;
    note("It runs in the background. `make down` stops it, `make status` tells about it.");
    Ok(())
}

fn wait_until_ready(settings: &Settings, child: &mut Child, follower: &mut Follower) -> Result<()> {
    let pid = i32::try_from(child.id()).unwrap_or_default();
    loop {
        let ended = child.try_wait()?;
        let ready = read_record(settings)
            .is_some_and(|record| record.pid == pid && record.endpoints.is_some());
        if ready {
            // The banner follows the record at once.
            thread::sleep(Duration::from_millis(100));
        }
        follower.show()?;
        if let Some(status) = ended {
            bail!("The start has failed ({status}); the lines above say why.");
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

/// Stops the running system and returns when all of it is gone.
pub fn down(settings: &Settings) -> Result<()> {
    if !is_running(settings)? {
        note("Nothing is running.");
        return Ok(());
    }
    let record = read_record(settings)
        .context("Something runs but has not said what; try again in a second.")?;
    let pid = Pid::from_raw(record.pid).context("The record of what runs is broken")?;
    step("Stopping", || {
        kill_process(pid, Signal::TERM)
            .context("Cannot stop it; was it started by another user?")?;
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

/// Whether a system of this state folder runs.
pub fn is_running(settings: &Settings) -> Result<bool> {
    if !settings.state.is_dir() {
        return Ok(false);
    }
    match open_lock(settings)?.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => {
            Err(error).context("Cannot look at the lock of the state folder")
        }
    }
}

/// What the running system has written down, if there is one.
#[must_use]
pub fn read_record(settings: &Settings) -> Option<Record> {
    serde_json::from_str(&fs::read_to_string(record_file(settings)).ok()?).ok()
}

fn write_record(settings: &Settings, endpoints: Option<&Endpoints>) -> Result<()> {
    let pid = i32::try_from(std::process::id()).context("This process has no usable id")?;
    let record = Record {
        pid,
        endpoints: endpoints.cloned(),
    };
    let unfinished = settings.state.join("run.json.new");
    let mut options = fs::OpenOptions::new();
    // It names the database's password.
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(serde_json::to_string_pretty(&record)?.as_bytes())?;
    fs::rename(unfinished, record_file(settings)).context("Cannot write down what runs")
}

fn already_running(settings: &Settings) -> String {
    let pid = read_record(settings)
        .map(|record| format!(" (process {})", record.pid))
        .unwrap_or_default();
    format!("It is running already{pid}. `make status` tells about it, `make down` stops it.")
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
            "Cannot open {}. Was it made by another user?",
            path.display()
        )
    })
}

/// Copies a growing log to standard error.
struct Follower {
    file: File,
    at: u64,
}

impl Follower {
    fn show(&mut self) -> Result<()> {
        self.file.seek(SeekFrom::Start(self.at))?;
        let mut news = Vec::new();
        self.file.read_to_end(&mut news)?;
        self.at += u64::try_from(news.len()).unwrap_or_default();
        stderr().write_all(&news)?;
        Ok(())
    }
}
