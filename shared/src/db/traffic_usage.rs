//! Reads traffic of users and nodes in any range of time, from the smallest table that has it.

use chrono::{DateTime, NaiveTime, Timelike, Utc};

use super::{Connection, statements};
use crate::domain::page::Page;
use crate::domain::top::{TopMeasure, TopNode, TopNodeKind};
use crate::domain::traffic_usage::{Filter, TrafficSum, UsageBucket, UsageGrouping};
use crate::error::Error;

/// A page of traffic, and the sum of all pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Buckets with traffic, by start, server and client.
    pub buckets: Vec<UsageBucket>,
    /// Number of such buckets on all pages.
    pub total: i64,
    /// Traffic of all pages.
    pub sum: TrafficSum,
}

/// The tables that have the traffic.
fn source(filter: Filter, grouping: UsageGrouping, boundaries: &[DateTime<Utc>]) -> &'static str {
    let is_day = |boundary: &DateTime<Utc>| boundary.num_seconds_from_midnight() == 0;
    match filter {
        Filter { user: Some(_), .. } if boundaries.iter().all(is_day) => "user_days",
        Filter { user: Some(_), .. } => "user_hours",
        Filter {
            node_client_id: Some(_),
            ..
        } => "client",
        Filter {
            server_id: Some(_), ..
        } => "server",
        _ if grouping == UsageGrouping::None => "total",
        _ => "nodes",
    }
}

/// Sums traffic between consecutive `boundaries`, which are ascending.
pub async fn find(
    connection: &mut Connection,
    filter: Filter,
    grouping: UsageGrouping,
    boundaries: &[DateTime<Utc>],
    page: Page,
) -> Result<Found, Error> {
    let rows = sqlx::query_file!(
        "src/db/sql/traffic_usage.find.sql",
        source(filter, grouping, boundaries),
        filter.user,
        filter.server_id,
        filter.node_client_id,
        boundaries.first().copied(),
        boundaries.last().copied(),
        boundaries,
        <&str>::from(grouping),
        page.limit,
        page.offset
    )
    .fetch_all(connection)
    .await?;
    let mut found = Found {
        buckets: Vec::with_capacity(rows.len()),
        total: 0,
        sum: TrafficSum::default(),
    };
    for row in rows {
        let traffic = TrafficSum {
            raw_upload: row.raw_upload,
            raw_download: row.raw_download,
            billed_upload: row.billed_upload,
            billed_download: row.billed_download,
            corrected_upload: row.corrected_upload,
            corrected_download: row.corrected_download,
        };
        let Ok(number) = usize::try_from(row.number) else {
            found.total = row.server_id.unwrap_or_default().into();
            found.sum = traffic;
            continue;
        };
        let edges = boundaries.get(number).zip(boundaries.get(number + 1));
        let (&start, &end) =
            edges.ok_or_else(|| Error::internal("a bucket is outside of its range"))?;
        found.buckets.push(UsageBucket {
            start,
            end,
            server_id: row.server_id,
            node_client_id: row.client_id,
            traffic,
        });
    }
    Ok(found)
}

statements! {
    fn find_top_nodes(
        start: DateTime<Utc>,
        end: DateTime<Utc>,
        by_day: bool,
        clients: bool,
        raw: bool,
        limit: i64
    ) -> Rows<TopNode> {
        r#"/* traffic_usage.find_top_nodes */
        with usage as (
            select node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
                billed_upload_bytes, billed_download_bytes
            from telecom.node_usage_hourly
            where not $3 and node_server_id is not null
                and bucket_start >= $1 and bucket_start < $2
            union all
            select node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
                billed_upload_bytes, billed_download_bytes
            from telecom.node_usage_daily
            where $3 and day >= ($1 at time zone 'UTC')::date
                and day < ($2 at time zone 'UTC')::date
            union all
            select node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
                billed_upload_bytes, billed_download_bytes
            from telecom.node_usage_delta
            where bucket_start >= $1 and bucket_start < $2
        ), node as (
            select node_server_id, case when $4 then node_client_id end as node_client_id,
                sum(raw_upload_bytes)::bigint as raw_upload,
                sum(raw_download_bytes)::bigint as raw_download,
                sum(billed_upload_bytes)::bigint as billed_upload,
                sum(billed_download_bytes)::bigint as billed_download
            from usage
            group by 1, 2
        ), place as (
            select node.*,
                row_number() over (
                    order by case when $5 then raw_upload + raw_download
                            else billed_upload + billed_download end desc,
                        raw_upload + raw_download + billed_upload + billed_download desc,
                        node_server_id, node_client_id
                ) as rank
            from node
            order by rank
            limit $6
        )
        select p.rank as "rank!", p.node_server_id as "server_id!", p.node_client_id,
            coalesce(c.name, s.name) as name, p.raw_upload as "raw_upload!",
            p.raw_download as "raw_download!", p.billed_upload as "billed_upload!",
            p.billed_download as "billed_download!"
        from place p
        left join telecom.node_client c on c.id = p.node_client_id
        left join telecom.node_server s on s.id = p.node_server_id and not $4
        order by p.rank"#
    }
}

/// The nodes with the most traffic from `start` to `end`, at most `limit`. Whole UTC days are
/// read by day.
pub async fn top_nodes(
    connection: &mut Connection,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    kind: TopNodeKind,
    by: TopMeasure,
    limit: i64,
) -> Result<Vec<TopNode>, Error> {
    let by_day = start.time() == NaiveTime::MIN && end.time() == NaiveTime::MIN;
    let (clients, raw) = (kind == TopNodeKind::Client, by == TopMeasure::Raw);
    find_top_nodes(connection, start, end, by_day, clients, raw, limit).await
}
