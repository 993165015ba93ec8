//! Maps the nodes of a panel to node servers and node clients.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDateTime;
use serde_json::{Value, json};
use shared::domain::node::NodeServerCompatibility;
use shared::domain::node_config::NodeConfig;
use shared::domain::node_settings::{NodeClientSettings, Settings as _};
use shared::events;

use super::report::{Note, Unmapped};
use super::sspanel::{self, Level};
use super::table::{Fault, Row, Table};
use super::uniproxy::{Config, Routes, Source};
use super::{Panel, Site};
use crate::fleet::{Document, Fields, Row as FleetRow};

/// The tables of nodes, and what else their mapping needs.
#[derive(Debug)]
pub struct Nodes<'a> {
    pub site: &'a Site,
    pub tables: &'a [Table],
    pub routes: Option<&'a Routes>,
    /// Country of the nodes whose names have no flag.
    pub country: Option<&'a str>,
    /// The levels of the users who are moved, for `SSPanel`.
    pub levels: &'a BTreeSet<Level>,
}

/// The fleet that a panel has.
#[derive(Debug, Default)]
pub struct MappedFleet {
    pub document: Document,
    pub unmapped: Vec<Unmapped>,
    pub notes: Vec<Note>,
}

/// A node of a panel with the kind of its table, within which its id is unique.
struct Node<'a> {
    row: &'a Row,
    kind: String,
    id: i64,
}

impl Nodes<'_> {
    /// Maps all nodes. One that cannot be mapped is listed with the reason.
    #[must_use]
    pub fn map(&self) -> MappedFleet {
        let mut fleet = MappedFleet::default();
        let mut nodes = Vec::new();
        for table in self.tables {
            for row in &table.rows {
                match self.node(table, row) {
                    Ok(node) => nodes.push(node),
                    Err(fault) => fleet.unmapped.push(Unmapped::of("node", row, fault)),
                }
            }
        }
        let by_id: BTreeMap<(&str, i64), &Node<'_>> = nodes
            .iter()
            .map(|node| ((node.kind.as_str(), node.id), node))
            .collect();
        let (mut servers, mut clients) = (BTreeMap::new(), Vec::new());
        for node in &nodes {
            match self.mapped(node, &by_id) {
                Ok((server, client)) => {
                    let source = node.row.source.clone();
                    clients.push(FleetRow {
                        source: source.clone(),
                        fields: client,
                    });
                    servers.entry(server).or_insert(source);
                    fleet.notes.extend(self.notes(node));
                }
                Err(fault) => fleet.unmapped.push(Unmapped::of("node", node.row, fault)),
            }
        }
        let server = |(name, source): (String, String)| FleetRow {
            source,
            fields: Fields::from_iter([
                ("name".to_owned(), json!(name)),
                ("compatibility".to_owned(), json!(self.compatibility())),
            ]),
        };
        fleet.document = Document {
            servers: Some(servers.into_iter().map(server).collect()),
            clients: Some(clients),
        };
        fleet
    }

    fn compatibility(&self) -> NodeServerCompatibility {
        match self.site.panel {
            Panel::V2board | Panel::Xboard => NodeServerCompatibility::NewV2b,
            Panel::Sspanel => NodeServerCompatibility::Ssp,
        }
    }

    fn node<'r>(&self, table: &Table, row: &'r Row) -> Result<Node<'r>, Fault> {
        let kind = match self.site.panel {
            Panel::Sspanel => "node".to_owned(),
            Panel::Xboard => row.required("type")?.to_lowercase(),
            Panel::V2board => v2board_kind(&table.file)?,
        };
        let id = row.required_whole("id")?;
        Ok(Node { row, kind, id })
    }

    /// The name of the node's server, and the fields of its client. A node with a parent is another
    /// entry of its parent's machine, with the parent's configuration.
    fn mapped(
        &self,
        node: &Node<'_>,
        by_id: &BTreeMap<(&str, i64), &Node<'_>>,
    ) -> Result<(String, Fields), Fault> {
        let carrier = match node.row.whole("parent_id")?.filter(|id| *id != 0) {
            None => node,
            Some(parent) => {
                let missing =
                    || Fault::new("parent_id", format!("node {parent} is not in the tables"));
                // Ids of Xboard are unique in all protocols.
                let of_any = || by_id.values().find(|other| other.id == parent);
                let found = by_id.get(&(node.kind.as_str(), parent));
                let found = match self.site.panel {
                    Panel::Xboard => found.or_else(of_any),
                    Panel::V2board | Panel::Sspanel => found,
                };
                found.ok_or_else(missing)?
            }
        };
        let server = self.server_name(carrier)?;
        let config = self.config(carrier)?;
        let client = self.client(node, &config)?;
        check(self.compatibility(), &client, &config)?;
        let mut fields = client;
        fields.insert("server_name".to_owned(), json!(server));
        Ok((server, fields))
    }

    /// A name that stays the same if the node is renamed in the panel.
    fn server_name(&self, node: &Node<'_>) -> Result<String, Fault> {
        let site = &self.site.label;
        Ok(match node.row.whole("machine_id")? {
            Some(machine) => format!("machine {machine} of {site}"),
            None => format!("{} {} of {site}", node.kind, node.id),
        })
    }

    fn config(&self, node: &Node<'_>) -> Result<Config, Fault> {
        let source = |protocol| {
            Ok(Source {
                row: node.row,
                protocol,
                created_at: self.created_at(node.row)?,
                routes: self.routes,
            })
        };
        match (self.site.panel, node.kind.as_str()) {
            (Panel::Sspanel, _) => sspanel::config(node.row),
            (Panel::Xboard, kind) => source(kind)?.xboard(),
            (Panel::V2board, "v2node") => source(node.row.required("protocol")?)?.v2node(),
            (Panel::V2board, kind) => source(kind)?.v2board(),
        }
    }

    /// Unix time in V2board, and the local time of the panel in Xboard.
    fn created_at(&self, row: &Row) -> Result<Option<i64>, Fault> {
        let Some(text) = row.text("created_at") else {
            return Ok(None);
        };
        if let Ok(seconds) = text.parse() {
            return Ok(Some(seconds));
        }
        let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S");
        let local = local.map_err(|_| Fault::new("created_at", "is not a time"))?;
        // Only some keys depend on it, so a missing time zone is an error of these alone.
        Ok(self.site.instant(local).map(|at| at.timestamp()))
    }

    /// The fields of a client, without its server.
    fn client(&self, node: &Node<'_>, config: &Config) -> Result<Fields, Fault> {
        let row = node.row;
        let name = row.required("name")?;
        let country = flag(name).or_else(|| self.country.map(str::to_owned));
        let country = country
            .ok_or_else(|| Fault::new("name", "has no flag of a country; expected --country"))?;
        let (rate, groups) = match self.site.panel {
            Panel::Sspanel => ("traffic_rate", sspanel::access_groups(row, self.levels)?),
            Panel::V2board => ("rate", groups(row, "group_id")?),
            Panel::Xboard => ("rate", groups(row, "group_ids")?),
        };
        let factor = row.decimal(rate)?;
        let factor = factor.ok_or_else(|| Fault::new(rate, "has no value"))?;
        let fields = json!({
            "name": name, "traffic_factor": factor, "country": country, "access_groups": groups,
            "display_order": row.small("sort").ok().flatten().unwrap_or_default(),
            "client_config": config,
        });
        let mut fields: Fields = serde_json::from_value(fields).unwrap_or_default();
        if self.site.panel == Panel::Sspanel {
            // Its `sort` is the protocol, not the position.
            fields.remove("display_order");
        }
        Ok(fields)
    }

    fn notes(&self, node: &Node<'_>) -> Vec<Note> {
        let row = node.row;
        let mut texts = match self.site.panel {
            Panel::Sspanel => sspanel::notes(row),
            Panel::V2board | Panel::Xboard => Vec::new(),
        };
        if matches!(row.whole("parent_id"), Ok(Some(parent)) if parent != 0) {
            texts.push(
                "its parent's program carries its traffic, so the parent's factor is billed, as in \
                 the panel"
                    .to_owned(),
            );
        }
        if matches!(row.flag("rate_time_enable"), Ok(true)) {
            texts.push("its rate changes with the hour; only rate is moved".to_owned());
        }
        if row.text("show") == Some("0") || row.text("type") == Some("0") {
            texts.push("it was hidden in the panel, and is not hidden here".to_owned());
        }
        let texts = texts.into_iter();
        texts.map(|text| Note::of("node", row, text)).collect()
    }
}

