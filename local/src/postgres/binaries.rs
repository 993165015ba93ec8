//! PostgreSQL's programs: found on this machine, or installed from Debian.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{find_program, output, run_logged};
use crate::progress;

/// The oldest major version the schema works with.
pub const OLDEST_MAJOR: u32 = 15;

/// What is said when PostgreSQL is absent and cannot be installed.
const ABSENT: &str = "PostgreSQL 15 or newer is needed. Install it (Debian, Ubuntu: `sudo apt-get \
    install postgresql`), \
     or set DATABASE_URL to a database you have.";

/// One installed PostgreSQL.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    /// Its major version.
    pub major: u32,
}

impl Binaries {
    /// The newest usable PostgreSQL of this machine.
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

    /// The PostgreSQL of exactly this major version: what an existing data folder needs.
    #[must_use]
    pub fn find_major(major: u32) -> Option<Self> {
        candidate_folders()
            .iter()
            .filter_map(|folder| Self::in_folder(folder))
            .find(|found| found.major == major)
    }

    /// As [`Self::find`], but installs Debian's package when there is none and this user may.
    pub fn find_or_install(log: &Path) -> Result<Self> {
        if let Ok(found) = Self::find() {
            return Ok(found);
        }
        progress::step("Installing PostgreSQL with apt-get", || install(log))?;
        Self::find()
    }

    /// The path of one of its programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether `library` can be preloaded by its server.
    #[must_use]
    pub fn has_library(&self, library: &str) -> bool {
        let file = format!("{library}.so");
        let beside = self
            .folder
            .parent()
            .map(|version| version.join("lib").join(&file));
        if beside.is_some_and(|path| path.is_file()) {
            return true;
        }
        let asked = output(
            Command::new(self.program("pg_config")).arg("--pkglibdir"),
            "ask for PostgreSQL's libraries",
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
            "ask for PostgreSQL's version",
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
    if let Ok(folder) = output(Command::new("pg_config").arg("--bindir"), "ask pg_config") {
        folders.push(PathBuf::from(folder.trim()));
    }
    for entry in fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
    {
        folders.push(entry.path().join("bin"));
    }
    folders
}

/// The major version in the likes of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn parse_major(version: &str) -> Option<u32> {
    let number = version
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn install(log: &Path) -> Result<()> {
    let Some(apt) = AsRoot::find().filter(|_| find_program("apt-get").is_some()) else {
        bail!(ABSENT)
    };
    // Debian would create and start a cluster of its own with the package.
    let settings = "/etc/postgresql-common/createcluster.conf";
    let keep = format!(
        "mkdir -p /etc/postgresql-common && {{ test -e {settings} || echo 'create_main_cluster = \
         false' > {settings}; }}"
    );
    run_logged(
        apt.command("sh", &["-c", &keep]),
        log,
        "keep Debian from starting a cluster of its own",
    )?;
    apt.install(&["postgresql"], log).context(ABSENT)
}

/// The way to run a command as root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsRoot {
    sudo: bool,
}

impl AsRoot {
    /// None if this user is not root and `sudo` would ask for a password.
    pub(crate) fn find() -> Option<Self> {
        if rustix::process::geteuid().is_root() {
            return Some(Self { sudo: false });
        }
        find_program("sudo")?;
        output(Command::new("sudo").args(["-n", "true"]), "ask sudo")
            .ok()
            .map(|_| Self { sudo: true })
    }

    /// Installs Debian packages.
    pub(crate) fn install(self, packages: &[&str], log: &Path) -> Result<()> {
        run_logged(
            self.command("apt-get", &["update", "-q"]),
            log,
            "refresh the list of packages",
        )?;
        let arguments = [
            "install",
            "-y",
            "-q",
            "--no-install-recommends",
            "-o",
            "Dpkg::Options::=--force-confold",
        ];
        run_logged(
            self.command("apt-get", &[&arguments[..], packages].concat()),
            log,
            "install packages",
        )
    }

    fn command(self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(if self.sudo { "sudo" } else { "env" });
        if self.sudo {
            command.args(["-n", "env"]);
        }
        command
            .arg("DEBIAN_FRONTEND=noninteractive")
            .arg(program)
            .args(arguments);
        command
    }
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
