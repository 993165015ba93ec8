//! The project's own database cluster.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::binaries::Binaries;
use crate::files::{remove, write_private};
use crate::process::{Service, ServiceSpec, ServiceUser, output, run_logged, succeeds};
use crate::progress;
use crate::settings::Settings;

/// Name of the database and of its owner.
const NAME: &str = "telecom";

/// A running cluster. Dropping it stops it.
#[derive(Debug)]
pub struct Cluster {
    pub service: Service,
    /// URL of the cluster's database, including the password.
    pub url: String,
}

impl Cluster {
    /// Starts the cluster of `settings`. Creates it first if it does not exist.
    pub fn start(settings: &Settings) -> Result<Self> {
        let parts = Parts::prepare(settings)?;
        if !parts.data.join("PG_VERSION").is_file() {
            progress::step("Creating the database cluster", || parts.create())?;
        }
        progress::step(
            &format!("Starting PostgreSQL {}", parts.binaries.major),
            || parts.start(),
        )
    }
}

struct Parts<'a> {
    settings: &'a Settings,
    binaries: Binaries,
    user: ServiceUser,
    data: PathBuf,
    password: String,
}

impl<'a> Parts<'a> {
    fn prepare(settings: &'a Settings) -> Result<Self> {
        settings.create_state()?;
        let binaries = Binaries::find_or_install(&settings.log("install"))?;
        let user = ServiceUser::choose()?;
        let data = data_folder(settings, user)?;
        let binaries = matching_version(binaries, &data)?;
        let password = password(&settings.state.join("postgres-password"))?;
        Ok(Self {
            settings,
            binaries,
            user,
            data,
            password,
        })
    }

    /// Creates the data folder under another name first, so that an incomplete folder is never used
    /// as a cluster.
    fn create(&self) -> Result<()> {
        let parent = self.data.parent();
        let parent = parent.context("The data folder has no parent")?;
        let (unfinished, password_file) = (parent.join("postgres.new"), parent.join("postgres.pw"));
        remove(&unfinished)?;
        if self.data.exists() {
            bail!(
                "{} holds no usable database cluster. Restore it, or delete all local data with \
                 `make clean`.",
                self.data.display()
            );
        }
        fs::DirBuilder::new().mode(0o700).create(&unfinished)?;
        self.user.own(&unfinished)?;
        write_private(&password_file, &self.password)?;
        self.user.own(&password_file)?;
        let mut initdb = self.user.command(self.binaries.program("initdb"));
        initdb.args(["-E", "UTF8", "--locale=C", "-U", NAME, "-D"]);
        initdb.arg(&unfinished);
        initdb.arg(format!("--pwfile={}", password_file.display()));
        if self.settings.durable {
            initdb.arg("--auth=scram-sha-256");
        } else {
            // Tests open thousands of connections. A client's SCRAM takes a debug build 25 ms of
            // computing for each.
            initdb.args(["--auth=password", "--no-sync"]);
        }
        let log = self.settings.log("initdb");
        let made = run_logged(initdb, &log, "create the database cluster");
        fs::remove_file(&password_file)?;
        made?;
        fs::rename(&unfinished, &self.data).context("Cannot rename the new database cluster")
    }

    fn start(&self) -> Result<Cluster> {
        let spec = ServiceSpec {
            name: "PostgreSQL",
            stop_with: Signal::INT,
            grace: Duration::from_secs(30),
            log: self.settings.log("postgres"),
        };
        let mut service = Service::start(spec, self.server())?;
        service.wait_until(|| self.is_ready()).with_context(|| {
            format!(
                "If its data folder {} is damaged, `make clean` deletes it.",
                self.data.display()
            )
        })?;
        self.create_database()?;
        let url = format!(
            "postgres://{NAME}:{}@127.0.0.1:{}/{NAME}",
            self.password, self.settings.postgres_port
        );
        Ok(Cluster { service, url })
    }

    fn server(&self) -> Command {
        let mut server = self.user.command(self.binaries.program("postgres"));
        server.arg("-D").arg(&self.data);
        server.args(["-p", &self.settings.postgres_port.to_string()]);
        let mut options = vec![
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=400",
            "track_io_timing=on",
            "log_line_prefix=%m [%p] %a ",
            // As on AWS, statements' parameters are not logged, because they contain users' data.
            "log_parameter_max_length=0",
            "log_parameter_max_length_on_error=0",
        ];
        if self.binaries.has_library("pg_stat_statements") {
            options.push("shared_preload_libraries=pg_stat_statements");
        }
        if !self.settings.durable {
            options.extend([
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
            ]);
        }
        for option in options {
            server.args(["-c", option]);
        }
        server
    }

    fn is_ready(&self) -> bool {
        let mut check = Command::new(self.binaries.program("pg_isready"));
        let port = self.settings.postgres_port.to_string();
        check.args(["-q", "-h", "127.0.0.1", "-p", &port]);
        succeeds(&mut check)
    }

    fn create_database(&self) -> Result<()> {
        let exists = self.query(
            "postgres",
            &format!("select 1 from pg_database where datname = '{NAME}'"),
        )?;
        if exists.trim().is_empty() {
            self.query("postgres", &format!("create database {NAME}"))?;
            if self.binaries.has_library("pg_stat_statements") {
                self.query(NAME, "create extension if not exists pg_stat_statements")?;
            }
        }
        Ok(())
    }

    fn query(&self, database: &str, sql: &str) -> Result<String> {
        let port = self.settings.postgres_port;
        let mut psql = self.binaries.psql(port, NAME, database, sql);
        psql.env("PGPASSWORD", &self.password);
        output(&mut psql, "query the database cluster").context(
            "The cluster may not accept this project's password. `make clean` deletes the cluster \
             with its data.",
        )
    }
}

/// Folder of the cluster's data. It is in the state folder if the service user can reach that.
fn data_folder(settings: &Settings, user: ServiceUser) -> Result<PathBuf> {
    if user.can_enter(&settings.state) {
        return Ok(settings.state.join("postgres"));
    }
    let parent = fallback_folder(&settings.state);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(&parent)?;
    progress::note(&format!(
        "The user that runs PostgreSQL cannot enter {}. The data is in {}.",
        settings.state.display(),
        parent.display()
    ));
    Ok(parent.join("postgres"))
}

/// Parent of the data folder if the service user cannot reach the state folder `state`.
#[must_use]
pub fn fallback_folder(state: &Path) -> PathBuf {
    let name = state
        .to_string_lossy()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    PathBuf::from(format!("/var/tmp/telecom{name}"))
}

/// Only the major version that created a cluster can use it.
fn matching_version(newest: Binaries, data: &Path) -> Result<Binaries> {
    let Ok(made_by) = fs::read_to_string(data.join("PG_VERSION")) else {
        return Ok(newest);
    };
    let made_by: u32 = made_by
        .trim()
        .parse()
        .context("PG_VERSION in the data folder is not a number")?;
    if made_by == newest.major {
        return Ok(newest);
    }
    match Binaries::find_major(made_by) {
        Some(found) => Ok(found),
        None => bail!(
            "{} was created by PostgreSQL {made_by}, and this machine has {}. Install version \
             {made_by}, or delete all local data with `make clean`.",
            data.display(),
            newest.major
        ),
    }
}

/// Reads the password from `file`. Generates it at the first call.
fn password(file: &Path) -> Result<String> {
    if let Ok(kept) = fs::read_to_string(file) {
        return Ok(kept);
    }
    let made = format!("{:032x}", rand::random::<u128>());
    write_private(file, &made)?;
    Ok(made)
}