/// The kind of a table of V2board, by the name of its file.
fn v2board_kind(file: &str) -> Result<String, Fault> {
    let kinds = [
        "vmess",
        "vless",
        "trojan",
        "shadowsocks",
        "hysteria",
        "tuic",
        "anytls",
        "v2node",
    ];
    let rest = file.split_once("v2_server_").map(|(_, rest)| rest);
    let kind = rest.and_then(|rest| kinds.iter().find(|kind| rest.starts_with(**kind)));
    kind.map(|kind| (*kind).to_owned()).ok_or_else(|| {
        let names = kinds.map(|kind| format!("v2_server_{kind}")).join(", ");
        Fault::new("file", format!("the file's name must have one of: {names}"))
    })
}

fn groups(row: &Row, column: &str) -> Result<Vec<i32>, Fault> {
    let group = |number: i64| {
        let group = i32::try_from(number);
        group.map_err(|_| Fault::new(column, "is not a list of numbers of groups"))
    };
    row.numbers(column)?.into_iter().map(group).collect()
}

/// The country of the first flag in a text. A flag consists of two letters of a country's code.
fn flag(text: &str) -> Option<String> {
    const FIRST: u32 = 0x1f1e6;
    let letter = |letter: char| {
        let place = u32::from(letter)
            .checked_sub(FIRST)
            .filter(|place| *place < 26)?;
        char::from_u32(u32::from('A').checked_add(place)?)
    };
    let letters: Vec<Option<char>> = text.chars().map(letter).collect();
    letters.windows(2).find_map(|pair| match pair {
        [Some(first), Some(second)] => Some(String::from_iter([first, second])),
        _ => None,
    })
}

/// Checks a client and its configuration by the rules of the API. Its server is not known yet, so
/// the check uses a valid id that is never sent.
fn check(
    compatibility: NodeServerCompatibility,
    client: &Fields,
    config: &Config,
) -> Result<(), Fault> {
    let fault =
        |error: &shared::error::Error| Fault::new(error.field().unwrap_or("."), error.message());
    let mut settings = client.clone();
    settings.insert("server_id".to_owned(), 1.into());
    events::parse::<NodeClientSettings>(&Value::Object(settings).to_string())
        .and_then(NodeClientSettings::checked)
        .map_err(|error| fault(&error))?;
    match NodeConfig::effective(compatibility, &Config::new(), config) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(Fault::new("protocol", "nodes cannot use the configuration")),
        Err(error) => Err(fault(&error)),
    }
}
