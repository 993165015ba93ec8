//! Reads traffic of users and nodes in any range of time, from the smallest table that has it.

use chrono::{DateTime, Timelike, Utc};
use uuid::Uuid;

use super::Connection;
use super::statement::all_rows;
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

/// Whether a boundary of buckets, which is a full hour at least, is one of UTC days.
fn is_day(boundary: &DateTime<Utc>) -> bool {
    boundary.num_seconds_from_midnight() == 0
}

/// The tables that have the traffic.
fn source(filter: Filter, grouping: UsageGrouping, boundaries: &[DateTime<Utc>]) -> &'static str {
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
    let rows = all_rows(
        sqlx::query_file!(
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
        ),
        connection,
    )
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

/// The nodes with the most traffic from `start` to `end`, of all users or of `user`, at most
/// `limit`. Whole UTC days are read by day.
pub async fn top_nodes(
    connection: &mut Connection,
    user: Option<Uuid>,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    kind: TopNodeKind,
    by: TopMeasure,
    limit: i64,
) -> Result<Vec<TopNode>, Error> {
    let by_day = [start, end].iter().all(is_day);
    let source = match (user, by_day) {
        (Some(_), true) => "user_days",
        (Some(_), false) => "user_hours",
        (None, true) => "node_days",
        (None, false) => "node_hours",
    };
    let nodes = sqlx::query_file_as!(
        TopNode,
        "src/db/sql/traffic_usage.find_top_nodes.sql",
        source,
        user,
        start,
        end,
        kind == TopNodeKind::Client,
        by == TopMeasure::Raw,
        limit
    );
    Ok(all_rows(nodes, connection).await?)
}
