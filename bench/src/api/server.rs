//! The gRPC server in a process of its own, as its container runs it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};
use tonic::transport::{Channel, Endpoint};

use crate::peak::peak_mb;
use crate::token::Issuer;

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    endpoint: Endpoint,
    log: PathBuf,
}

impl Server {
    /// Starts it, and waits until it listens.
    pub async fn start(binaries: &Path, database_url: &str, issuer: &Issuer) -> Result<Self> {
        let binary = binaries.join("telecom-grpc");
        let address = free_address()?;
        let log = std::env::temp_dir().join("telecom-bench-grpc.log");
        let output = fs::File::create(&log)
            .with_context(|| format!("{} cannot be written.", log.display()))?;
        let process = Command::new(&binary)
            .env_clear()
            .env("DATABASE_URL", database_url)
            .env("TELECOM_GRPC_ADDRESS", address.to_string())
            .envs(issuer.environment())
            .stdin(Stdio::null())
            .stdout(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!(
                    "{} cannot be started. `make build` builds it.",
                    binary.display()
                )
            })?;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
        let mut server = Self {
            process,
            endpoint,
            log,
        };
        tokio::time::timeout(PATIENCE, server.listening())
            .await
            .context("The gRPC server does not listen.")??;
        Ok(server)
    }

    async fn listening(&mut self) -> Result<()> {
        while self.endpoint.connect().await.is_err() {
            if let Some(status) = self.process.try_wait()? {
                bail!(
                    "The gRPC server ended by itself ({status}); its log is {}.",
                    self.log.display()
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// A connection of its own.
    pub async fn connect(&self) -> Result<Channel> {
        self.endpoint
            .connect()
            .await
            .context("The gRPC server cannot be reached.")
    }

    /// Its peak memory so far, in units of 2^20 bytes.
    pub fn peak_mb(&self) -> Result<f64> {
        peak_mb(&self.process)
    }
}

/// One that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("No port of 127.0.0.1 can be listened on.")?;
    Ok(listener.local_addr()?)
}
