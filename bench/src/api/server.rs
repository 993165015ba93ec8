//! The gRPC server in its own process, as in its container.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use local::demo::token::Issuer;
use local::loopback::ports::free_port;
use tokio::process::Child;
use tonic::transport::{Channel, Endpoint};

use crate::cost::processor_time;
use crate::process::{peak_mb, spawn};
use crate::token;

/// Time limit of the start.
const START_LIMIT: Duration = Duration::from_secs(5);

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    process: Child,
    endpoint: Endpoint,
    log: PathBuf,
}

impl Server {
    /// Starts the server and waits until it accepts connections.
    pub async fn start(binaries: &Path, database_url: &str, issuer: &Issuer) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let log = std::env::temp_dir().join("telecom-bench-grpc.log");
        let variables = [
            ("DATABASE_URL", database_url.to_owned()),
            ("TELECOM_GRPC_ADDRESS", address.to_string()),
            // Counted as when deployed, on a port that is not asked.
            ("TELECOM_GRPC_METRICS_ADDRESS", "127.0.0.1:0".to_owned()),
        ];
        let environment = variables.into_iter().chain(token::environment(issuer)?);
        let process = spawn(&binaries.join("telecom-grpc"), &log, environment)?;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
        let mut server = Self {
            process,
            endpoint,
            log,
        };
        tokio::time::timeout(START_LIMIT, server.listening())
            .await
            .context("The gRPC server does not accept connections.")??;
        Ok(server)
    }

    async fn listening(&mut self) -> Result<()> {
        while self.endpoint.connect().await.is_err() {
            if let Some(status) = self.process.try_wait()? {
                bail!(
                    "The gRPC server ended by itself ({status}). Its log is {}.",
                    self.log.display()
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    pub async fn connect(&self) -> Result<Channel> {
        self.endpoint
            .connect()
            .await
            .context("The gRPC server cannot be reached.")
    }

    /// Processor time of the server so far.
    pub fn processor_time(&self) -> Result<Duration> {
        let id = self.process.id().context("The server has ended.")?;
        processor_time(&id.to_string()).context("The processor time of the server is unknown.")
    }

    /// Peak memory of the server so far, in units of 2^20 bytes.
    pub fn peak_mb(&self) -> Result<f64> {
        peak_mb(&self.process)
    }
}
