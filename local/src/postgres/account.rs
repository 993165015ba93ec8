//! The operating system user that PostgreSQL, the emulator and the functions run as.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{dying_with_parent, find_program};
use crate::progress::note;

/// The user of services: this one, or for root one without rights. PostgreSQL refuses root, and the
/// emulator and the functions need none of its rights.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    other: Option<(u32, u32)>,
}

impl Account {
    /// This user; `postgres` or else `nobody` for root.
    pub fn choose() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { other: None });
        }
        if find_program("setpriv").is_none() {
            bail!(
                "Services do not run as root, and `setpriv` (package util-linux) is not there to \
                 run them as another user. Run this as an ordinary user."
            );
        }
        let passwd = fs::read_to_string("/etc/passwd").context("Cannot read /etc/passwd")?;
        match find_ids(&passwd, "postgres").or_else(|| find_ids(&passwd, "nobody")) {
            Some(ids) => Ok(Self { other: Some(ids) }),
            None => bail!(
                "Services do not run as root, and there is neither a user `postgres` nor \
                 `nobody`. Run this as an ordinary user."
            ),
        }
    }

    /// As [`Account::choose`], for services that need all of `paths`. Where the other user cannot
    /// get to one of them, as below `/root`, it is root after all, and says so.
    pub fn choose_to_reach(paths: &[&Path]) -> Result<Self> {
        let account = Self::choose()?;
        let Some(path) = paths.iter().find(|path| !account.can_enter(path)) else {
            return Ok(account);
        };
        note(&format!(
            "Services run as root: the user that they should run as cannot get to {}. Move it to \
             a folder that others may pass.",
            path.display()
        ));
        Ok(Self { other: None })
    }

    /// A service of this account, which is asked to stop with `signal` when this process dies. Its
    /// home is `home`.
    pub fn service(self, program: impl AsRef<OsStr>, signal: &str, home: &Path) -> Command {
        let mut command = dying_with_parent(program, signal, self.other);
        if self.other.is_some() {
            command.env("HOME", home);
        }
        command
    }

    /// A command that runs as this account and is asked to stop with `SIGINT` when this process
    /// dies.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = dying_with_parent(program, "INT", self.other);
        // The account may not be allowed to stand in the caller's folder.
        command
            .current_dir("/")
            .env_remove("DATABASE_URL")
            .env("LC_ALL", "C");
        command
    }

    /// Gives `path` to the account.
    pub fn own(self, path: &Path) -> Result<()> {
        let Some((uid, gid)) = self.other else {
            return Ok(());
        };
        chown(path, Some(uid), Some(gid))
            .with_context(|| format!("Cannot give {} to the services' user", path.display()))
    }

    /// Gives a folder and all that is in it to the account.
    pub fn own_all(self, folder: &Path) -> Result<()> {
        self.own(folder)?;
        let entries =
            fs::read_dir(folder).with_context(|| format!("Cannot read {}", folder.display()))?;
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.own_all(&entry.path())?,
                Ok(kind) if kind.is_file() => self.own(&entry.path())?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Lets nobody but this user and the account into `folder`.
    pub fn let_in(self, folder: &Path) -> Result<()> {
        let Some((_, gid)) = self.other else {
            return set_mode(folder, 0o700);
        };
        chown(folder, None, Some(gid))
            .with_context(|| format!("Cannot give {} a group", folder.display()))?;
        set_mode(folder, 0o710)
    }

    /// Whether the account can pass through `folder` to what lies below.
    #[must_use]
    pub fn can_enter(self, folder: &Path) -> bool {
        let mut test = self.command("test");
        test.arg("-x")
            .arg(folder)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        test.status().is_ok_and(|status| status.success())
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions)
        .with_context(|| format!("Cannot set the mode of {}", path.display()))
}

fn find_ids(passwd: &str, user: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(user) {
            return None;
        }
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_the_line_of_that_very_user() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:1:1::/:/bin/sh\n\
             postgres:x:105:113::/:/bin/sh\n";
        assert_eq!(find_ids(passwd, "postgres"), Some((105, 113)));
        assert_eq!(find_ids(passwd, "nobody"), None);
    }
}
