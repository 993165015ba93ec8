//! Node servers and node clients as administrators see them.

use serde_json::Value;

use super::statement::all_rows;
use super::{Connection, from_row, statements, stored};
use crate::domain::node::Metrics;
use crate::domain::node::{
    NodeClient, NodeServerDetails, NodeServerMetrics, NodeServerStatus, NodeServerSummary,
};
use crate::domain::page::Page;
use crate::error::Error;

/// A page of node servers by id, of all servers or of those in one status, and their total number.
/// Archived servers are left out unless `archived` is `true`.
///
/// The statements of this module look up related rows by subqueries per row. With a join, a plan
/// that does not know the limit would read the whole other table. Each filter has its own arm of
/// the `union all`. Only one arm runs, so one plan suits all filters. `between` keeps the planner
/// from reading all servers by primary key and discarding those in another status.
pub async fn list_servers(
    connection: &mut Connection,
    status: Option<NodeServerStatus>,
    archived: bool,
    page: Page,
) -> Result<(Vec<NodeServerSummary>, i64), Error> {
    let status: Option<&'static str> = status.map(Into::into);
    let rows = all_rows(
        sqlx::query!(
            r#"/* fleet.list_servers */
        select s.id as "id!", s.name as "name!", s.compatibility::text as "compatibility!",
        s.status::text as "status!",
            (select last_online_at from telecom.node_server_heartbeat h
            where h.node_server_id = s.id) as last_online_at,
            (select last_traffic_at from telecom.node_server_heartbeat h
            where h.node_server_id = s.id) as last_traffic_at,
            (select count(*) from telecom.node_client c
            where c.node_server_id = s.id and c.archived_at is null) as "client_count!",
            s.archived_at
        from (
            (select id, name, compatibility, status, archived_at from telecom.node_server
             where $1::text is null and ($4 or archived_at is null)
             order by id limit $2 offset $3)
            union all
            (select id, name, compatibility, status, archived_at from telecom.node_server
             where status between $1::text::telecom.node_server_status
             and $1::text::telecom.node_server_status and ($4 or archived_at is null)
             order by status, id limit $2 offset $3)
        ) s
        order by s.id"#,
            status,
            page.limit,
            page.offset,
            archived
        ),
        connection,
    )
    .await?;
    let total = sqlx::query_scalar!(
        r#"/* fleet.count_servers */
        select count(*) as "total!" from (
            select from telecom.node_server
            where $1::text is null and ($2 or archived_at is null)
            union all
            select from telecom.node_server
            where status between $1::text::telecom.node_server_status
            and $1::text::telecom.node_server_status and ($2 or archived_at is null)
        ) s"#,
        status,
        archived
    )
    .fetch_one(connection)
    .await?;
    let servers = rows.into_iter().map(|row| {
        Ok(from_row!(row => NodeServerSummary {
            id, name, last_online_at, client_count, last_traffic_at, archived_at;
            compatibility: stored(&row.compatibility)?, status: stored(&row.status)?
        }))
    });
    Ok((servers.collect::<Result<_, Error>>()?, total))
}

