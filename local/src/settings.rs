//! Where things are and which ports they use.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::net;
use crate::postgres::Account;

/// Port of the AWS endpoint and of the load balancer unless another is asked for.
pub const GATEWAY_PORT: u16 = 4566;
/// Port of the database unless another is asked for.
pub const POSTGRES_PORT: u16 = 54329;
/// Port of the gRPC server unless another is asked for.
pub const GRPC_PORT: u16 = 50_051;
/// Port of the HTTP API with LocalStack unless another is asked for.
pub const HTTP_PORT: u16 = 8080;
/// Name of the deployed stack, of its load balancer, and the prefix of its functions' names.
pub const STACK_NAME: &str = "telecom";
/// How long the slowest single start-up step may take before it is given up.
pub const START_LIMIT: Duration = Duration::from_mins(1);

/// Which build of the functions is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// `target/debug`
    Debug,
    /// `target/release`
    Release,
}

impl Profile {
    /// The profile's folder under `target/`.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// What stands in for AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emulator {
    /// ministack, which runs the whole template.
    Ministack,
    /// LocalStack for queues and the bus, and this program for the rest.
    LocalStack,
}

/// Everything the local system has to be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The repository.
    pub root: PathBuf,
    /// Folder for data, logs and what is generated.
    pub state: PathBuf,
    /// Folder that `template.yaml` is deployed from, with the staged functions under
    /// `target/lambda/`.
    pub deploy: PathBuf,
    /// Port of the AWS endpoint and of the load balancer.
    pub gateway_port: u16,
    /// Port of this program's own PostgreSQL.
    pub postgres_port: u16,
    /// Port of the gRPC server.
    pub grpc_port: u16,
    /// What stands in for AWS.
    pub emulator: Emulator,
    /// Port of the HTTP API with LocalStack; with ministack it is that of the AWS endpoint.
    pub http_port: u16,
    /// A database to use instead of an own one.
    pub database_url: Option<String>,
    /// Which build of the functions is deployed.
    pub profile: Profile,
    /// Whether data must survive a power cut and the next start.
    pub durable: bool,
}

impl Settings {
    /// The developer's system, with its data under `.local/` of the repository at `root`.
    #[must_use]
    pub fn lasting(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            state: root.join(".local"),
            deploy: root.to_owned(),
            gateway_port: GATEWAY_PORT,
            postgres_port: POSTGRES_PORT,
            grpc_port: GRPC_PORT,
            emulator: Emulator::Ministack,
            http_port: HTTP_PORT,
            database_url: None,
            profile: Profile::Release,
            durable: true,
        }
    }

    /// A system on free ports with its data in a folder that goes away with the second value: for
    /// tests.
    pub fn ephemeral(root: &Path) -> Result<(Self, TempDir)> {
        let folder = tempfile::Builder::new()
            .prefix("telecom-")
            .tempdir()
            .context("Cannot create a temporary folder")?;
        Account::choose()?.let_in(folder.path())?;
        let settings = Self {
            state: folder.path().to_owned(),
            deploy: folder.path().join("deploy"),
            gateway_port: net::free_port()?,
            postgres_port: net::free_port()?,
            grpc_port: net::free_port()?,
            http_port: net::free_port()?,
            profile: Profile::Debug,
            durable: false,
            ..Self::lasting(root)
        };
        Ok((settings, folder))
    }

    /// The AWS endpoint.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway_port)
    }

    /// The load balancer, without the path.
    #[must_use]
    pub fn api_url(&self) -> String {
        match self.emulator {
            Emulator::Ministack => format!("{}/_alb/{STACK_NAME}", self.endpoint()),
            Emulator::LocalStack => format!("http://127.0.0.1:{}", self.http_port),
        }
    }

    /// The gRPC server.
    #[must_use]
    pub fn grpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc_port)
    }

    /// Where the output of the part called `name` goes.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.state.join("log").join(format!("{name}.log"))
    }

    /// Folder of the Python tools, shared by all systems of one repository.
    #[must_use]
    pub fn tools(&self) -> PathBuf {
        self.root.join(".local").join("tools")
    }

    /// Creates the state folder, closed to other users but the one that services run as.
    pub fn create_state(&self) -> Result<()> {
        private_folder(&self.state).context("Is the repository writable for you?")?;
        Account::choose()?.let_in(&self.state)
    }
}

/// The repository this program was built from.
#[must_use]
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// Creates a folder, with those above it, that nobody but its owner looks into.
pub fn private_folder(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.with_context(|| format!("Cannot create {}", path.display()))
}

/// Writes a file that nobody but its owner reads.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // It may be there with another mode.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("Cannot write {}", path.display()))
}
