//! One collector per spool.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::Path;
use std::process;

use anyhow::{Context, Result, bail};

const FILE: &str = "lock";

/// Held for as long as the value lives. The kernel releases it if the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Fails if another process holds the lock.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let mut file = file.with_context(|| format!("Cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "Another collector uses {}. Two would report every byte twice",
                folder.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).context(format!("Cannot lock {}", path.display()));
            }
        }
        file.set_len(0)?;
        write!(file, "{}", process::id())?;
        Ok(Self { _file: file })
    }

    /// The process that holds the lock. `None` if no process does.
    pub fn holder(folder: &Path) -> Result<Option<i32>> {
        let path = folder.join(FILE);
        let Ok(file) = File::open(&path) else {
            return Ok(None);
        };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {}
            _ => return Ok(None),
        }
        let holder = fs::read_to_string(&path)?;
        Ok(holder.trim().parse().ok())
    }
}
