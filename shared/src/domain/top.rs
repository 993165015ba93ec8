//! The users and nodes with the most traffic.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

/// The amount by which users and nodes are ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum TopMeasure {
    /// Bytes charged, upload and download together.
    #[default]
    Billed,
    /// Bytes carried, upload and download together.
    Raw,
}

/// What is ordered in a list of nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum TopNodeKind {
    /// Node clients, which users see as access points.
    #[default]
    Client,
    /// Node servers, each with all its clients.
    Server,
}

/// One of the users with the most traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TopUser {
    /// Place in the list. The first is 1.
    pub rank: i32,
    /// Id of the user.
    pub user: Uuid,
    /// Bytes that the user sent, as carried.
    pub raw_upload: i64,
    /// Bytes that the user received, as carried.
    pub raw_download: i64,
    /// Bytes charged for upload.
    pub billed_upload: i64,
    /// Bytes charged for download.
    pub billed_download: i64,
}

/// One of the nodes with the most traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TopNode {
    /// Place in the list. The first is 1.
    pub rank: i64,
    /// Id of the node server.
    pub server_id: i32,
    /// Id of the node client. `null` in a list of servers, and for traffic whose client is unknown.
    pub node_client_id: Option<i32>,
    /// Name of the node client or, in a list of servers, of the node server. `null` if it was
    /// deleted or is unknown.
    pub name: Option<String>,
    /// Bytes that users sent, as carried.
    pub raw_upload: i64,
    /// Bytes that users received, as carried.
    pub raw_download: i64,
    /// Bytes charged for upload.
    pub billed_upload: i64,
    /// Bytes charged for download.
    pub billed_download: i64,
}
