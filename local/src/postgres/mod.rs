//! PostgreSQL: the installed programs, and a cluster of this project's own that never runs as root.

mod binaries;
mod cluster;
mod throwaway;

pub use binaries::Binaries;
pub use cluster::{Cluster, fallback_folder};
pub use throwaway::with_database;

use std::net::{TcpStream, ToSocketAddrs};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sqlx::postgres::PgConnectOptions;

use crate::process;

/// Checks that the database at `url` can be reached and is new enough. The error says what is wrong
/// with the URL or the server.
pub fn check_url(url: &str) -> Result<()> {
    let options = Some(url)
        .filter(|url| url.starts_with("postgres://") || url.starts_with("postgresql://"))
        .and_then(|url| url.parse::<PgConnectOptions>().ok())
        .context("DATABASE_URL must look like postgres://user:password@host:5432/database.")?;
    if let Ok(found) = Binaries::find() {
        return check_version(&found, url);
    }
    let address = format!("{}:{}", options.get_host(), options.get_port());
    let unreachable = || {
        format!(
            "No database server can be reached at {address}, the address in DATABASE_URL. Start \
             it, or unset DATABASE_URL."
        )
    };
    let resolved = address
        .to_socket_addrs()
        .with_context(unreachable)?
        .next()
        .with_context(unreachable)?;
    TcpStream::connect_timeout(&resolved, Duration::from_secs(5)).with_context(unreachable)?;
    Ok(())
}

fn check_version(binaries: &Binaries, url: &str) -> Result<()> {
    let mut query = Command::new(binaries.program("psql"));
    query
        .args(["-X", "-tA", "-c", "show server_version_num", url])
        .env("PGCONNECT_TIMEOUT", "5");
    let version = process::output(&mut query, "reach the database of DATABASE_URL").context(
        "DATABASE_URL is set, but its database cannot be used. Correct DATABASE_URL, or unset it \
         to use a cluster of this project's own.",
    )?;
    let number: u32 = version.trim().parse().unwrap_or_default();
    if number / 10_000 < binaries::OLDEST_MAJOR {
        bail!(
            "The database of DATABASE_URL is PostgreSQL {}; {} or newer is needed.",
            number / 10_000,
            binaries::OLDEST_MAJOR
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_another_scheme_is_refused_with_an_example() {
        let message = check_url("mysql://root@localhost/x")
            .unwrap_err()
            .to_string();
        assert!(message.contains("postgres://"), "{message}");
    }
}
