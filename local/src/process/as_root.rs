//! Commands that need root, such as the installation of Debian packages.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::command::{find_program, output, run_logged};

/// Runs commands as root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsRoot {
    sudo: bool,
}

impl AsRoot {
    /// Returns `None` if there is no `apt-get`, or no way to run it.
    pub(crate) fn with_apt() -> Option<Self> {
        Self::find().filter(|_| find_program("apt-get").is_some())
    }

    /// Returns `None` if this user is not root and `sudo` would ask for a password.
    fn find() -> Option<Self> {
        if rustix::process::geteuid().is_root() {
            return Some(Self { sudo: false });
        }
        find_program("sudo")?;
        output(
            Command::new("sudo").args(["-n", "true"]),
            "run sudo without a password",
        )
        .ok()
        .map(|_| Self { sudo: true })
    }

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

    pub(crate) fn command(self, program: &str, arguments: &[&str]) -> Command {
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