/// All data of a node server, secrets included. `None` if the server does not exist.
pub async fn show_server(
    connection: &mut Connection,
    id: i32,
) -> Result<Option<NodeServerDetails>, Error> {
    let row = sqlx::query!(
        r#"/* fleet.show_server */
        select s.id, s.name, s.compatibility::text as "compatibility!",
        s.status::text as "status!", s.server_config,
            s.revision, s.archived_at, s.created_at, s.updated_at,
            h.last_online_at as "last_online_at?",
            h.metrics_at as "metrics_at?",
            h.last_traffic_at as "last_traffic_at?", h.clock_skew_seconds as "clock_skew_seconds?",
            h.cpu_percent, h.memory_used_bytes, h.memory_total_bytes, h.disk_used_bytes,
            h.disk_total_bytes, h.load1,
            h.online_users, h.uptime_seconds, h.upload_bytes_per_second,
            h.download_bytes_per_second,
            (select count(*) from telecom.node_client c
            where c.node_server_id = s.id and c.archived_at is null) as "client_count!"
        from telecom.node_server s
        left join telecom.node_server_heartbeat h on h.node_server_id = s.id
        where s.id = $1"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let metrics = Metrics {
        cpu_percent: row.cpu_percent,
        memory_used: row.memory_used_bytes,
        memory_total: row.memory_total_bytes,
        disk_used: row.disk_used_bytes,
        disk_total: row.disk_total_bytes,
        load1: row.load1,
        online_users: row.online_users,
        uptime_seconds: row.uptime_seconds,
        upload_rate: row.upload_bytes_per_second,
        download_rate: row.download_bytes_per_second,
    };
    Ok(Some(NodeServerDetails {
        server: from_row!(row => NodeServerSummary {
            id, name, last_online_at, client_count, last_traffic_at, archived_at;
            compatibility: stored(&row.compatibility)?, status: stored(&row.status)?
        }),
        server_config: row.server_config,
        metrics: row.metrics_at.map(|measured_at| NodeServerMetrics {
            measured_at,
            metrics,
        }),
        clock_skew_seconds: row.clock_skew_seconds,
        revision: row.revision,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }))
}

/// The node clients that [`list_clients`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// The node clients of all servers.
    All,
    /// The node clients of the server with this id.
    OfServer(i32),
    /// The node client with this id.
    One(i32),
}

/// A page of node clients by id, secrets included. Archived clients are left out of lists unless
/// `archived` is `true`.
pub async fn list_clients(
    connection: &mut Connection,
    which: Clients,
    archived: bool,
    page: Page,
) -> Result<Vec<NodeClient>, Error> {
    let (server, client) = match which {
        Clients::All => (None, None),
        Clients::OfServer(id) => (Some(id), None),
        Clients::One(id) => (None, Some(id)),
    };
    let rows = all_rows(
        sqlx::query!(
            r#"/* fleet.list_clients */
        select c.id as "id!", c.name as "name!", c.node_server_id as "node_server_id!",
        s.name as server_name,
            s.status::text as "status!", c.traffic_factor::float8 as "traffic_factor!",
            c.display_order as "display_order!", c.speed_limit_bits_per_second as speed_limit,
            c.country as "country!",
            c.location as "location!", c.route_class as "route_class!",
            c.access_groups as "access_groups!",
            c.client_config as "client_config!: Value", c.revision as "revision!", c.archived_at,
            c.created_at as "created_at!",
            c.updated_at as "updated_at!"
        from (
            (select * from telecom.node_client where $1::int is null and $2::int is null
            and ($5 or archived_at is null) order by id limit $3 offset $4)
            union all
            (select * from telecom.node_client where node_server_id = $1
            and ($5 or archived_at is null) order by id limit $3 offset $4)
            union all
            (select * from telecom.node_client where id = $2 limit $3 offset $4)
        ) c
        cross join lateral (select name, status from telecom.node_server
        where id = c.node_server_id limit 1) s
        order by c.id"#,
            server,
            client,
            page.limit,
            page.offset,
            archived
        ),
        connection,
    )
    .await?;
    let clients = rows.into_iter().map(|row| {
        Ok(from_row!(row => NodeClient {
            id, name, server_name, traffic_factor, display_order, speed_limit, country, location,
            route_class, access_groups, client_config, revision, archived_at, created_at,
            updated_at;
            server_id: row.node_server_id, status: stored(&row.status)?
        }))
    });
    clients.collect()
}

statements! {
    /// Counts the node clients of a server, or all node clients if `server` is `None`. Archived
    /// ones count if `archived` is `true`.
    pub fn count_clients(server: Option<i32>, archived: bool) -> Value<i64> {
        r#"/* fleet.count_clients */
        select count(*) as "total!" from (
            select from telecom.node_client where $1::int is null and ($2 or archived_at is null)
            union all
            select from telecom.node_client
            where node_server_id = $1 and ($2 or archived_at is null)
        ) c"#
    }
}
