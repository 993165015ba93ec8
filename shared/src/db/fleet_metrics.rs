//! Numbers of the whole fleet for monitoring systems.

use chrono::{DateTime, Utc};

use super::{Connection, statements};
use crate::domain::fleet_metrics::{CountedHours, FleetNumbers, ServerBytes, ServerUsage};
use crate::error::Error;

/// Sums of one server.
struct SummedServer {
    id: i32,
    name: String,
    archived: bool,
    previous_upload: i64,
    previous_download: i64,
    upload: i64,
    download: i64,
}

statements! {
    /// Counts servers, items and users. Items are counted from the rows of `package_queue_count`,
    /// which `expire-packages` keeps few. Users count who were connected after `online_since`.
    pub fn numbers(online_since: DateTime<Utc>) -> Row<FleetNumbers> {
        r#"/* fleet_metrics.numbers */
        with server as (
            select status, count(*) as number from telecom.node_server
            where archived_at is null group by status
        ), item as (
            select status, sum(items)::bigint as number from telecom.package_queue_count
            group by status
        )
        select
            coalesce((select number from server where status = 'online'), 0) as "online_servers!",
            coalesce((select number from server where status = 'offline'), 0)
                as "offline_servers!",
            coalesce((select number from server where status = 'maintenance'), 0)
                as "maintenance_servers!",
            coalesce((select number from item where status = 'in_queue'), 0) as "waiting_items!",
            coalesce((select number from item where status = 'active'), 0) as "active_items!",
            coalesce((select number from item where status = 'consumed'), 0)
                as "consumed_items!",
            coalesce((select number from item where status = 'cancelled'), 0)
                as "cancelled_items!",
            (select count(distinct user_number) from telecom.online_address where seen_at > $1)
                as "online_users!",
            (
                select received_at from telecom.usage_report
                where billing_run_id is null and line_count > 0 order by seq limit 1
            ) as oldest_unbilled_at"#
    }

    /// The end of the hours limits what a plan without knowledge of the arguments expects to read.
    fn usage_by_server(hours: CountedHours) -> Rows<SummedServer> {
        r#"/* fleet_metrics.usage_by_server */
        with usage as (
            select bucket_start, node_server_id, raw_upload_bytes, raw_download_bytes
            from telecom.node_usage_hourly
            where bucket_start >= $1 and bucket_start < $3 and node_server_id is not null
            union all
            select bucket_start, node_server_id, raw_upload_bytes, raw_download_bytes
            from telecom.node_usage_delta
            where bucket_start >= $1 and bucket_start < $3
        ), summed as (
            select node_server_id, sum(raw_upload_bytes)::bigint as previous_upload,
                sum(raw_download_bytes)::bigint as previous_download,
                (sum(raw_upload_bytes) filter (where bucket_start >= $2))::bigint as upload,
                (sum(raw_download_bytes) filter (where bucket_start >= $2))::bigint as download
            from usage group by node_server_id
        )
        select s.id, s.name, s.archived_at is not null as "archived!",
            coalesce(u.previous_upload, 0) as "previous_upload!",
            coalesce(u.previous_download, 0) as "previous_download!",
            coalesce(u.upload, 0) as "upload!", coalesce(u.download, 0) as "download!"
        from telecom.node_server s
        left join summed u on u.node_server_id = s.id
        order by s.id"#,
        hours.previous_first, hours.first, hours.end
    }
}

/// The raw traffic of every server that was charged for usage in `hours`.
pub async fn server_usage(
    connection: &mut Connection,
    hours: CountedHours,
) -> Result<Vec<ServerUsage>, Error> {
    let rows = usage_by_server(connection, hours).await?;
    let servers = rows.into_iter().map(|row| ServerUsage {
        id: row.id,
        name: row.name,
        archived: row.archived,
        since_previous_first: ServerBytes {
            upload: row.previous_upload,
            download: row.previous_download,
        },
        since_first: ServerBytes {
            upload: row.upload,
            download: row.download,
        },
    });
    Ok(servers.collect())
}
