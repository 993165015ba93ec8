//! Python virtual environments with pinned packages, one per tool.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{AsRoot, find_program, output, run_logged, shared_command};
use crate::progress;
use crate::settings::Settings;

const INSTALL: &str = "-m pip install --disable-pip-version-check --no-input -r";
const NO_VENV: &str = "Python cannot create a virtual environment. Install the missing package \
    (Debian, Ubuntu: `sudo apt-get install python3-venv`).";

/// Lets the interpreters that `command` starts load `local/python/sitecustomize.py`. They write no
/// compiled files beside it, and `pip` has compiled the packages already.
pub fn customize(command: &mut Command, root: &Path) {
    command.env("PYTHONPATH", root.join("local/python"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
}

#[derive(Debug, Clone)]
pub struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// Returns the environment with the packages of `local/requirements-<name>.txt`. Creates it if
    /// it does not exist or if that file has changed.
    pub fn ensure(settings: &Settings, name: &str) -> Result<Self> {
        let wanted = settings.root.join(format!("local/requirements-{name}.txt"));
        let requirements = fs::read_to_string(&wanted)
            .with_context(|| format!("Cannot read {}", wanted.display()))?;
        Settings::lasting(&settings.root).create_state()?;
        // The tools hold nothing private, and the service user runs them.
        fs::DirBuilder::new()
            .recursive(true)
            .create(settings.tools())
            .and_then(|()| fs::set_permissions(settings.tools(), fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("Cannot create {}", settings.tools().display()))?;
        // Another process may be installing the same environment.
        let lock = File::create(settings.tools().join(format!("{name}.lock")))?;
        lock.lock()
            .context("Cannot lock the folder of the Python tools")?;
        let made = Self {
            folder: settings.tools().join(name),
        };
        if fs::read_to_string(made.marker()).is_ok_and(|installed| installed == requirements)
            && made.program("python").exists()
        {
            return Ok(made);
        }
        progress::step(&format!("Installing Python tools: {name}"), || {
            made.create(settings, name, &wanted)
        })?;
        fs::write(made.marker(), requirements)?;
        Ok(made)
    }

    /// Path of one of the environment's programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Path of the copy of the installed requirements. It is written last.
    fn marker(&self) -> PathBuf {
        self.folder.join("installed.txt")
    }

    fn create(&self, settings: &Settings, name: &str, requirements: &Path) -> Result<()> {
        let log = settings.log(&format!("tools-{name}"));
        let least = least_version(&fs::read_to_string(requirements)?);
        make_environment(&find_python(least)?, &self.folder, &log)?;
        let mut pip = shared_command(self.program("python"));
        pip.args(INSTALL.split(' ')).arg(requirements);
        run_logged(
            pip,
            &log,
            "install the Python tools. Can this machine reach the package index (PyPI)?",
        )
    }
}

fn make_environment(python: &Path, folder: &Path, log: &Path) -> Result<()> {
    let attempt = |module: &str| {
        let mut make = shared_command(python);
        make.args(["-m", module, "--clear"]).arg(folder);
        run_logged(make, log, "create a virtual environment")
    };
    if attempt("venv").is_ok() || attempt("virtualenv").is_ok() {
        return Ok(());
    }
    // On Debian, a separate package holds a part of `venv`.
    let Some(root) = AsRoot::with_apt() else {
        bail!(NO_VENV)
    };
    root.install(&["python3-venv"], log).context(NO_VENV)?;
    attempt("venv").context(NO_VENV)
}

/// The minimum minor version of Python 3, from a line of the requirements such as `# python >=
/// 3.13`.
fn least_version(requirements: &str) -> u32 {
    let line = requirements
        .lines()
        .find_map(|line| line.strip_prefix("# python >= 3."));
    line.and_then(|minor| minor.trim().parse().ok())
        .unwrap_or(10)
}

/// Returns the first Python that is new enough. Candidates are `TELECOM_PYTHON`, the search path
/// and pyenv, in this order.
fn find_python(least: u32) -> Result<PathBuf> {
    let names = "python3 python3.14 python3.13 python3.12 python3.11 python3.10 python";
    let chosen = std::env::var_os("TELECOM_PYTHON").map(PathBuf::from);
    let candidates = chosen
        .into_iter()
        .chain(names.split(' ').filter_map(find_program))
        .chain(pyenv_versions());
    let new_enough = |python: &PathBuf| {
        let check = format!("import sys; sys.exit(sys.version_info < (3, {least}))");
        output(
            Command::new(python).args(["-c", &check]),
            "get Python's version",
        )
        .is_ok()
    };
    candidates.into_iter().find(new_enough).with_context(|| {
        format!(
            "Python 3.{least} or newer is needed. Install it (Debian, Ubuntu: `sudo apt-get \
            install python3 python3-venv`), or set TELECOM_PYTHON to its path."
        )
    })
}

/// All versions that pyenv has installed, whether on the search path or not.
fn pyenv_versions() -> Vec<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv"));
    let root = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(home);
    let versions = root.and_then(|root| fs::read_dir(root.join("versions")).ok());
    versions
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin/python3"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_name_their_minimum_python() {
        let of = |name: &str| {
            let file = crate::settings::repository().join(format!("local/requirements-{name}.txt"));
            least_version(&fs::read_to_string(file).unwrap())
        };
        assert_eq!((of("localstack"), of("ministack")), (13, 10));
    }
}
