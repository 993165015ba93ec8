//! Node servers, their clients and their heartbeats.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{Connection, columns};
use crate::domain::node::Metrics;
use crate::domain::traffic::Factor;
use crate::error::Error;

/// The data of a node client that billing needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientFactor {
    /// Id of the client.
    pub node_client_id: i32,
    /// The client's current billing multiplier.
    pub traffic_factor: Factor,
}

/// Returns the clients of each of `servers`, by ascending id. Servers that do not exist are missing
/// from the result.
pub async fn client_factors(
    connection: &mut Connection,
    servers: &[i32],
) -> Result<HashMap<i32, Vec<ClientFactor>>, Error> {
    let rows = sqlx::query!(
        r#"/* node.client_factors */
        select s.id as node_server_id, c.id as "node_client_id?",
        c.traffic_factor as "traffic_factor?: Factor"
        from telecom.node_server s
        left join telecom.node_client c on c.node_server_id = s.id
        where s.id = any($1)
        order by s.id, c.id"#,
        servers
    )
    .fetch_all(connection)
    .await?;
    let mut factors: HashMap<i32, Vec<ClientFactor>> = HashMap::new();
    for row in rows {
        let clients = factors.entry(row.node_server_id).or_default();
        if let (Some(node_client_id), Some(traffic_factor)) =
            (row.node_client_id, row.traffic_factor)
        {
            clients.push(ClientFactor {
                node_client_id,
                traffic_factor,
            });
        }
    }
    Ok(factors)
}

/// Returns those of `servers` that exist.
pub async fn existing(connection: &mut Connection, servers: &[i32]) -> Result<Vec<i32>, Error> {
    let ids = sqlx::query_scalar!(
        r#"/* node.existing */ select id from telecom.node_server where id = any($1)"#,
        servers
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
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
    let (servers, online, metrics_at, traffic_at, skews) = columns!(
        heartbeats,
        |h| h.node_server_id,
        |h| h.online_at,
        |h| h.metrics.as_ref().map(|(at, _)| *at),
        |h| h.traffic_at,
        |h| h.clock_skew_seconds
    );
    let metrics: Vec<Metrics> = heartbeats
        .iter()
        .map(|h| {
            h.metrics
                .as_ref()
                .map(|(_, metrics)| metrics.clone())
                .unwrap_or_default()
        })
        .collect();
    let (cpu, memory_used, memory_total, disk_used, disk_total) = columns!(
        metrics,
        |m| m.cpu_percent,
        |m| m.memory_used,
        |m| m.memory_total,
        |m| m.disk_used,
        |m| m.disk_total
    );
    let (load1, online_users, uptime, upload_rate, download_rate) = columns!(
        metrics,
        |m| m.load1,
        |m| m.online_users,
        |m| m.uptime_seconds,
        |m| m.upload_rate,
        |m| m.download_rate
    );
    let skewed = sqlx::query_as!(
        SkewedClock,
        r#"/* node.record_heartbeats */
        with beat as (insert into telecom.node_server_heartbeat as h (
            node_server_id, last_online_at, metrics_at, cpu_percent, memory_used_bytes,
            memory_total_bytes,
            disk_used_bytes, disk_total_bytes, load1, online_users, uptime_seconds,
            upload_bytes_per_second,
            download_bytes_per_second, last_traffic_at, clock_skew_seconds, clock_skew_logged_at
        )
        select b.*, case when abs(b.clock_skew_seconds) >= $17 then $16::timestamptz end
        from unnest(
            $1::int[], $2::timestamptz[], $3::timestamptz[], $4::float8[], $5::bigint[],
            $6::bigint[], $7::bigint[],
            $8::bigint[], $9::float8[], $10::bigint[], $11::bigint[], $12::bigint[],
            $13::bigint[], $14::timestamptz[],
            $15::int[]
        ) as b (
            node_server_id, last_online_at, metrics_at, cpu_percent, memory_used_bytes,
            memory_total_bytes,
            disk_used_bytes, disk_total_bytes, load1, online_users, uptime_seconds,
            upload_bytes_per_second,
            download_bytes_per_second, last_traffic_at, clock_skew_seconds
        )
        on conflict (node_server_id) do update set
            last_online_at = greatest(h.last_online_at, excluded.last_online_at),
            last_traffic_at = greatest(h.last_traffic_at, excluded.last_traffic_at),
            clock_skew_seconds = case when excluded.last_online_at > h.last_online_at
                then excluded.clock_skew_seconds else h.clock_skew_seconds end,
            clock_skew_logged_at = case when excluded.last_online_at > h.last_online_at
                    and (h.clock_skew_logged_at > excluded.clock_skew_logged_at - interval '1
                    hour') is not true
                then coalesce(excluded.clock_skew_logged_at, h.clock_skew_logged_at)
                else h.clock_skew_logged_at end,
            (metrics_at, cpu_percent, memory_used_bytes, memory_total_bytes, disk_used_bytes,
            disk_total_bytes, load1,
             online_users, uptime_seconds, upload_bytes_per_second, download_bytes_per_second) = (
                select case when newer then excluded.metrics_at else h.metrics_at end,
                    case when newer then excluded.cpu_percent else h.cpu_percent end,
                    case when newer then excluded.memory_used_bytes else h.memory_used_bytes end,
                    case when newer then excluded.memory_total_bytes else h.memory_total_bytes end,
                    case when newer then excluded.disk_used_bytes else h.disk_used_bytes end,
                    case when newer then excluded.disk_total_bytes else h.disk_total_bytes end,
                    case when newer then excluded.load1 else h.load1 end,
                    case when newer then excluded.online_users else h.online_users end,
                    case when newer then excluded.uptime_seconds else h.uptime_seconds end,
                    case when newer then excluded.upload_bytes_per_second
                    else h.upload_bytes_per_second end,
                    case when newer then excluded.download_bytes_per_second
                    else h.download_bytes_per_second end
                from (values (coalesce(excluded.metrics_at > coalesce(h.metrics_at, '-infinity'),
                false))) as v (newer)
            )
        where excluded.last_online_at > h.last_online_at
            or coalesce(excluded.metrics_at > coalesce(h.metrics_at, '-infinity'), false)
            or coalesce(excluded.last_traffic_at > coalesce(h.last_traffic_at, '-infinity'), false)
        returning node_server_id, clock_skew_seconds, clock_skew_logged_at)
        select node_server_id as "node_server_id!", clock_skew_seconds as "clock_skew_seconds!"
        from beat
        where clock_skew_logged_at = $16 and clock_skew_seconds is not null"#,
        &servers,
        &online,
        &metrics_at as &[Option<DateTime<Utc>>],
        &cpu as &[Option<f64>],
        &memory_used as &[Option<i64>],
        &memory_total as &[Option<i64>],
        &disk_used as &[Option<i64>],
        &disk_total as &[Option<i64>],
        &load1 as &[Option<f64>],
        &online_users as &[Option<i64>],
        &uptime as &[Option<i64>],
        &upload_rate as &[Option<i64>],
        &download_rate as &[Option<i64>],
        &traffic_at as &[Option<DateTime<Utc>>],
        &skews as &[Option<i32>],
        now,
        NOTABLE_SKEW_SECONDS,
    )
    .fetch_all(connection)
    .await?;
    Ok(skewed)
}
