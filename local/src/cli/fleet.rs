//! `fleet export` and `fleet import`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use shared::domain;

use super::target::{INVALID, REFUSED, Target, name, read};
use crate::fleet::{self, Action, Archived, Document, Fleet, Kind, Options, Report, RowReport};
use crate::progress::step;
use crate::settings::Settings;

const EXPORT_EXAMPLES: &str = "\
Keys and passwords are not exported: the file has ******** in their place.

Examples:
  telecom-local fleet export > fleet.json
  telecom-local fleet export --servers-csv servers.csv --clients-csv clients.csv
  TELECOM_TOKEN=… telecom-local fleet export --url https://api.example.com -o fleet.json";

const IMPORT_EXAMPLES: &str = "\
A row with an id updates that server or client. A row without one updates the one in use with its
name (a client: with its name and server), or creates it. A field that a row does not have stays as
it is. A configuration replaces the stored one, but a field with ******** keeps the stored secret.

Exit status: 0 if all rows were applied, 1 if the import could not begin, 2 for wrong arguments, 3
if a row is invalid and nothing was sent, 4 if the API refused a row or did not respond.

Examples:
  telecom-local fleet import fleet.json --dry-run
  telecom-local fleet import --clients-csv clients.csv
  telecom-local fleet import fleet.json --archive-missing --reason 'new list of March'
  TELECOM_TOKEN=… telecom-local fleet import fleet.json --by-name --url https://api.example.com";

#[derive(Debug, Subcommand)]
pub(super) enum FleetCommand {
    /// Write all node servers and node clients to a file
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(Export),
    /// Create, update and archive node servers and node clients as a file says
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(Import),
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    target: Target,
    /// JSON file to write [default: the standard output]
    #[arg(long, short, conflicts_with_all = ["servers_csv", "clients_csv"])]
    output: Option<PathBuf>,
    /// CSV file to write the servers to
    #[arg(long)]
    servers_csv: Option<PathBuf>,
    /// CSV file to write the clients to
    #[arg(long)]
    clients_csv: Option<PathBuf>,
    /// Include archived servers and clients
    #[arg(long)]
    include_archived: bool,
}

#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each flag is an option of the command line"
)]
pub(super) struct Import {
    #[command(flatten)]
    target: Target,
    /// JSON file to read
    #[arg(required_unless_present_any = ["servers_csv", "clients_csv"],
        conflicts_with_all = ["servers_csv", "clients_csv"])]
    file: Option<PathBuf>,
    /// CSV file to read the servers from
    #[arg(long)]
    servers_csv: Option<PathBuf>,
    /// CSV file to read the clients from
    #[arg(long)]
    clients_csv: Option<PathBuf>,
    /// Print what would change, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Find servers and clients by their names, for a file of another system
    #[arg(long)]
    by_name: bool,
    /// Archive the servers and clients that the file does not have, for good
    #[arg(long, requires = "reason")]
    archive_missing: bool,
    /// Reason of the archiving, for the audit log
    #[arg(long, requires = "archive_missing")]
    reason: Option<String>,
    /// Print the report as JSON, with the unchanged rows
    #[arg(long)]
    json: bool,
}

impl FleetCommand {
    /// Runs the command. `settings` are those of the local system.
    pub fn execute(self, settings: impl FnOnce() -> Result<Settings>) -> Result<ExitCode> {
        match self {
            Self::Export(export) => export.execute(settings),
            Self::Import(import) => import.execute(settings),
        }
    }
}

impl Export {
    fn execute(&self, settings: impl FnOnce() -> Result<Settings>) -> Result<ExitCode> {
        let api = self.target.api(settings)?;
        let archived = if self.include_archived {
            Archived::Whole
        } else {
            Archived::LeftOut
        };
        let fleet = step("Reading the fleet", || Fleet::read(&api, archived))?;
        let tables = [
            (Kind::Server, &self.servers_csv),
            (Kind::Client, &self.clients_csv),
        ];
        for (kind, file) in tables {
            if let Some(file) = file {
                write(file, &fleet::to_csv(kind, fleet.of(kind))?)?;
            }
        }
        match &self.output {
            Some(file) => write(file, &fleet::to_json(&fleet)?)?,
            None if self.servers_csv.is_none() && self.clients_csv.is_none() => {
                print!("{}", fleet::to_json(&fleet)?);
            }
            None => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Import {
    fn execute(&self, settings: impl FnOnce() -> Result<Settings>) -> Result<ExitCode> {
        let document = self.document()?;
        let options = self.options()?;
        let api = self.target.api(settings)?;
        let mut show = |row: &RowReport| {
            if !self.json && row.action != Action::Unchanged {
                println!("{row}");
            }
        };
        let report = fleet::import(&api, &document, &options, &mut show)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!("{report}");
        }
        Ok(exit_code(&report))
    }

    fn document(&self) -> Result<Document> {
        if let Some(file) = &self.file {
            return Document::from_json(&name(file), &read(file)?);
        }
        let rows = |kind, file: &Option<PathBuf>| {
            let file = file.as_ref();
            file.map(|file| fleet::rows_from_csv(&name(file), kind, &read(file)?))
                .transpose()
        };
        Ok(Document {
            servers: rows(Kind::Server, &self.servers_csv)?,
            clients: rows(Kind::Client, &self.clients_csv)?,
        })
    }

    fn options(&self) -> Result<Options> {
        let reason = self.reason.as_deref().map(domain::reason).transpose()?;
        Ok(Options {
            dry_run: self.dry_run,
            by_name: self.by_name,
            archive_missing: reason.filter(|_| self.archive_missing),
        })
    }
}

fn exit_code(report: &Report) -> ExitCode {
    if !report.invalid.is_empty() {
        ExitCode::from(INVALID)
    } else if report.refused() > 0 {
        ExitCode::from(REFUSED)
    } else {
        ExitCode::SUCCESS
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("Cannot write {}", file.display()))
}
