//! Node servers, their clients and their heartbeats.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::statement::all_rows;
use super::{Connection, column, statements};
use crate::domain::node::Metrics;
use crate::domain::traffic::Factor;
use crate::error::Error;

/// The data of a node client that billing needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientFactor {
    /// Id of the client. `None` if a server without clients carried the usage.
    pub node_client_id: Option<i32>,
    /// The client's current billing multiplier.
    pub traffic_factor: Factor,
    /// When the client was archived. `None` if it is in use.
    pub archived_at: Option<DateTime<Utc>>,
}

/// A node server as reports need it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportedServer {
    /// Its clients, by ascending id, including archived ones.
    pub clients: Vec<ClientFactor>,
    /// When the server was archived. `None` if it is in use.
    pub archived_at: Option<DateTime<Utc>>,
}

/// Returns each of `servers` with its clients. Servers that do not exist are missing from the
/// result.
pub async fn client_factors(
    connection: &mut Connection,
    servers: &[i32],
) -> Result<HashMap<i32, ReportedServer>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* node.client_factors */
        select s.id as node_server_id, s.archived_at, c.id as "node_client_id?",
        c.traffic_factor as "traffic_factor?: Factor", c.archived_at as client_archived_at
        from telecom.node_server s
        left join telecom.node_client c on c.node_server_id = s.id
        where s.id = any($1)
        order by s.id, c.id"#,
            servers
        ),
        connection,
    )
    .await?;
    let mut found: HashMap<i32, ReportedServer> = HashMap::new();
    for row in rows {
        let server = found.entry(row.node_server_id).or_default();
        server.archived_at = row.archived_at;
        server
            .clients
            .extend(row.traffic_factor.map(|traffic_factor| ClientFactor {
                node_client_id: row.node_client_id,
                traffic_factor,
                archived_at: row.client_archived_at,
            }));
    }
    Ok(found)
}

statements! {
    /// Returns those of `servers` that exist.
    pub fn existing(servers: &[i32]) -> Values<i32> {
        r#"/* node.existing */ select id from telecom.node_server where id = any($1)"#
    }
}

/// A heartbeat of a server, derived from its reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// Id of the server.
    pub node_server_id: i32,
    /// Last time at which the server was online.
    pub online_at: DateTime<Utc>,
    /// The newest metrics and the time of their measurement. `None` if no report has metrics.
    pub metrics: Option<(DateTime<Utc>, Metrics)>,
    /// Last time at which the server carried traffic. `None` if no report shows traffic.
    pub traffic_at: Option<DateTime<Utc>>,
    /// End of the newest period minus the time at which its report was sent, in seconds. `None` if
    /// the queue did not provide the time.
    pub clock_skew_seconds: Option<i32>,
}

/// A server whose clock differs from ours by [`NOTABLE_SKEW_SECONDS`] or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkewedClock {
    /// Id of the server.
    pub node_server_id: i32,
    /// Clock skew in seconds, as in [`Heartbeat::clock_skew_seconds`].
    pub clock_skew_seconds: i32,
}

/// The smallest skew that is logged. Reports are sent every minute, and a report may be a period
/// late without a fault.
pub const NOTABLE_SKEW_SECONDS: i32 = 90;

/// Updates the last online time, metrics, last traffic and clock skew of servers, never to older
/// values. `heartbeats` has one row per server and is sorted by server. Returns the servers whose
/// skew must be logged: it is at least [`NOTABLE_SKEW_SECONDS`] and was not logged within the last
/// hour.
pub async fn record_heartbeats(
    connection: &mut Connection,
    heartbeats: &[Heartbeat],
    now: DateTime<Utc>,
) -> Result<Vec<SkewedClock>, Error> {
    let metrics = column(heartbeats, |h| match &h.metrics {
        Some((_, metrics)) => metrics.clone(),
        None => Metrics::default(),
    });
    let skewed = all_rows(
        sqlx::query_file_as!(
            SkewedClock,
            "src/db/sql/node.record_heartbeats.sql",
            &column(heartbeats, |h| h.node_server_id),
            &column(heartbeats, |h| h.online_at),
            &column(heartbeats, |h| h.metrics.as_ref().map(|(at, _)| *at))
                as &[Option<DateTime<Utc>>],
            &column(&metrics, |m| m.cpu_percent) as &[Option<f64>],
            &column(&metrics, |m| m.memory_used) as &[Option<i64>],
            &column(&metrics, |m| m.memory_total) as &[Option<i64>],
            &column(&metrics, |m| m.disk_used) as &[Option<i64>],
            &column(&metrics, |m| m.disk_total) as &[Option<i64>],
            &column(&metrics, |m| m.load1) as &[Option<f64>],
            &column(&metrics, |m| m.online_users) as &[Option<i64>],
            &column(&metrics, |m| m.uptime_seconds) as &[Option<i64>],
            &column(&metrics, |m| m.upload_rate) as &[Option<i64>],
            &column(&metrics, |m| m.download_rate) as &[Option<i64>],
            &column(heartbeats, |h| h.traffic_at) as &[Option<DateTime<Utc>>],
            &column(heartbeats, |h| h.clock_skew_seconds) as &[Option<i32>],
            now,
            NOTABLE_SKEW_SECONDS,
        ),
        connection,
    )
    .await?;
    Ok(skewed)
}
