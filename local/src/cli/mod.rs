//! The command line of `telecom-local`.
#![allow(
    clippy::print_stdout,
    reason = "the standard output of a command is its result"
)]

mod arguments;
mod banner;
mod fleet;
mod panel;
mod session;
mod target;

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub use arguments::Cli;

use crate::demo::bootstrap;
use crate::docker::sam;
use crate::files::remove;
use crate::generate;
use crate::postgres::{self, with_database};
use crate::process::{interrupt, keep_private};
use crate::python::Environment;
use crate::settings::Settings;
use crate::stack::Endpoints;
use crate::template::stage::stage;
use arguments::{Command, SamCommand};

const NOT_RUNNING: &str = "The system is not running. `make run` or `make up` starts it.";

impl Cli {
    /// Runs the command and returns its exit status.
    pub fn execute(self) -> Result<ExitCode> {
        interrupt::listen()?;
        if matches!(self.command, Command::Run(_) | Command::Up(_)) {
            keep_private();
        }
        if let Command::Fleet(command) = self.command {
            // With a URL and a token, neither the repository nor the local system is needed.
            return command.execute(|| self.options.settings());
        }
        if let Command::Panel(command) = self.command {
            return command.execute(|| self.options.settings());
        }
        let settings = self.options.settings()?;
        match self.command {
            Command::Run(simulation) => {
                session::run(&settings, simulation.load(), |banner| println!("{banner}"))?;
            }
            Command::Up(simulation) => {
                let run = self.options.as_arguments("run");
                session::up(&settings, &[run, simulation.as_arguments().into()].concat())?;
            }
            Command::Verify { wait, users } => {
                return verify(&settings, Duration::from_secs(wait), users);
            }
            Command::Token(token) => {
                println!("{}", bootstrap::token(&settings, token.user, token.role())?);
            }
            Command::Generate => generate::write(&settings.root)?,
            Command::Down => session::down(&settings)?,
            Command::Status => return status(&settings),
            Command::Clean => clean(&settings)?,
            Command::Sam(command) => return sam_local(&settings, command),
            Command::Stage => stage(&settings)?,
            Command::Tool { name } => {
                let environment = Environment::ensure(&settings, &name)?;
                println!("{}", environment.program("").display());
            }
            Command::Fleet(_) | Command::Panel(_) => {}
            Command::WithDatabase { durable, command } => {
                let existing = settings.database_url.as_deref();
                return with_database(&settings.root, existing, durable, &command);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn running(settings: &Settings) -> Result<Endpoints> {
    session::read_record(settings)
        .and_then(|record| record.endpoints)
        .context(NOT_RUNNING)
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
                    "The API is at {url}. Its functions run in containers. Ctrl-C stops it. \
                     Example:"
                );
                println!("  curl -sH \"authorization: Bearer $(make -s token)\" '{url}/v1/nodes'");
            })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn verify(settings: &Settings, wait: Duration, users: usize) -> Result<ExitCode> {
    let outcome = bootstrap::verify(settings, &running(settings)?, wait, users)?;
    println!("{outcome}");
    Ok(if outcome.agrees() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn status(settings: &Settings) -> Result<ExitCode> {
    if !session::is_running(settings)? {
        println!("{NOT_RUNNING}");
        return Ok(ExitCode::from(3));
    }
    match running(settings) {
        Ok(endpoints) => println!(
            "{}",
            banner::ready(
                settings,
                &endpoints,
                &bootstrap::banner(settings, &endpoints)?
            )
        ),
        Err(_) => println!("The system is starting or stopping."),
    }
    Ok(ExitCode::SUCCESS)
}

/// Deletes everything but the Python tools, which hold no data and take long to install.
fn clean(settings: &Settings) -> Result<()> {
    if session::is_running(settings)? {
        bail!("The system is running. Stop it first: `make down`.");
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
