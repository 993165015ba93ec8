//! The run's own PostgreSQL: a primary, and a synchronous standby that takes over at a failover.
//!
//! `fsync` is off, because the run kills processes and not machines. What a killed process wrote
//! stays with the kernel. Recovery works because commits are synchronous and full pages are
//! written.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use local::loopback::ports::free_port;
use local::postgres::Binaries;
use local::process::{Service, ServiceSpec, ServiceUser, output};
use rustix::process::{Pid, Signal, kill_process};
use strum::Display;

/// Name of the database and of its owner.
const NAME: &str = "telecom";
/// How long a server may take to start or to stop.
const LIMIT: Duration = Duration::from_mins(1);

/// How PostgreSQL is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
#[strum(serialize_all = "snake_case")]
pub enum Interruption {
    /// Closes connections, rolls transactions back and makes a checkpoint.
    Fast,
    /// All processes quit at once. The next start recovers from the write-ahead log.
    Immediate,
    /// The postmaster is killed.
    Kill,
    /// The primary is killed, and its synchronous standby is promoted.
    Failover,
}

/// The current primary, and its standby if there is one.
#[derive(Debug)]
pub struct Cluster {
    install: Install,
    server: Mutex<Server>,
    standby: Mutex<Option<Server>>,
    port: Arc<AtomicU16>,
}

/// Programs, user and folder of the servers.
#[derive(Debug)]
struct Install {
    binaries: Binaries,
    user: ServiceUser,
    folder: PathBuf,
}

#[derive(Debug)]
struct Server {
    service: Service,
    data: PathBuf,
    port: u16,
}

impl Cluster {
    /// Creates and starts a cluster in a subfolder of `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        let install = Install::new(folder)?;
        let data = install.folder.join("node-1");
        install.init(&data)?;
        let server = install.serve(&data, free_port()?)?;
        install.psql(server.port, "postgres", &format!("create database {NAME}"))?;
        let port = Arc::new(AtomicU16::new(server.port));
        Ok(Self {
            install,
            server: Mutex::new(server),
            standby: Mutex::new(None),
            port,
        })
    }

    /// Port of the primary. It changes at a failover.
    pub fn port(&self) -> Arc<AtomicU16> {
        Arc::clone(&self.port)
    }

    /// Interrupts the primary and returns when a primary accepts connections again.
    pub fn interrupt(&self, how: Interruption) -> Result<()> {
        match how {
            Interruption::Fast => self.restart(Signal::INT),
            Interruption::Immediate => self.restart(Signal::QUIT),
            Interruption::Kill => self.restart(Signal::KILL),
            Interruption::Failover => self.fail_over(),
        }
    }

    fn restart(&self, signal: Signal) -> Result<()> {
        let mut server = lock(&self.server);
        let (data, port) = (server.data.clone(), server.port);
        server.end(signal)?;
        *server = self.install.serve(&data, port)?;
        Ok(())
    }

    fn fail_over(&self) -> Result<()> {
        let standby = lock(&self.standby).take().context("There is no standby.")?;
        let mut server = lock(&self.server);
        server.end(Signal::KILL)?;
        self.install
            .psql(standby.port, "postgres", "select pg_promote()")?;
        // The new primary has no standby, so its commits must not wait for one.
        self.install.set_synchronous(standby.port, "")?;
        self.port.store(standby.port, Ordering::SeqCst);
        let retired = std::mem::replace(&mut *server, standby);
        drop(server);
        let data = retired.data.clone();
        drop(retired);
        fs::remove_dir_all(&data).with_context(|| format!("Cannot remove {}", data.display()))
    }

    /// Adds a standby. Returns when every commit reaches the standby before it is acknowledged.
    pub fn add_standby(&self, number: u32) -> Result<()> {
        let primary = self.port.load(Ordering::SeqCst);
        let data = self.install.folder.join(format!("node-{number}"));
        self.install.copy(primary, &data)?;
        let standby = self.install.serve(&data, free_port()?)?;
        let streaming = "select count(*) from pg_stat_replication where state = 'streaming'";
        self.install.wait_for(primary, streaming, "1")?;
        self.install.set_synchronous(primary, "*")?;
        // Sessions apply the new setting one after the other. A second later, all of them have, and
        // the standby must have received what was committed by then.
        std::thread::sleep(Duration::from_secs(1));
        let reached =
            self.install
                .psql(primary, "postgres", "select pg_current_wal_insert_lsn()")?;
        let current =
            format!("select count(*) from pg_stat_replication where flush_lsn >= '{reached}'");
        self.install.wait_for(primary, &current, "1")?;
        *lock(&self.standby) = Some(standby);
        Ok(())
    }

    /// How often `text` occurs in the servers' logs.
    pub fn count_in_logs(&self, text: &str) -> Result<usize> {
        let mut count = 0;
        for entry in fs::read_dir(self.install.log_folder())? {
            let log = fs::read(entry?.path())?;
            count += String::from_utf8_lossy(&log).matches(text).count();
        }
        Ok(count)
    }
}

