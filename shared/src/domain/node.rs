//! Node servers, node clients and nodes as the API returns them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{EnumString, IntoStaticStr, VariantNames};

/// Status of a node server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum NodeServerStatus {
    /// The server has reported within the timeout.
    Online,
    /// The server has not reported for longer than the timeout.
    Offline,
    /// An administrator took the server out of service.
    Maintenance,
}

/// Panel protocol of a node server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum NodeServerCompatibility {
    /// `UniProxy`, the protocol of newer `V2board` panels.
    NewV2b,
    /// `SSPanel`.
    Ssp,
}

/// A node server in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeServerSummary {
    /// Id of the node server.
    pub id: i32,
    /// Display name of the node server.
    pub name: String,
    /// Panel protocol of the node server.
    pub compatibility: NodeServerCompatibility,
    /// Status of the node server.
    pub status: NodeServerStatus,
    /// End of the newest reported period, or the time at which its report was sent or received, if
    /// that was earlier. `null` if the server has never reported.
    pub last_online_at: Option<DateTime<Utc>>,
    /// Number of node clients of the server.
    pub client_count: i64,
    /// Like `last_online_at`, for reports with traffic only. `null` if the server has never carried
    /// traffic.
    pub last_traffic_at: Option<DateTime<Utc>>,
    /// When the server was archived. `null` if it is in use.
    pub archived_at: Option<DateTime<Utc>>,
}

/// Metrics of the server at the end of the period. Every value is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Metrics {
    /// CPU utilization over all cores, 0 to 100 percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Memory in use, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used: Option<i64>,
    /// Total memory, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total: Option<i64>,
    /// Disk space in use, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_used: Option<i64>,
    /// Total disk space, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_total: Option<i64>,
    /// Load average over one minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load1: Option<f64>,
    /// Number of connected users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online_users: Option<i64>,
    /// Seconds since the server started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<i64>,
    /// Traffic from users to the internet, bytes per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_rate: Option<i64>,
    /// Traffic from the internet to users, bytes per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_rate: Option<i64>,
}

/// Newest metrics that a node server reported. A metric that it did not report is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeServerMetrics {
    /// End of the period that the metrics describe, or the time at which its report was sent or
    /// received, if that was earlier.
    pub measured_at: DateTime<Utc>,
    /// The metrics, serialized as fields beside `measured_at`.
    #[serde(flatten)]
    pub metrics: Metrics,
}

/// A node server with its configuration and metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeServerDetails {
    /// The fields that lists contain, too.
    pub server: NodeServerSummary,
    /// Configuration of the server. Keys and passwords are replaced by `********` unless the
    /// request sets `reveal_secrets`.
    pub server_config: Value,
    /// Newest metrics of the server. `null` if it has never reported any.
    pub metrics: Option<NodeServerMetrics>,
    /// End of the newest reported period minus the time at which its report was sent, in seconds.
    /// Negative if the server's clock is behind or its reports are sent late. `null` if unknown.
    pub clock_skew_seconds: Option<i32>,
    /// Number of the settings' current version. An update names it, so that no other update is
    /// lost.
    pub revision: i64,
    /// When the server was added.
    pub created_at: DateTime<Utc>,
    /// When the name, the compatibility or the configuration last changed. A change of status does
    /// not count.
    pub updated_at: DateTime<Utc>,
}

/// A node client, as administrators see it. Users see it as a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeClient {
    /// Id of the node client.
    pub id: i32,
    /// Display name of the node client.
    pub name: String,
    /// Id of its node server.
    pub server_id: i32,
    /// Name of its node server.
    pub server_name: String,
    /// Status of its node server, which is also the status of the client.
    pub status: NodeServerStatus,
    /// Bytes charged per byte carried. Up to four decimal places.
    pub traffic_factor: f64,
    /// Position in the lists of users, ascending.
    pub display_order: i32,
    /// Speed limit in bits per second. `null` if there is none.
    pub speed_limit: Option<i64>,
    /// Country code, ISO 3166-1 alpha-2.
    pub country: String,
    /// City or region. It may be empty.
    pub location: String,
    /// Class of the network route. It may be empty.
    pub route_class: String,
    /// Groups whose packages give access to the node.
    pub access_groups: Vec<i32>,
    /// Route configuration. Keys and passwords are replaced by `********` unless the request sets
    /// `reveal_secrets`.
    pub client_config: Value,
    /// Number of the settings' current version. An update names it, so that no other update is
    /// lost.
    pub revision: i64,
    /// When the client was archived. `null` if it is in use.
    pub archived_at: Option<DateTime<Utc>>,
    /// When the client was added.
    pub created_at: DateTime<Utc>,
    /// When the client last changed. A change of the server's status does not count.
    pub updated_at: DateTime<Utc>,
}

/// A node client with its node server and the metrics of that server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeClientDetails {
    /// The node client, with the fields that lists contain.
    pub client: NodeClient,
    /// The node server of the client.
    pub server: NodeServerSummary,
    /// Newest metrics of the node server. `null` if it has never reported any.
    pub metrics: Option<NodeServerMetrics>,
}

/// A node that a user may use.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Node {
    /// Id of the node client.
    pub id: i32,
    /// Display name of the node.
    pub name: String,
    /// Bytes charged per byte carried. Up to four decimal places.
    pub traffic_factor: f64,
    /// Position in the list, ascending.
    pub display_order: i32,
    /// Speed limit in bits per second. `null` if there is none.
    pub speed_limit: Option<i64>,
    /// Status of the node, which is that of its node server.
    pub status: NodeServerStatus,
    /// Country code, ISO 3166-1 alpha-2.
    pub country: String,
    /// City or region. It may be empty.
    pub location: String,
    /// Class of the network route. It may be empty.
    pub route_class: String,
}

/// Traffic that a node carried for a user in the last 30 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UsuallyUsedNode {
    /// Id of the node client.
    pub node_client_id: i32,
    /// Current name of the node.
    pub node_name: String,
    /// Bytes sent by the user, before the traffic factor.
    pub upload: i64,
    /// Bytes received by the user, before the traffic factor.
    pub download: i64,
    /// Bytes charged for upload and download together.
    pub billed_traffic: i64,
}

/// Number of a user's nodes in each status during one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NodeStatusHour {
    /// Start of the hour, UTC.
    pub bucket_start: DateTime<Utc>,
    /// Nodes that were online when the hour's snapshot was taken.
    pub online_nodes: i64,
    /// Nodes that were offline when the hour's snapshot was taken.
    pub offline_nodes: i64,
    /// Nodes that were in maintenance when the hour's snapshot was taken.
    pub maintenance_nodes: i64,
}
