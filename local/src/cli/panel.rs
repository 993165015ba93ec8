//! `panel import`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::{Args, Subcommand};
use shared::clock::{Clock as _, System};
use uuid::Uuid;

use super::target::{INVALID, REFUSED, Target, name, read};
use crate::panel::{self, Method, Options, Panel, Report, Site, Table, Tables, UserOptions};
use crate::settings::Settings;

const IMPORT_EXAMPLES: &str = "\
The tables are exports with the names of the columns in the first line, as CSV or of mysql --batch:

  mysql --batch panel -e 'select * from v2_user' > v2_user.tsv

Users keep their secrets, so the configurations of their apps stay valid. Each gets one package item
with the bytes and the time that are left in the panel. What an earlier run moved is found again, so
a run that was cut can be repeated. docs/NODES.md describes the move.

Exit status: 0 if all rows were moved, 1 if the import could not begin, 2 for wrong arguments, 3 if
a row cannot be moved and nothing was sent, 4 if the API refused a change or did not respond.

Examples:
  telecom-local panel import --panel xboard --panel-url https://panel.example.com --country DE \\
    --servers v2_server.csv --plans v2_plan.csv --users v2_user.csv --dry-run
  telecom-local panel import --panel v2board --panel-url https://panel.example.com --country DE \\
    --servers v2_server_vmess.csv --servers v2_server_vless.csv --routes v2_server_route.csv \\
    --plans v2_plan.csv --package 3=5f1c58b4-8b0a-4a57-9d1c-2f4b7a8f7f10 --users v2_user.csv
  telecom-local panel import --panel sspanel --panel-url https://panel.example.com --country DE \\
    --time-zone Asia/Shanghai --servers node.csv --users user.csv --dry-run --json";

#[derive(Debug, Subcommand)]
pub(super) enum PanelCommand {
    /// Move the nodes and the users of V2board, Xboard or `SSPanel` from exports of their tables
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(Import),
}

#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each flag is an option of the command line"
)]
pub(super) struct Import {
    #[command(flatten)]
    target: Target,
    /// Program of the panel
    #[arg(long, value_enum)]
    panel: Panel,
    /// URL of the panel. All ids are derived from it, so it must be the same in each run
    #[arg(long)]
    panel_url: String,
    /// Time zone of the panel, such as Asia/Shanghai, for times that it writes without one
    #[arg(long)]
    time_zone: Option<Tz>,
    /// Table of nodes: `v2_server` (Xboard), a `v2_server_…` (V2board; may be repeated) or `node`
    #[arg(long, required_unless_present = "users")]
    servers: Vec<PathBuf>,
    /// Table of the nodes' routes, `v2_server_route`
    #[arg(long)]
    routes: Option<PathBuf>,
    /// Country of the nodes whose names have no flag, such as DE
    #[arg(long)]
    country: Option<String>,
    /// Table of plans, `v2_plan`
    #[arg(long)]
    plans: Option<PathBuf>,
    /// Table `v2_user` or `user`
    #[arg(long)]
    users: Option<PathBuf>,
    /// Table with the columns `id` (of the panel) and `user` (the shop's id here) [default: ids
    /// derived from the panel's]
    #[arg(long, requires = "users")]
    user_ids: Option<PathBuf>,
    /// Series here for the users of a plan, instead of a new series. May be repeated
    #[arg(long = "package", value_name = "PLAN_ID=SERIES", value_parser = package)]
    packages: Vec<(i64, Uuid)>,
    /// Days of the new series, for orders after the move
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    duration_days: u32,
    /// End of users who have no end in the panel
    #[arg(long, default_value = "2099-12-31T00:00:00Z")]
    no_end: DateTime<Utc>,
    /// Add the traffic that the panel would give by later resets
    #[arg(long)]
    add_resets: bool,
    /// How plans reset traffic that follow the panel's setting
    #[arg(long, value_enum)]
    default_reset: Option<Method>,
    /// Move banned users, too
    #[arg(long)]
    include_banned: bool,
    /// Set the secrets of users whose package has ended, for their next orders
    #[arg(long)]
    include_ended: bool,
    /// Apply what has changed in the panel since an earlier run, to items that were not used here
    #[arg(long)]
    update: bool,
    /// Move the other rows if some cannot be moved
    #[arg(long)]
    skip_unmapped: bool,
    /// Print what would change, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON, with the unchanged rows
    #[arg(long)]
    json: bool,
}

impl PanelCommand {
    /// Runs the command. `settings` are those of the local system.
    pub fn execute(self, settings: impl FnOnce() -> Result<Settings>) -> Result<ExitCode> {
        match self {
            Self::Import(import) => import.execute(settings),
        }
    }
}

impl Import {
    fn execute(&self, settings: impl FnOnce() -> Result<Settings>) -> Result<ExitCode> {
        let site = Site::new(self.panel, &self.panel_url, self.time_zone)?;
        let (tables, options) = (self.tables()?, self.options());
        let api = self.target.api(settings)?;
        let mut show = |line: &dyn std::fmt::Display| {
            if !self.json {
                println!("{line}");
            }
        };
        let report = panel::import(&api, &site, &tables, &options, &mut show)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!("{report}");
        }
        Ok(exit_code(&report))
    }

    fn tables(&self) -> Result<Tables> {
        let nodes = self.servers.iter().map(|file| {
            let table = Tables::nodes(self.panel, &name(file), &read(file)?)?;
            Ok(table)
        });
        let table = |file: &Option<PathBuf>, required: &[&str]| {
            file.as_deref()
                .map(|file: &Path| Table::parse(&name(file), &read(file)?, required))
                .transpose()
        };
        let users = self.users.as_deref();
        let users = users.map(|file| Tables::users(self.panel, &name(file), &read(file)?));
        let tables = Tables {
            servers: nodes.collect::<Result<_>>()?,
            routes: table(&self.routes, &["id", "match", "action"])?,
            plans: table(&self.plans, &["id", "name", "transfer_enable"])?,
            users: users.transpose()?,
            user_ids: table(&self.user_ids, &["id", "user"])?,
        };
        if tables.servers.is_empty() && tables.users.is_none() {
            bail!("No table is given.");
        }
        Ok(tables)
    }

    fn options(&self) -> Options {
        Options {
            dry_run: self.dry_run,
            skip_unmapped: self.skip_unmapped,
            country: self.country.clone(),
            users: UserOptions {
                include_banned: self.include_banned,
                include_ended: self.include_ended,
                update: self.update,
                add_resets: self.add_resets,
                default_reset: self.default_reset,
                packages: self.packages.iter().copied().collect(),
                duration_days: self.duration_days,
                no_end: self.no_end,
            },
            now: System.now(),
        }
    }
}

fn package(text: &str) -> Result<(i64, Uuid)> {
    let (plan, series) = text
        .split_once('=')
        .context("expected the id of a plan, =, and the id of a series")?;
    Ok((plan.trim().parse()?, series.trim().parse()?))
}

fn exit_code(report: &Report) -> ExitCode {
    if report.is_stopped || (report.dry_run && !report.unmapped.is_empty()) {
        ExitCode::from(INVALID)
    } else if report.refused() > 0 {
        ExitCode::from(REFUSED)
    } else {
        ExitCode::SUCCESS
    }
}
