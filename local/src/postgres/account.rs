//! The operating system user that PostgreSQL runs as.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{dying_with_parent, find_program};

/// Who runs the database: this user, or for root, whom PostgreSQL refuses, somebody without rights.
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
                "PostgreSQL does not run as root, and `setpriv` (package util-linux) is not there to run it as somebody else. Run this as an ordinary user."
            );
        }
        let passwd = fs::read_to_string("/etc/passwd").context("Cannot read /etc/passwd")?;
        match find_ids(&passwd, "postgres").or_else(|| find_ids(&passwd, "nobody")) {
            Some(ids) => Ok(Self { other: Some(ids) }),
            None => bail!(
                "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`. Run this as an ordinary user."
            ),
        }
    }

    /// A command that runs as this account and is asked to stop with `SIGINT` when this process dies.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = dying_with_parent(program, "INT", self.other);
        // The account may not be allowed to stand in the caller's folder.
        command.current_dir("/").env_remove("DATABASE_URL").env("LC_ALL", "C");
        command
    }

    /// Gives `path` to the account.
    pub fn own(self, path: &Path) -> Result<()> {
        let Some((uid, gid)) = self.other else { return Ok(()) };
        chown(path, Some(uid), Some(gid))
            .with_context(|| format!("Cannot give {} to the database's user", path.display()))
    }

    /// Whether the account can pass through `folder` to what lies below.
    pub fn can_enter(self, folder: &Path) -> bool {
        let mut test = self.command("test");
        test.arg("-x").arg(folder).stdin(Stdio::null()).stderr(Stdio::null());
        test.status().is_ok_and(|status| status.success())
    }
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
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:1:1::/:/bin/sh\npostgres:x:105:113::/:/bin/sh\n";
        assert_eq!(find_ids(passwd, "postgres"), Some((105, 113)));
        assert_eq!(find_ids(passwd, "nobody"), None);
    }
}