impl Server {
    fn end(&mut self, signal: Signal) -> Result<()> {
        let pid = fs::read_to_string(self.data.join("postmaster.pid"))
            .context("PostgreSQL is not running")?;
        let pid: Option<i32> = pid.lines().next().and_then(|line| line.trim().parse().ok());
        let pid = pid
            .and_then(Pid::from_raw)
            .context("postmaster.pid holds no process id")?;
        kill_process(pid, signal)?;
        let began = Instant::now();
        while self.service.check_alive().is_ok() {
            if began.elapsed() > LIMIT {
                bail!("PostgreSQL did not stop after {signal:?}.");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Install {
    fn new(folder: &Path) -> Result<Self> {
        let user = ServiceUser::choose()?;
        let folder = folder.join("postgres");
        fs::DirBuilder::new().mode(0o755).create(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        user.own(&folder)?;
        let install = Self {
            binaries: Binaries::find_or_install(&folder.join("install.log"))?,
            user,
            folder,
        };
        fs::create_dir(install.log_folder())?;
        Ok(install)
    }

    fn log_folder(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn command(&self, program: &str) -> Command {
        self.user.command(self.binaries.program(program))
    }

    fn init(&self, data: &Path) -> Result<()> {
        let mut command = self.command("initdb");
        command
            .args([
                "-U",
                NAME,
                "-E",
                "UTF8",
                "--locale=C",
                "--auth=trust",
                "--no-sync",
                "-D",
            ])
            .arg(data);
        output(&mut command, "create a database cluster").map(drop)
    }

    fn copy(&self, primary: u16, data: &Path) -> Result<()> {
        let mut command = self.command("pg_basebackup");
        command.args([
            "-h",
            "127.0.0.1",
            "-U",
            NAME,
            "-c",
            "fast",
            "-X",
            "stream",
            "-R",
            "--no-sync",
            "-p",
        ]);
        command.arg(primary.to_string()).arg("-D").arg(data);
        output(&mut command, "copy the database cluster").map(drop)
    }

    fn serve(&self, data: &Path, port: u16) -> Result<Server> {
        let began = Instant::now();
        loop {
            let mut service = self.spawn(data, port)?;
            let ready = service.wait_until(|| self.is_ready(port));
            match ready {
                Ok(()) => {
                    return Ok(Server {
                        service,
                        data: data.to_owned(),
                        port,
                    });
                }
                // After a kill, backends of the previous server may still run and prevent the start
                // of the new server.
                Err(_) if began.elapsed() < LIMIT => std::thread::sleep(Duration::from_millis(100)),
                Err(error) => return Err(error),
            }
        }
    }

    fn spawn(&self, data: &Path, port: u16) -> Result<Service> {
        let unique = fs::read_dir(self.log_folder())?.count();
        let spec = ServiceSpec {
            name: "PostgreSQL",
            stop_with: Signal::QUIT,
            grace: Duration::from_secs(10),
            log: self.log_folder().join(format!("postgres-{unique:04}.log")),
        };
        let mut command = self.command("postgres");
        command.arg("-D").arg(data).arg("-p").arg(port.to_string());
        for option in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=120",
            "fsync=off",
            "track_commit_timestamp=on",
            "deadlock_timeout=100ms",
            "log_lock_waits=on",
            "log_line_prefix=%m [%p] %a ",
            "checkpoint_timeout=30s",
            "wal_keep_size=256MB",
            "wal_retrieve_retry_interval=200ms",
        ] {
            command.args(["-c", option]);
        }
        Service::start(spec, command)
    }

    fn is_ready(&self, port: u16) -> bool {
        let mut check = Command::new(self.binaries.program("pg_isready"));
        check
            .args(["-q", "-h", "127.0.0.1", "-p"])
            .arg(port.to_string());
        check
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn psql(&self, port: u16, database: &str, sql: &str) -> Result<String> {
        let mut psql = self.binaries.psql(port, NAME, database, sql);
        output(&mut psql, "use the database cluster").map(|text| text.trim().to_owned())
    }

    fn wait_for(&self, port: u16, sql: &str, expected: &str) -> Result<()> {
        let began = Instant::now();
        while self.psql(port, "postgres", sql)? != expected {
            if began.elapsed() > LIMIT {
                bail!("The result of {sql} did not become {expected}.");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn set_synchronous(&self, port: u16, names: &str) -> Result<()> {
        self.psql(
            port,
            "postgres",
            &format!("alter system set synchronous_standby_names = '{names}'"),
        )?;
        self.psql(port, "postgres", "select pg_reload_conf()")
            .map(drop)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
