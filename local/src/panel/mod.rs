//! Moves the nodes and the users of another panel to this system, from tables that its database
//! program exported.
//!
//! An import reads all tables and compares them with what is here. Only then does it send changes:
//! node servers and clients, package series, and for each user the secret, an order, the quota and
//! the end. What an earlier run sent is found again, so a repeated run sends the rest.

mod apply;
mod import;
mod items;
mod packages;
mod report;
mod resets;
mod servers;
mod sspanel;
mod steps;
mod table;
mod uniproxy;
mod users;

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use clap::ValueEnum;
use uuid::Uuid;

pub use import::{Show, import};
pub use report::{Note, Report, Skipped, Totals, Unmapped, UserAction, UserReport};
pub use resets::Method;
pub use table::Table;

/// A program that manages nodes and users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Panel {
    /// V2board, also the fork of wyx2685
    V2board,
    /// Xboard, also forks with its tables
    Xboard,
    /// SSPanel-UIM, and forks with its tables
    Sspanel,
}

/// One installation of a panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    pub panel: Panel,
    /// Its address without the scheme, for names.
    pub label: String,
    namespace: Uuid,
    /// Time zone of the times that the panel writes without one.
    pub time_zone: Option<Tz>,
}

impl Site {
    /// The installation at `url`, which all ids are derived from.
    pub fn new(panel: Panel, url: &str, time_zone: Option<Tz>) -> Result<Self> {
        let url = url.trim().trim_end_matches('/').to_lowercase();
        let label = url.split_once("://").map(|(_, rest)| rest.to_owned());
        let Some(label) = label.filter(|label| !label.is_empty() && label.len() <= 80) else {
            bail!("{url} is not the URL of a panel; expected https://<host>");
        };
        Ok(Self {
            panel,
            namespace: Uuid::new_v5(&Uuid::NAMESPACE_URL, url.as_bytes()),
            label,
            time_zone,
        })
    }

    /// The id here of a user of the panel.
    #[must_use]
    pub fn user_id(&self, panel_id: i64) -> Uuid {
        self.derived("user", panel_id)
    }

    /// The order that moves a user.
    #[must_use]
    pub fn order_id(&self, panel_id: i64) -> Uuid {
        self.derived("order", panel_id)
    }

    fn derived(&self, kind: &str, panel_id: i64) -> Uuid {
        let name = format!("{kind} {panel_id}");
        Uuid::new_v5(&self.namespace, name.as_bytes())
    }

    /// The instant of a local time of the panel. `None` without a time zone. Of two instants, when
    /// the clock is set back, it is the earlier one.
    fn instant(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let zone = self.time_zone?;
        let instant = local.and_local_timezone(zone).earliest();
        Some(instant.map_or_else(|| local.and_utc(), |at| at.with_timezone(&Utc)))
    }
}

/// The tables to move.
#[derive(Debug, Default)]
pub struct Tables {
    pub servers: Vec<Table>,
    /// The routes of nodes: `v2_server_route`.
    pub routes: Option<Table>,
    /// The plans of users: `v2_plan`.
    pub plans: Option<Table>,
    pub users: Option<Table>,
    /// The shop's ids of users, in the columns `id` and `user`.
    pub user_ids: Option<Table>,
}

impl Tables {
    /// Parses a table of nodes.
    pub fn nodes(panel: Panel, file: &str, text: &str) -> Result<Table> {
        let required: &[&str] = match panel {
            Panel::V2board => &["id", "name", "rate", "group_id", "server_port"],
            Panel::Xboard => &[
                "id",
                "type",
                "name",
                "rate",
                "group_ids",
                "protocol_settings",
            ],
            Panel::Sspanel => &["id", "name", "server", "sort", "traffic_rate"],
        };
        Table::parse(file, text, required)
    }

    /// Parses a table of users.
    pub fn users(panel: Panel, file: &str, text: &str) -> Result<Table> {
        Table::parse(file, text, users::required_columns(panel))
    }
}

/// How users are moved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each flag is an option of the command line"
)]
pub struct UserOptions {
    pub include_banned: bool,
    /// Set the secrets of users whose packages have ended.
    pub include_ended: bool,
    /// Apply what has changed in the panel since an earlier import.
    pub update: bool,
    /// Add the traffic that the panel would give later.
    pub add_resets: bool,
    /// How plans give new traffic that follow the panel's setting.
    pub default_reset: Option<Method>,
    /// Series here by the ids of plans.
    pub packages: BTreeMap<i64, Uuid>,
    /// Days of the packages that are created, for orders after the move.
    pub duration_days: u32,
    /// The end of users who have none in the panel.
    pub no_end: DateTime<Utc>,
}

/// How tables are compared and applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub dry_run: bool,
    /// Move the other rows if some cannot be moved.
    pub skip_unmapped: bool,
    /// Country of the nodes whose names have no flag.
    pub country: Option<String>,
    pub users: UserOptions,
    pub now: DateTime<Utc>,
}
