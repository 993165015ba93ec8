//! The operating system user that runs PostgreSQL, the emulator and the functions.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::command::{dying_with_parent, find_program, succeeds};
use crate::progress::note;

/// The user that runs services: the current user, or, if that is root, a user without privileges.
/// PostgreSQL refuses to run as root, and the emulator and the functions do not need root's
/// privileges.
#[derive(Debug, Clone, Copy)]
pub struct ServiceUser {
    other: Option<(u32, u32)>,
}

impl ServiceUser {
    /// Chooses the current user, or, if that is root, `postgres` or else `nobody`.
    pub fn choose() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { other: None });
        }
        if find_program("setpriv").is_none() {
            bail!(
                "Services do not run as root, and `setpriv` (package util-linux), which starts \
                 them as another user, is not installed. Run this program as an ordinary user."
            );
        }
        let passwd = fs::read_to_string("/etc/passwd").context("Cannot read /etc/passwd")?;
        match find_ids(&passwd, "postgres").or_else(|| find_ids(&passwd, "nobody")) {
            Some(ids) => Ok(Self { other: Some(ids) }),
            None => bail!(
                "Services do not run as root, and there is neither a user `postgres` nor \
                 `nobody`. Run this program as an ordinary user."
            ),
        }
    }

    /// As [`ServiceUser::choose`], for services that need access to all of `paths`. If the chosen
    /// user cannot reach one of them, as below `/root`, services run as root and a note is printed.
    pub fn choose_to_reach(paths: &[&Path]) -> Result<Self> {
        let user = Self::choose()?;
        let Some(path) = paths.iter().find(|path| !user.can_enter(path)) else {
            return Ok(user);
        };
        note(&format!(
            "Services run as root, because the user that should run them cannot reach {}. To avoid \
             this, move it to a folder that other users can enter.",
            path.display()
        ));
        Ok(Self { other: None })
    }

    /// A command for a service of this user. The kernel sends it `signal` when this process dies.
    /// Its home folder is `home`.
    pub fn service(self, program: impl AsRef<OsStr>, signal: &str, home: &Path) -> Command {
        let mut command = dying_with_parent(program, signal, self.other);
        if self.other.is_some() {
            command.env("HOME", home);
        }
        command
    }

    /// A command that runs as this user. The kernel sends it `SIGINT` when this process dies.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = dying_with_parent(program, "INT", self.other);
        // The user may not be allowed to enter the current folder.
        command
            .current_dir("/")
            .env_remove("DATABASE_URL")
            .env("LC_ALL", "C");
        command
    }

    /// Makes the user the owner of `path`.
    pub fn own(self, path: &Path) -> Result<()> {
        let Some((uid, gid)) = self.other else {
            return Ok(());
        };
        chown(path, Some(uid), Some(gid))
            .with_context(|| format!("Cannot change the owner of {}", path.display()))
    }

    /// Makes the user the owner of a folder and of everything in it.
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

    /// Lets only the current user and the service user into `folder`.
    pub fn let_in(self, folder: &Path) -> Result<()> {
        let Some((_, gid)) = self.other else {
            return set_mode(folder, 0o700);
        };
        chown(folder, None, Some(gid))
            .with_context(|| format!("Cannot change the group of {}", folder.display()))?;
        set_mode(folder, 0o710)
    }

    /// Whether the user can pass through `folder` to its contents.
    #[must_use]
    pub fn can_enter(self, folder: &Path) -> bool {
        let mut test = self.command("test");
        succeeds(test.arg("-x").arg(folder))
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
    fn ids_are_read_from_the_line_of_the_named_user() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:1:1::/:/bin/sh\n\
             postgres:x:105:113::/:/bin/sh\n";
        assert_eq!(find_ids(passwd, "postgres"), Some((105, 113)));
        assert_eq!(find_ids(passwd, "nobody"), None);
    }
}
