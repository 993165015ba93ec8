//! The numbers of a page that shows the whole fleet.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

/// Numbers of servers, users and packages, and of what waits for the system or for an operator.
/// Archived servers and clients do not count. Counting of what waits stops at 10,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FleetCounts {
    /// Number of node servers that are online.
    pub online_servers: i64,
    /// Number of node servers that are offline.
    pub offline_servers: i64,
    /// Number of node servers in maintenance.
    pub maintenance_servers: i64,
    /// Number of node clients.
    pub clients: i64,
    /// Number of active package items, which is the number of users with a package.
    pub active_packages: i64,
    /// Number of package items that wait in users' queues.
    pub waiting_packages: i64,
    /// Number of users who are connected now, as far as nodes report it.
    pub online_users: i64,
    /// Number of usage reports that are recorded and not yet billed.
    pub unbilled_reports: i64,
    /// When the oldest of them was recorded. `null` if there is none.
    pub oldest_unbilled_at: Option<DateTime<Utc>>,
    /// Number of rows of usage that could not be charged and wait for a retry.
    pub parked_events: i64,
    /// Number of doubtful pushes about which an administrator has to decide.
    pub open_doubts: i64,
    /// Number of reports that wait in quarantine.
    pub quarantined_reports: i64,
    /// Number of amounts of traffic that should be equal and are not.
    pub usage_drifts: i64,
}
