//! Files of JSON lines to which one process appends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::{private_folder, try_lock};

/// A file that is open for writing. The process holds a lock on it.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
}

impl Journal {
    /// Opens or creates the file at `path`, and passes its entries to `enter`.
    ///
    /// Removes an incomplete last line, which a crash may leave behind.
    pub fn open<E: DeserializeOwned>(path: &Path, enter: impl FnMut(E)) -> Result<Self> {
        if let Some(folder) = path.parent() {
            private_folder(folder)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("Cannot open {}", path.display()))?;
        if !try_lock(&file).context("Cannot lock the account")? {
            bail!("Another simulator is writing {}", path.display());
        }
        let bytes = read(path, enter)?;
        file.set_len(bytes).context("Cannot repair the account")?;
        Ok(Self { file })
    }

    /// Appends in one write, so that a reader sees whole lines, except perhaps the last one.
    pub fn append(&mut self, entries: &[impl Serialize]) -> Result<()> {
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        self.file
            .write_all(&text)
            .context("Cannot write the account")
    }

    /// Returns when all entries are on the disk.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().context("Cannot write the account")
    }
}

/// Passes the entries of the file at `path` to `enter`. A file that does not exist has none.
/// Returns the size of the complete lines.
pub(super) fn read<E: DeserializeOwned>(path: &Path, mut enter: impl FnMut(E)) -> Result<u64> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        file => file.with_context(|| format!("Cannot open {}", path.display()))?,
    };
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut bytes = 0;
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        // A line without a line break is being written.
        let size = reader.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            break;
        }
        bytes += u64::try_from(size)?;
        let entry = serde_json::from_slice(&line).with_context(|| {
            format!(
                "Line {number} of {} is not an account entry",
                path.display()
            )
        })?;
        enter(entry);
    }
    Ok(bytes)
}

/// Whether a process has the file at `path` open for writing.
pub fn is_being_written(path: &Path) -> Result<bool> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("Cannot open {}", path.display())),
        Ok(file) => Ok(matches!(
            file.try_lock_shared(),
            Err(TryLockError::WouldBlock)
        )),
    }
}
