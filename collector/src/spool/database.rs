//! Opening the database.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

const FILE: &str = "state.db";
/// Increases with each change of `schema.sql`.
const VERSION: i32 = 1;
/// How long to wait for the transaction of another connection.
const BUSY: Duration = Duration::from_secs(10);

/// A connection to the database. Several may be open at once.
#[derive(Debug)]
pub struct Spool {
    pub(super) connection: Connection,
}

impl Spool {
    /// Opens the database, and creates it if it does not exist. Fails if it is another server's.
    pub fn open(folder: &Path, server_id: i32) -> Result<Self> {
        let mut create = DirBuilder::new();
        let created = create.recursive(true).mode(0o700).create(folder);
        created.with_context(|| format!("Cannot create the folder {}", folder.display()))?;
        let path = folder.join(FILE);
        let connection = Connection::open(&path);
        let connection = connection.with_context(|| format!("Cannot open {}", path.display()))?;
        let mut spool = Self { connection };
        spool
            .prepare(server_id)
            .with_context(|| format!("Cannot use {}", path.display()))?;
        Ok(spool)
    }

    /// Opens an existing database only for reading. `None` if it does not exist.
    pub fn open_read_only(folder: &Path, server_id: i32) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let exists = path.try_exists();
        if !exists.with_context(|| format!("Cannot read {}", path.display()))? {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags);
        let connection = connection.with_context(|| format!("Cannot open {}", path.display()))?;
        connection.busy_timeout(BUSY)?;
        let spool = Self { connection };
        spool
            .check(server_id)
            .with_context(|| format!("Cannot use {}", path.display()))?;
        Ok(Some(spool))
    }

    fn prepare(&mut self, server_id: i32) -> Result<()> {
        self.connection.busy_timeout(BUSY)?;
        self.connection.pragma_update(None, "journal_mode", "wal")?;
        self.connection.pragma_update(None, "synchronous", "full")?;
        let transaction = self.begin()?;
        let version: i32 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            transaction.execute_batch(include_str!("schema.sql"))?;
            transaction.execute(
                "insert into collector (one, server_id) values (1, ?1)",
                [server_id],
            )?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        transaction.commit()?;
        self.check(server_id)
    }

    fn check(&self, server_id: i32) -> Result<()> {
        let version: i32 = self
            .connection
            .pragma_query_value(None, "user_version", |row| row.get(0))?;
        ensure!(
            version == VERSION,
            "it was written by another version of this program (schema {version})"
        );
        let own: i32 = self
            .connection
            .query_row("select server_id from collector", [], |row| row.get(0))?;
        if own != server_id {
            bail!(
                "it belongs to server {own}, and `server_id` is {server_id}. Use another folder in \
                 `spool`, or correct `server_id`"
            );
        }
        Ok(())
    }

    /// Begins a transaction that may write. It waits for that of another connection.
    pub(super) fn begin(&mut self) -> Result<Transaction<'_>> {
        let behavior = TransactionBehavior::Immediate;
        Ok(self.connection.transaction_with_behavior(behavior)?)
    }
}
