//! A temporary database server for the duration of one command.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use shared::db::MIGRATOR;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::runtime::Builder;

use super::{Cluster, check_url};
use crate::process::wait_interruptibly;
use crate::settings::Settings;

/// Runs `command` with `DATABASE_URL` set to a server whose role may create databases, and returns
/// the command's exit status. `existing` is the URL of a server to use instead of a temporary one.
/// `durable` makes commits wait for the disk.
pub fn with_database(
    root: &Path,
    existing: Option<&str>,
    durable: bool,
    command: &[String],
) -> Result<ExitCode> {
    if let Some(url) = existing {
        check_url(url)?;
        return run(command, url);
    }
    let (settings, _folder) = Settings::ephemeral(root)?;
    let settings = Settings {
        durable,
        ..settings
    };
    let cluster = Cluster::start(&settings)?;
    migrate_template(&cluster.url)?;
    run(command, &cluster.url)
}

/// Migrates `template1`, of which each new database is a copy. A test's database is then migrated
/// when it is created, in a fraction of the time.
fn migrate_template(url: &str) -> Result<()> {
    let template = PgConnectOptions::from_str(url)?.database("template1");
    let migrate = async {
        let mut connection = template.connect().await?;
        // The role has the schema's name. By default it would search the list of migrations, which
        // is in `public`, in the schema.
        sqlx::query("alter role current_user set search_path = public")
            .execute(&mut connection)
            .await?;
        MIGRATOR.run(&mut connection).await
    };
    Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(migrate)
        .context("Cannot migrate the template of the tests' databases")
}

/// The command stays in the terminal's foreground group, so that Ctrl-C reaches it too.
fn run(command: &[String], url: &str) -> Result<ExitCode> {
    let [program, arguments @ ..] = command else {
        bail!("Missing command. Usage: with-database -- COMMAND...")
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env("DATABASE_URL", url)
        .spawn()
        .with_context(|| format!("Cannot start `{program}`"))?;
    let status = wait_interruptibly(&mut child)?;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
