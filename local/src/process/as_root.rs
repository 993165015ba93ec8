//! Commands that need root, such as the installation of Debian packages.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::command::{find_program, run_logged, succeeds};

const INSTALL: &str = "install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold";

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
        succeeds(Command::new("sudo").args(["-n", "true"])).then_some(Self { sudo: true })
    }

    pub(crate) fn install(self, packages: &[&str], log: &Path) -> Result<()> {
        let update = self.command("apt-get", &["update", "-q"]);
        run_logged(update, log, "refresh the list of packages")?;
        let arguments: Vec<&str> = INSTALL.split(' ').collect();
        let install = self.command("apt-get", &[&arguments, packages].concat());
        run_logged(install, log, "install packages")
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
