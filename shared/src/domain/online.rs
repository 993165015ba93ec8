//! Users who are connected now, as administrators and the users themselves see them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

/// Maximum number of node clients in a response.
pub const MAX_CLIENTS: i64 = 1_000;

/// Selects addresses. An address must match every field that is not `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// The user who is connected.
    pub user: Option<Uuid>,
    /// The node client that the user is connected to.
    pub node_client_id: Option<i32>,
}

/// A user who is connected now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OnlineUser {
    /// Id of the user.
    pub user: Uuid,
    /// The number by which nodes know the user.
    pub number: i32,
    /// Number of different addresses that the user is connected from. An address on several node
    /// clients counts once.
    pub addresses: i64,
    /// Number of node clients that the user is connected to.
    pub client_count: i64,
    /// Number of devices that may be connected at the same time. `null` if the user has no active
    /// package.
    pub device_limit: Option<i32>,
}

/// Users who are connected to a node client now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OnlineClient {
    /// Id of the node client.
    pub node_client_id: i32,
    /// Number of users who are connected to it.
    pub users: i64,
    /// Number of different addresses of these users. An address of two users counts twice.
    pub addresses: i64,
}

/// Numbers of the users who are connected now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineTotals {
    /// Number of users who are connected.
    pub users: i64,
    /// Number of their addresses. Each user's address counts once.
    pub addresses: i64,
    /// Number of node clients that they are connected to.
    pub client_count: i64,
    /// The first [`MAX_CLIENTS`] of these node clients, those with the most addresses first.
    pub clients: Vec<OnlineClient>,
}

/// Addresses of one user on a node client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ClientDevices {
    /// Id of the node client.
    pub node_client_id: i32,
    /// Number of different addresses from which the user is connected to it.
    pub addresses: i64,
}

/// Devices of one user that are connected now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OnlineDevices {
    /// When the addresses were counted. Those count that a node reported in the three minutes
    /// before.
    pub as_of: DateTime<Utc>,
    /// Number of different addresses that the user is connected from. An address on several node
    /// clients counts once. Devices behind one router have the same address.
    pub addresses: i64,
    /// Number of devices that may be connected at the same time. `null` if the user has no active
    /// package.
    pub device_limit: Option<i32>,
    /// Node clients that the user is connected to, at most 1,000: those with the most addresses
    /// first, then by id.
    pub clients: Vec<ClientDevices>,
}
