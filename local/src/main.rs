//! `telecom-local`: the whole system on one machine.
// A tool whose standard output is its result.
#![allow(clippy::print_stdout)]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use local::demo::script::Load;
use local::demo::token::Role;
use local::settings::{
    Emulator, GATEWAY_PORT, GRPC_PORT, HTTP_PORT, POSTGRES_PORT, Profile, Settings, repository,
};
use local::stack::Endpoints;
use local::{banner, database, hooks, interrupt, postgres, process, python, sam, session, stage};
use uuid::Uuid;

/// Runs the whole system on this machine: PostgreSQL, an AWS emulator (ministack) and the deployed
/// template.yaml.
///
/// Everything it makes is under .local/ of the repository. Nothing needs Docker or an AWS account.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Options {
    /// The repository [default: the one this program was built from]
    #[arg(long, global = true, env = "TELECOM_ROOT", hide_env = true)]
    root: Option<PathBuf>,
    /// Port of the AWS endpoint and the API
    #[arg(long, global = true, env = "TELECOM_PORT", default_value_t = GATEWAY_PORT)]
    port: u16,
    /// Port of the database
    #[arg(long, global = true, env = "TELECOM_PG_PORT", default_value_t = POSTGRES_PORT)]
    pg_port: u16,
    /// Port of the gRPC server
    #[arg(long, global = true, env = "TELECOM_GRPC_PORT", default_value_t = GRPC_PORT)]
    grpc_port: u16,
    /// What stands in for AWS
    #[arg(long, global = true, env = "TELECOM_STACK", value_enum,
        default_value_t = StandIn::Ministack)]
    stack: StandIn,
    /// Port of the HTTP API with LocalStack
    #[arg(long, global = true, env = "TELECOM_HTTP_PORT", default_value_t = HTTP_PORT)]
    http_port: u16,
    /// Database to use instead of an own one
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Which build of the functions to deploy
    #[arg(long, global = true, value_enum, default_value_t = Build::Debug)]
    build: Build,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Build {
    Debug,
    Release,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StandIn {
    /// Runs template.yaml as it stands
    Ministack,
    /// Runs its queues and its bus; this program drives the functions. Needs Python 3.13
    Localstack,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything and stay until Ctrl-C, which stops everything
    Run(Simulation),
    /// Start everything in the background; return when it is ready
    Up(Simulation),
    /// Compare, to the byte, what the simulator sent with what was recorded, billed and shown
    Verify {
        /// Seconds to wait until all of it has arrived
        #[arg(long, default_value_t = 240)]
        wait: u64,
        /// Users whose traffic history is asked for over the API
        #[arg(long, default_value_t = 10)]
        users: usize,
    },
    /// Print a token: the demo user's, or another's
    Token {
        /// Whose
        #[arg(long)]
        user: Option<Uuid>,
        /// With the administrator's scope
        #[arg(long)]
        admin: bool,
        /// With the scopes of an administrator who may see secrets
        #[arg(long)]
        secrets: bool,
    },
    /// Write docs/openapi.json and docs/openapi.html anew
    Openapi,
    /// Stop what runs; return when all of it is gone
    Down,
    /// Tell what runs and where (exit status 3 if nothing does)
    Status,
    /// Forget all local data: the database, the queues, the logs
    Clean,
    /// Run functions in containers, by `sam local`, over the running system; needs Docker
    #[command(subcommand)]
    Sam(SamCommand),
    /// Put the built functions where template.yaml looks for them, for `sam deploy` by hand
    Stage,
    /// Install the Python tools and print the folder of one of them
    Tool {
        /// `ministack` or `sam`
        name: String,
    },
    /// Run a command with `DATABASE_URL` naming a throw-away database server
    WithDatabase {
        /// Let it survive a power cut, as in production: for benchmarks
        #[arg(long)]
        durable: bool,
        /// The command and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum SamCommand {
    /// Invoke a function once
    Invoke {
        /// Its package, such as `list-nodes`
        function: String,
        /// File with the event [default: events/<function>.json with a valid token]
        #[arg(long)]
        event: Option<PathBuf>,
    },
    /// Serve the HTTP API until Ctrl-C
    Api {
        /// Port to serve it on
        #[arg(long, env = "TELECOM_SAM_API_PORT", default_value_t = 3000)]
        api_port: u16,
    },
}

#[derive(Debug, Clone, Copy, Args)]
struct Simulation {
    /// Usage reports that the simulator sends a second; 0: none
    #[arg(long, env = "TELECOM_SIMULATE_RATE", default_value_t = 10)]
    rate: u32,
    /// Usage lines in a report, at most
    #[arg(long, env = "TELECOM_SIMULATE_LINES", default_value_t = 25)]
    lines: u32,
}

impl Simulation {
    fn load(self) -> Option<Load> {
        let load = Load {
            reports_per_second: self.rate,
            lines_per_report: self.lines.max(1),
            ..Load::default()
        };
        (self.rate > 0).then_some(load)
    }

    fn as_arguments(self) -> [String; 2] {
        [
            format!("--rate={}", self.rate),
            format!("--lines={}", self.lines),
        ]
    }
}

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn execute(self) -> Result<ExitCode> {
        interrupt::listen()?;
        if matches!(self.command, Command::Run(_) | Command::Up(_)) {
            process::keep_private();
        }
        let settings = self.options.settings()?;
        match self.command {
            Command::Run(simulation) => {
                session::run(&settings, simulation.load(), |banner| println!("{banner}"))?
            }
            Command::Up(simulation) => {
                session::up(
                    &settings,
                    &[
                        self.options.as_arguments("run"),
                        simulation.as_arguments().into(),
                    ]
                    .concat(),
                )?;
            }
            Command::Verify { wait, users } => {
                return verify(&settings, Duration::from_secs(wait), users);
            }
            Command::Token {
                user,
                admin,
                secrets,
            } => {
                let role = if secrets {
                    Role::AdminWithSecrets
                } else if admin {
                    Role::Admin
                } else {
                    Role::User
                };
                println!("{}", hooks::token(&settings, user, role)?);
            }
            Command::Openapi => openapi(&settings.root)?,
            Command::Down => session::down(&settings)?,
            Command::Status => return status(&settings),
            Command::Clean => clean(&settings)?,
            Command::Sam(command) => return sam_local(&settings, command),
            Command::Stage => stage::stage(&settings)?,
            Command::Tool { name } => {
                println!(
                    "{}",
                    python::Environment::ensure(&settings, &name)?
                        .program("")
                        .display()
                );
            }
            Command::WithDatabase { durable, command } => {
                return database::with_database(
                    &settings.root,
                    settings.database_url.as_deref(),
                    durable,
                    &command,
                );
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Options {
    fn settings(&self) -> Result<Settings> {
        let root = self.root.clone().unwrap_or_else(repository);
        let root = fs::canonicalize(&root)
            .with_context(|| format!("There is no repository at {}", root.display()))?;
        Ok(Settings {
            gateway_port: self.port,
            postgres_port: self.pg_port,
            grpc_port: self.grpc_port,
            http_port: self.http_port,
            emulator: match self.stack {
                StandIn::Ministack => Emulator::Ministack,
                StandIn::Localstack => Emulator::LocalStack,
            },
            database_url: self.database_url.clone().filter(|url| !url.is_empty()),
            profile: match self.build {
                Build::Debug => Profile::Debug,
                Build::Release => Profile::Release,
            },
            ..Settings::lasting(&root)
        })
    }

    /// The same options for another call of this program. The database's URL goes by the
    /// environment, where other users cannot read it.
    fn as_arguments(&self, command: &str) -> Vec<String> {
        let mut arguments = vec![
            command.to_owned(),
            format!("--port={}", self.port),
            format!("--pg-port={}", self.pg_port),
            format!("--grpc-port={}", self.grpc_port),
            format!("--http-port={}", self.http_port),
        ];
        arguments.extend(
            self.root
                .iter()
                .map(|root| format!("--root={}", root.display())),
        );
        arguments.extend(
            self.stack
                .to_possible_value()
                .map(|stack| format!("--stack={}", stack.get_name())),
        );
        arguments.extend(
            self.build
                .to_possible_value()
                .map(|build| format!("--build={}", build.get_name())),
        );
        arguments
    }
}

/// The test `the_committed_document_is_current` compares with what this writes.
fn openapi(root: &Path) -> Result<()> {
    let document = shared::http::openapi::document();
    fs::write(root.join("docs/openapi.json"), format!("{document:#}\n"))?;
    fs::write(
        root.join("docs/openapi.html"),
        shared::http::page::render(&document),
    )?;
    Ok(())
}

fn running(settings: &Settings) -> Result<Endpoints> {
    let endpoints = session::read_record(settings).and_then(|record| record.endpoints);
    endpoints.context("Nothing is running. `make run` or `make up` starts it.")
}

fn sam_local(settings: &Settings, command: SamCommand) -> Result<ExitCode> {
    let endpoints = running(settings)?;
    match command {
        SamCommand::Invoke { function, event } => {
            sam::run_once(settings, &endpoints, &function, event.as_deref())
        }
        SamCommand::Api { api_port } => {
            sam::serve_api(settings, &endpoints, api_port, |url| {
                println!(
                    "The API is at {url}, its functions in containers. Ctrl-C stops it. To try:"
                );
                println!("  curl -sH \"authorization: Bearer $(make -s token)\" '{url}/v1/nodes'");
            })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn verify(settings: &Settings, wait: Duration, users: usize) -> Result<ExitCode> {
    let endpoints = running(settings)?;
    let outcome = hooks::verify(settings, &endpoints, wait, users)?;
    println!("{outcome}");
    Ok(if outcome.agrees() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn status(settings: &Settings) -> Result<ExitCode> {
    if !session::is_running(settings)? {
        println!("Nothing is running. `make run` or `make up` starts it.");
        return Ok(ExitCode::from(3));
    }
    match session::read_record(settings).and_then(|record| record.endpoints) {
        Some(endpoints) => println!(
            "{}",
            banner::ready(settings, &endpoints, &hooks::banner(settings, &endpoints)?)
        ),
        None => println!("It is starting or stopping."),
    }
    Ok(ExitCode::SUCCESS)
}

/// Forgets everything but the Python tools, which hold no data and take long to install.
fn clean(settings: &Settings) -> Result<()> {
    if session::is_running(settings)? {
        bail!("It is running. Stop it first: `make down`.");
    }
    let tools = settings.tools();
    let entries = fs::read_dir(&settings.state)
        .into_iter()
        .flatten()
        .flatten();
    for entry in entries.filter(|entry| entry.path() != tools) {
        remove(&entry.path())?;
    }
    remove(&postgres::fallback_folder(&settings.state))
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("Cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
