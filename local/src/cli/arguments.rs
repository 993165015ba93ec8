//! The options and commands, and what their values mean.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use uuid::Uuid;

use super::fleet::FleetCommand;
use super::panel::PanelCommand;
use crate::demo::script::Load;
use crate::demo::token::Role;
use crate::settings::{
    Emulator, GATEWAY_PORT, GRPC_PORT, HTTP_PORT, METRICS_PORT, POSTGRES_PORT, Profile,
    SIGN_IN_PORT, Settings, repository,
};

/// Runs the whole system on this machine: PostgreSQL, an AWS emulator (ministack) and the deployed
/// template.yaml.
///
/// All data, logs and tools are in the folder .local/ of the repository. Docker and an AWS account
/// are not needed.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Path of the repository [default: the one this program was built from]
    #[arg(long, global = true, env = "TELECOM_ROOT", hide_env = true)]
    root: Option<PathBuf>,
    /// Port of the AWS endpoint and, with ministack, of the HTTP API
    #[arg(long, global = true, env = "TELECOM_PORT", default_value_t = GATEWAY_PORT)]
    port: u16,
    /// Port of the database
    #[arg(long, global = true, env = "TELECOM_PG_PORT", default_value_t = POSTGRES_PORT)]
    pg_port: u16,
    /// Port of the gRPC server
    #[arg(long, global = true, env = "TELECOM_GRPC_PORT", default_value_t = GRPC_PORT)]
    grpc_port: u16,
    /// Port of the metrics of the gRPC server
    #[arg(long, global = true, env = "TELECOM_METRICS_PORT", default_value_t = METRICS_PORT)]
    metrics_port: u16,
    /// Port of the page on which people sign in to the console
    #[arg(long, global = true, env = "TELECOM_SIGN_IN_PORT", default_value_t = SIGN_IN_PORT)]
    sign_in_port: u16,
    /// AWS emulator to use
    #[arg(long, global = true, env = "TELECOM_STACK", value_enum,
        default_value_t = Emulator::Ministack)]
    stack: Emulator,
    /// Port of the HTTP API with LocalStack
    #[arg(long, global = true, env = "TELECOM_HTTP_PORT", default_value_t = HTTP_PORT)]
    http_port: u16,
    /// URL of an existing database to use instead of starting PostgreSQL
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Build of the functions to deploy
    #[arg(long, global = true, value_enum, default_value_t = Profile::Debug)]
    build: Profile,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start the system and keep it in the foreground; Ctrl-C stops it
    Run(Simulation),
    /// Start the system in the background and return when it is ready
    Up(Simulation),
    /// Compare, to the byte, the reports that the simulator sent with the recorded usage, the bills
    /// and the API's responses
    Verify {
        /// Maximum number of seconds to wait until all reports have been processed
        #[arg(long, default_value_t = 240)]
        wait: u64,
        /// Number of users whose traffic history is requested from the API
        #[arg(long, default_value_t = 10)]
        users: usize,
    },
    /// Print an access token, by default the demo user's
    Token(Token),
    /// Update the files that are generated from the list of endpoints: docs/openapi.*, parts of
    /// template.yaml and stacks/edge.yaml, and the events of the API functions
    Generate,
    /// Export and import the node servers and node clients of any deployment over its HTTP API
    #[command(subcommand)]
    Fleet(FleetCommand),
    /// Move the nodes and the users of another panel to any deployment over its HTTP API
    #[command(subcommand)]
    Panel(PanelCommand),
    /// Stop the system and return when every process has ended
    Down,
    /// Print the addresses of the running system (exit status 3 if it is not running)
    Status,
    /// Delete all local data: the database, the queues, the logs
    Clean,
    /// Run functions in containers with `sam local`, against the running system; needs Docker
    #[command(subcommand)]
    Sam(SamCommand),
    /// Copy the built functions to where template.yaml expects them, for a manual `sam deploy`
    Stage,
    /// Install a Python tool and print the folder of its programs
    Tool {
        /// Such as `ministack` or `sam`: the name of a file `local/requirements-<NAME>.txt`
        name: String,
    },
    /// Run a command with `DATABASE_URL` set to a temporary database server
    WithDatabase {
        /// Make commits survive a power failure, as in production; for benchmarks
        #[arg(long)]
        durable: bool,
        /// Command to run, with its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Token {
    /// Id of the user who is the token's subject
    #[arg(long)]
    pub user: Option<Uuid>,
    /// Include the administrator's scope
    #[arg(long)]
    admin: bool,
    /// Include the scopes of an administrator who may see secrets
    #[arg(long)]
    secrets: bool,
}

