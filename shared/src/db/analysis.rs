//! Queries for the pages that users see: their usage and their nodes.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::statement::all_rows;
use super::{Connection, from_row, statements, stored};
use crate::domain::node::{Node, NodeStatusHour, UsuallyUsedNode};
use crate::domain::page::Page;
use crate::domain::traffic::Traffic;
use crate::error::Error;

/// Sums a user's hourly usage between consecutive `boundaries`, which are ascending. Returns
/// `(bucket, traffic)` for the buckets that have any usage. Bucket `i` is `[boundaries[i],
/// boundaries[i + 1])`.
pub async fn usage_by_bucket(
    connection: &mut Connection,
    user_id: Uuid,
    boundaries: &[DateTime<Utc>],
) -> Result<Vec<(usize, Traffic)>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* analysis.usage_by_bucket */
        select width_bucket(bucket_start, $2::timestamptz[]) - 1 as "bucket!",
            sum(raw_upload_bytes)::bigint as "raw_upload!",
            sum(raw_download_bytes)::bigint as "raw_download!",
            sum(billed_upload_bytes)::bigint as "billed_upload!",
            sum(billed_download_bytes)::bigint as "billed_download!"
        from telecom.user_package_usage
        where user_id = $1 and bucket_start >= $3 and bucket_start < $4
        group by 1"#,
            user_id,
            boundaries,
            boundaries.first().copied(),
            boundaries.last().copied()
        ),
        connection,
    )
    .await?;
    rows.into_iter()
        .map(|row| {
            let traffic = from_row!(row => Traffic {
                raw_upload, raw_download, billed_upload, billed_download
            });
            Ok((
                usize::try_from(row.bucket).map_err(Error::internal)?,
                traffic,
            ))
        })
        .collect()
}

statements! {
    /// Counts, for each hour in `[start, end)` with a recorded status, the node clients that the
    /// user's active package opens, by the status of their server. Oldest hour first.
    ///
    /// The `offset` makes the planner read the hours server by server, so that the hours of other
    /// servers are not read.
    pub fn node_status_hours(
        user_id: Uuid,
        start: DateTime<Utc>,
        end: DateTime<Utc>
    ) -> Rows<NodeStatusHour> {
        r#"/* analysis.node_status_hours */
        with mine as (
            select node_server_id, count(*) as clients
            from telecom.user_node_client
            where user_id = $1
            group by node_server_id
        )
        select h.hour at time zone 'UTC' as "bucket_start!",
            coalesce(sum(m.clients) filter (where h.status = 'online'),
            0)::bigint as "online_nodes!",
            coalesce(sum(m.clients) filter (where h.status = 'offline'),
            0)::bigint as "offline_nodes!",
            coalesce(sum(m.clients) filter (where h.status = 'maintenance'),
            0)::bigint as "maintenance_nodes!"
        from mine m
        cross join lateral (
            select hour, status from telecom.node_status_hourly
            where node_server_id = m.node_server_id
                and hour >= $2::timestamptz at time zone 'UTC'
                and hour < $3::timestamptz at time zone 'UTC'
            offset 0
        ) h
        group by h.hour
        order by h.hour"#
    }

    /// The node clients that carried the most traffic of a user in `[start, end)`, by billed, then
    /// raw traffic, descending. Only clients that the user's active package opens are returned,
    /// because the user cannot choose others or deleted ones.
    pub fn usually_used_nodes(
        user_id: Uuid,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
        limit: i64
    ) -> Rows<UsuallyUsedNode> {
        r#"/* analysis.usually_used_nodes */
        select c.id as "node_client_id!", c.name as "node_name!", u.upload as "upload!",
        u.download as "download!",
            u.billed_traffic as "billed_traffic!"
        from (
            select node_client_id,
                sum(raw_upload_bytes)::bigint as upload,
                sum(raw_download_bytes)::bigint as download,
                sum(billed_upload_bytes + billed_download_bytes)::bigint as billed_traffic
            from telecom.user_package_usage
            where user_id = $1 and bucket_start >= $2 and bucket_start < $3
            group by node_client_id
        ) u
        join telecom.user_node_client c on c.user_id = $1 and c.id = u.node_client_id
        order by u.billed_traffic desc, u.upload + u.download desc, c.id
        limit $4"#
    }
}

/// A page of the node clients that a user's active package opens, by display order, then id, and
/// their total number.
pub async fn user_nodes(
    connection: &mut Connection,
    user_id: Uuid,
    page: Page,
) -> Result<(Vec<Node>, i64), Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* analysis.user_nodes */
        select c.id as "id!", c.name as "name!", c.traffic_factor::float8 as "traffic_factor!",
            c.display_order as "display_order!", c.speed_limit_bits_per_second as speed_limit,
            s.status::text as "status!", c.country as "country!", c.location as "location!",
            c.route_class as "route_class!"
        from telecom.user_node_client c
        join telecom.node_server s on s.id = c.node_server_id
        where c.user_id = $1
        order by c.display_order, c.id
        limit $2 offset $3"#,
            user_id,
            page.limit,
            page.offset
        ),
        connection,
    )
    .await?;
    let total = sqlx::query_scalar!(
        r#"/* analysis.count_user_nodes */
        select count(*) as "total!" from telecom.user_node_client where user_id = $1"#,
        user_id
    )
    .fetch_one(connection)
    .await?;
    let nodes = rows.into_iter().map(|row| {
        Ok(from_row!(row => Node {
            id, name, traffic_factor, display_order, speed_limit, country, location, route_class;
            status: stored(&row.status)?
        }))
    });
    Ok((nodes.collect::<Result<_, Error>>()?, total))
}
