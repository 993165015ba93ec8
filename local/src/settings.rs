//! Paths and ports of one local system.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use tempfile::TempDir;

use crate::files::private_folder;
use crate::loopback::ports::free_port;
use crate::process::ServiceUser;

/// Default port of the AWS endpoint and, with ministack, of the load balancer.
pub const GATEWAY_PORT: u16 = 4566;
/// Default port of the database.
pub const POSTGRES_PORT: u16 = 54329;
/// Default port of the gRPC server.
pub const GRPC_PORT: u16 = 50_051;
/// Default port of the metrics of the gRPC server.
pub const METRICS_PORT: u16 = 9_464;
/// Default port of the page on which people sign in to the console.
pub const SIGN_IN_PORT: u16 = 4567;
/// Default port of the HTTP API with LocalStack.
pub const HTTP_PORT: u16 = 8080;
/// Name of the deployed stack and of its load balancer, and prefix of its functions' names.
pub const STACK_NAME: &str = "telecom";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    Debug,
    Release,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Emulator {
    /// Deploys the whole template.yaml, unchanged
    Ministack,
    /// Provides the queues and the event bus; this program runs the functions. Needs Python 3.13
    #[value(name = "localstack")]
    LocalStack,
}

/// The configuration of one local system.
#[derive(Debug, Clone)]
pub struct Settings {
    pub root: PathBuf,
    /// Folder for data, logs and generated files.
    pub state: PathBuf,
    /// Folder that `template.yaml` is deployed from, with the staged functions under
    /// `target/lambda/`.
    pub deploy: PathBuf,
    /// Port of the AWS endpoint and, with ministack, of the load balancer.
    pub gateway_port: u16,
    pub postgres_port: u16,
    pub grpc_port: u16,
    /// Port of the metrics of the gRPC server.
    pub metrics_port: u16,
    /// Port of the page on which people sign in to the console.
    pub sign_in_port: u16,
    pub emulator: Emulator,
    /// Port of the HTTP API with LocalStack. With ministack, the API is on `gateway_port`.
    pub http_port: u16,
    /// URL of an existing database. If `None`, this program starts PostgreSQL.
    pub database_url: Option<String>,
    pub profile: Profile,
    /// Whether data must survive a power failure and be available at the next start.
    pub durable: bool,
}

impl Settings {
    /// The developer's system. Its data is under `.local/` of the repository at `root`.
    #[must_use]
    pub fn lasting(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            state: root.join(".local"),
            deploy: root.to_owned(),
            gateway_port: GATEWAY_PORT,
            postgres_port: POSTGRES_PORT,
            grpc_port: GRPC_PORT,
            metrics_port: METRICS_PORT,
            sign_in_port: SIGN_IN_PORT,
            emulator: Emulator::Ministack,
            http_port: HTTP_PORT,
            database_url: None,
            profile: Profile::Release,
            durable: true,
        }
    }

    /// A system for tests, on free ports. Dropping the second value deletes the system's data.
    pub fn ephemeral(root: &Path) -> Result<(Self, TempDir)> {
        let folder = tempfile::Builder::new()
            .prefix("telecom-")
            .tempdir()
            .context("Cannot create a temporary folder")?;
        ServiceUser::choose()?.let_in(folder.path())?;
        let settings = Self {
            state: folder.path().to_owned(),
            deploy: folder.path().join("deploy"),
            gateway_port: free_port()?,
            postgres_port: free_port()?,
            grpc_port: free_port()?,
            metrics_port: free_port()?,
            sign_in_port: free_port()?,
            http_port: free_port()?,
            profile: Profile::Debug,
            durable: false,
            ..Self::lasting(root)
        };
        Ok((settings, folder))
    }

    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway_port)
    }

    /// URL of the load balancer, without a path.
    #[must_use]
    pub fn api_url(&self) -> String {
        match self.emulator {
            Emulator::Ministack => format!("{}/_alb/{STACK_NAME}", self.endpoint()),
            Emulator::LocalStack => format!("http://127.0.0.1:{}", self.http_port),
        }
    }

    /// URL of the console.
    #[must_use]
    pub fn console_url(&self) -> String {
        format!("{}/console/", self.api_url())
    }

    #[must_use]
    pub fn grpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc_port)
    }

    /// URL of the metrics of the gRPC server.
    #[must_use]
    pub fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.metrics_port)
    }

    /// Path of a built program.
    #[must_use]
    pub fn built(&self, name: &str) -> PathBuf {
        let folder = match self.profile {
            Profile::Debug => "debug",
            Profile::Release => "release",
        };
        self.root.join("target").join(folder).join(name)
    }

    /// Path of the log of the part called `name`.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.state.join("log").join(format!("{name}.log"))
    }

    /// Folder of the Python tools. All systems of one repository share it.
    #[must_use]
    pub fn tools(&self) -> PathBuf {
        self.root.join(".local").join("tools")
    }

    /// Creates the state folder. Only this user and the service user can access it.
    pub fn create_state(&self) -> Result<()> {
        private_folder(&self.state).context("Is the repository writable for you?")?;
        ServiceUser::choose()?.let_in(&self.state)
    }
}

/// Path of the repository that this program was built from.
#[must_use]
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}