impl Token {
    pub fn role(&self) -> Role {
        match (self.secrets, self.admin) {
            (true, _) => Role::AdminWithSecrets,
            (false, true) => Role::Admin,
            (false, false) => Role::User,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum SamCommand {
    /// Invoke a function once
    Invoke {
        /// Package name of the function, such as `list-nodes`
        function: String,
        /// File with the event. Default: `events/<function>.json` with a valid token
        #[arg(long)]
        event: Option<PathBuf>,
    },
    /// Serve the HTTP API until Ctrl-C
    Api {
        /// Port of the HTTP API
        #[arg(long, env = "TELECOM_SAM_API_PORT", default_value_t = 3000)]
        api_port: u16,
    },
}

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Simulation {
    /// Usage reports that the simulator sends per second; 0 turns it off
    #[arg(long, env = "TELECOM_SIMULATE_RATE", default_value_t = 10)]
    rate: u32,
    /// Maximum number of usage lines per report
    #[arg(long, env = "TELECOM_SIMULATE_LINES", default_value_t = 25)]
    lines: u32,
}

impl Simulation {
    /// `None` if nothing is to be sent.
    pub fn load(self) -> Option<Load> {
        let load = Load {
            reports_per_second: self.rate,
            lines_per_report: self.lines.max(1),
            ..Load::default()
        };
        (self.rate > 0).then_some(load)
    }

    pub fn as_arguments(self) -> [String; 2] {
        [
            format!("--rate={}", self.rate),
            format!("--lines={}", self.lines),
        ]
    }
}

impl Options {
    pub fn settings(&self) -> Result<Settings> {
        let root = self.root.clone().unwrap_or_else(repository);
        let root = fs::canonicalize(&root)
            .with_context(|| format!("There is no repository at {}", root.display()))?;
        Ok(Settings {
            gateway_port: self.port,
            postgres_port: self.pg_port,
            grpc_port: self.grpc_port,
            metrics_port: self.metrics_port,
            sign_in_port: self.sign_in_port,
            http_port: self.http_port,
            emulator: self.stack,
            database_url: self.database_url.clone().filter(|url| !url.is_empty()),
            profile: self.build,
            ..Settings::lasting(&root)
        })
    }

    /// The same options for another run of this program. The database's URL is passed in the
    /// environment, where other users cannot read it.
    pub fn as_arguments(&self, command: &str) -> Vec<String> {
        let mut arguments = vec![
            command.to_owned(),
            format!("--port={}", self.port),
            format!("--pg-port={}", self.pg_port),
            format!("--grpc-port={}", self.grpc_port),
            format!("--metrics-port={}", self.metrics_port),
            format!("--sign-in-port={}", self.sign_in_port),
            format!("--http-port={}", self.http_port),
        ];
        let root = self
            .root
            .iter()
            .map(|root| format!("--root={}", root.display()));
        arguments.extend(root);
        let value = |option: &str, value: Option<clap::builder::PossibleValue>| {
            value.map(|value| format!("--{option}={}", value.get_name()))
        };
        arguments.extend(value("stack", self.stack.to_possible_value()));
        arguments.extend(value("build", self.build.to_possible_value()));
        arguments
    }
}
