//! Exports and imports the node servers and node clients of a fleet over the HTTP API.
//!
//! An import reads the file and the fleet, makes a [plan](mod@plan), and refuses the whole file if a
//! row is invalid. Only then does it send the changes.

pub mod api;
mod apply;
mod compare;
mod config;
mod file;
mod plan;
mod read;
mod report;
mod step;

use anyhow::Result;
use serde_json::{Map, Value};

use apply::apply;
pub use file::{Document, Row, rows_from_csv, to_csv, to_json};
pub use plan::Options;
use plan::plan;
pub use read::{Archived, Existing, Fleet};
pub use report::{Action, Counts, Outcome, Report, RowReport};

use crate::progress::step;

/// The fields of a server or a client, as the API names them.
pub type Fields = Map<String, Value>;

/// What a row describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Server,
    Client,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Server, Self::Client];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    /// Name of the list in the API's responses and in a JSON file.
    #[must_use]
    pub fn list(self) -> &'static str {
        match self {
            Self::Server => "servers",
            Self::Client => "clients",
        }
    }

    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Server => "/v1/admin/node-servers",
            Self::Client => "/v1/admin/node-clients",
        }
    }

    /// Name of the field that may contain secrets.
    #[must_use]
    pub fn config(self) -> &'static str {
        match self {
            Self::Server => "server_config",
            Self::Client => "client_config",
        }
    }

    /// The fields that the API creates and updates.
    #[must_use]
    pub fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Server => &["name", "compatibility", "server_config"],
            Self::Client => &[
                "server_id",
                "name",
                "traffic_factor",
                "display_order",
                "speed_limit",
                "country",
                "location",
                "route_class",
                "access_groups",
                "client_config",
            ],
        }
    }

    /// The exported fields, in the order of the API's CSV.
    #[must_use]
    pub fn columns(self) -> Vec<&'static str> {
        let reference = match self {
            Self::Server => None,
            Self::Client => Some("server_name"),
        };
        let settings = self.settings().iter().copied();
        ["id"]
            .into_iter()
            .chain(reference)
            .chain(settings)
            .chain(["archived_at"])
            .collect()
    }
}

/// Reads the fleet, compares it with the document, and sends the changes unless `options` ask for a
/// dry run or a row is invalid. `show` receives each row when it is done.
pub fn import(
    api: &api::Api,
    document: &Document,
    options: &Options,
    show: &mut dyn FnMut(&RowReport),
) -> Result<Report> {
    let fleet = step("Reading the fleet", || Fleet::read(api, Archived::Listed))?;
    let plan = plan(document, &fleet, options);
    Ok(apply(api, plan, &fleet, options, show))
}
