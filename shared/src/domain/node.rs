//! Node servers and node clients, as they are shown.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::events::usage_report::Metrics;

/// Whether a node server carries traffic.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    JsonSchema,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NodeServerStatus {
    /// It reports.
    Online,
    /// It has been silent for longer than the timeout.
    Offline,
    /// An administrator has taken it out of service.
    Maintenance,
}

/// The panel protocol that a node server speaks.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    JsonSchema,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NodeServerCompatibility {
    /// `UniProxy`, as newer `V2board` panels speak it.
    NewV2b,
    /// `SSPanel`.
    Ssp,
}

/// A node server in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NodeServerSummary {
    /// Its id.
    pub id: i32,
    /// Shown to people.
    pub name: String,
    /// The protocol that it speaks.
    pub compatibility: NodeServerCompatibility,
    /// Whether it carries traffic.
    pub status: NodeServerStatus,
    /// End of the newest period that it reported, or when the report was sent or received, if that
    /// was earlier; none: it has never reported.
    pub last_online_at: Option<DateTime<Utc>>,
    /// How many node clients it backs.
    pub client_count: i64,
    /// When it was last seen carrying traffic: as `last_online_at`, of reports with bytes. `None`
    /// if it never was.
    pub last_traffic_at: Option<DateTime<Utc>>,
}

/// What a node server last told of itself. A number is absent where the server does not tell it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NodeServerMetrics {
    /// End of the period that the numbers describe, or when the report was sent or received, if
    /// that was earlier.
    pub measured_at: DateTime<Utc>,
    /// The numbers.
    #[serde(flatten)]
    pub metrics: Metrics,
}

/// All there is about a node server.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NodeServerDetails {
    /// What a list shows.
    pub server: NodeServerSummary,
    /// Its configuration. The values of keys and passwords read `********` unless they were asked
    /// for.
    pub server_config: Value,
    /// None: it has never told any.
    pub metrics: Option<NodeServerMetrics>,
    /// End of its newest period minus the time at which its report was sent, in seconds. Negative:
    /// the server's clock is behind, or its reports wait before they are sent. `None` if it is not
    /// known.
    pub clock_skew_seconds: Option<i32>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When its name, compatibility or configuration was last changed. A change of status leaves
    /// it.
    pub updated_at: DateTime<Utc>,
}

/// A node client, as administrators see it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NodeClient {
    /// Its id.
    pub id: i32,
    /// Shown to people.
    pub name: String,
    /// The server behind it.
    pub server_id: i32,
    /// That server's name.
    pub server_name: String,
    /// That server's status, which is the client's.
    pub status: NodeServerStatus,
    /// Bytes charged for a byte carried; up to four decimals.
    pub traffic_factor: f64,
    /// Place in users' lists, ascending.
    pub display_order: i32,
    /// Bits a second; none: no limit.
    pub speed_limit: Option<i64>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// City or region; may be empty.
    pub location: String,
    /// Class of the route; may be empty.
    pub route_class: String,
    /// Packages of these groups open it.
    pub access_groups: Vec<i32>,
    /// Its route configuration. The values of keys and passwords read `********` unless they were
    /// asked for.
    pub client_config: Value,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it was last changed. The server's status is none of it.
    pub updated_at: DateTime<Utc>,
}

/// All there is about a node client, and about the server behind it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NodeClientDetails {
    /// The client.
    pub client: NodeClient,
    /// The server behind it.
    pub server: NodeServerSummary,
    /// What that server last told of itself; none: it has never told any.
    pub metrics: Option<NodeServerMetrics>,
}

/// A node that a user may use.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Node {
    /// The node client.
    pub id: i32,
    /// Shown to people.
    pub name: String,
    /// Bytes charged for a byte carried; up to four decimals.
    pub traffic_factor: f64,
    /// Place in the list, ascending.
    pub display_order: i32,
    /// Bits a second; none: no limit.
    pub speed_limit: Option<i64>,
    /// Whether its server carries traffic.
    pub status: NodeServerStatus,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// City or region; may be empty.
    pub location: String,
    /// Class of the route; may be empty.
    pub route_class: String,
}

/// What a node carried for a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UsuallyUsedNode {
    /// The node client.
    pub node_client_id: i32,
    /// Its name now.
    pub node_name: String,
    /// Bytes sent by the user, as carried.
    pub upload: i64,
    /// Bytes received by the user, as carried.
    pub download: i64,
    /// Bytes charged, both ways together.
    pub billed_traffic: i64,
}

/// How many of a user's nodes were in which status in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NodeStatusHour {
    /// Start of the UTC hour.
    pub bucket_start: DateTime<Utc>,
    /// Nodes that were online.
    pub online_nodes: i64,
    /// Nodes that were offline.
    pub offline_nodes: i64,
    /// Nodes in maintenance.
    pub maintenance_nodes: i64,
}
