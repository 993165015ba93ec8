//! PostgreSQL's programs, as installed on this machine or from Debian packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{AsRoot, find_program, output, run_logged};
use crate::progress;

/// The oldest major version that the schema supports.
pub const OLDEST_MAJOR: u32 = 15;

const ABSENT: &str = "PostgreSQL 15 or newer is needed. Install it (Debian, Ubuntu: `sudo apt-get \
    install postgresql`), \
     or set DATABASE_URL to an existing database.";

#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    pub major: u32,
}

impl Binaries {
    /// Finds the newest usable PostgreSQL of this machine.
    pub fn find() -> Result<Self> {
        let mut all: Vec<Self> = candidate_folders()
            .iter()
            .filter_map(|folder| Self::in_folder(folder))
            .collect();
        all.sort_by_key(|found| found.major);
        all.pop()
            .filter(|found| found.major >= OLDEST_MAJOR)
            .context(ABSENT)
    }

    /// Finds the PostgreSQL of exactly this major version, which an existing data folder needs.
    #[must_use]
    pub fn find_major(major: u32) -> Option<Self> {
        candidate_folders()
            .iter()
            .filter_map(|folder| Self::in_folder(folder))
            .find(|found| found.major == major)
    }

    /// As [`Self::find`], but installs Debian's package if there is no PostgreSQL and this user may
    /// install packages.
    pub fn find_or_install(log: &Path) -> Result<Self> {
        if let Ok(found) = Self::find() {
            return Ok(found);
        }
        progress::step("Installing PostgreSQL with apt-get", || install(log))?;
        Self::find()
    }

    /// Path of one of PostgreSQL's programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A call of `psql` that runs `sql` over TCP on this machine and prints bare values.
    #[must_use]
    pub fn psql(&self, port: u16, user: &str, database: &str, sql: &str) -> Command {
        let mut psql = Command::new(self.program("psql"));
        psql.args(["-X", "-tA", "-h", "127.0.0.1", "-p"])
            .arg(port.to_string())
            .args(["-U", user, "-d", database, "-c", sql]);
        psql
    }

    /// Whether the server can preload `library`.
    #[must_use]
    pub fn has_library(&self, library: &str) -> bool {
        let file = format!("{library}.so");
        if self.folder.with_file_name("lib").join(&file).is_file() {
            return true;
        }
        let asked = output(
            Command::new(self.program("pg_config")).arg("--pkglibdir"),
            "get the folder of PostgreSQL's libraries",
        );
        asked.is_ok_and(|folder| Path::new(folder.trim()).join(file).is_file())
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        let needed = ["initdb", "postgres", "psql", "pg_isready"];
        if !needed.iter().all(|program| folder.join(program).is_file()) {
            return None;
        }
        let version = output(
            Command::new(folder.join("postgres")).arg("--version"),
            "get PostgreSQL's version",
        )
        .ok()?;
        Some(Self {
            folder: folder.to_owned(),
            major: parse_major(&version)?,
        })
    }
}

fn candidate_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = find_program("postgres")
        .and_then(|path| Some(path.parent()?.to_owned()))
        .into_iter()
        .collect();
    if let Ok(folder) = output(Command::new("pg_config").arg("--bindir"), "run pg_config") {
        folders.push(PathBuf::from(folder.trim()));
    }
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter();
    folders.extend(
        packaged
            .flatten()
            .flatten()
            .map(|entry| entry.path().join("bin")),
    );
    folders
}

/// Reads the major version from a text such as `postgres (PostgreSQL) 15.18 (Debian
/// 15.18-0+deb12u1)`.
fn parse_major(version: &str) -> Option<u32> {
    let number = version
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let major = number.split(|c: char| !c.is_ascii_digit()).next()?;
    major.parse().ok()
}

fn install(log: &Path) -> Result<()> {
    let Some(apt) = AsRoot::with_apt() else {
        bail!(ABSENT)
    };
    // By default, Debian's package creates and starts a cluster.
    let settings = "/etc/postgresql-common/createcluster.conf";
    let keep = format!(
        "mkdir -p /etc/postgresql-common && {{ test -e {settings} || echo 'create_main_cluster = \
         false' > {settings}; }}"
    );
    let keep = apt.command("sh", &["-c", &keep]);
    run_logged(keep, log, "keep the package from starting a cluster")?;
    apt.install(&["postgresql"], log).context(ABSENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_any_spelling() {
        assert_eq!(
            parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_major("nonsense"), None);
    }
}
