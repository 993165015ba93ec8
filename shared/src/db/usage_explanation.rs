//! Reads how billed usage came about.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::statement::all_rows;
use super::{Connection, from_row, statements};
use crate::domain::page::Page;
use crate::domain::traffic_usage::TrafficSum;
use crate::domain::usage_explanation::{BilledPart, ExplainedUsage, MAX_LINES};
use crate::error::Error;

/// A page of what billing runs billed for a user's hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// The parts of the page, by the arrival of their first report.
    pub parts: Vec<BilledPart>,
    /// Number of parts on all pages.
    pub total: i64,
    /// Sum of the billed parts on all pages.
    pub sum: TrafficSum,
}

/// What billing runs billed for a user's hour, as far as their reports are kept. Reads the reports
/// of the servers that the user used in the hour.
pub async fn parts(
    connection: &mut Connection,
    user: Uuid,
    hour: DateTime<Utc>,
    page: Page,
) -> Result<Parts, Error> {
    let rows = all_rows(
        sqlx::query_file!(
            "src/db/sql/usage_explanation.parts.sql",
            user,
            hour,
            page.limit,
            page.offset,
            i64::try_from(MAX_LINES).map_err(Error::internal)?
        ),
        connection,
    )
    .await?;
    let mut found = Parts {
        parts: Vec::with_capacity(rows.len()),
        total: 0,
        sum: TrafficSum::default(),
    };
    for row in rows {
        if row.first_at.is_none() {
            found.total = row.lines;
            found.sum = TrafficSum {
                raw_upload: row.raw_upload,
                raw_download: row.raw_download,
                billed_upload: row.billed_upload,
                billed_download: row.billed_download,
                ..TrafficSum::default()
            };
            continue;
        }
        found.parts.push(from_row!(row => BilledPart {
            billing_run_id, server_id, node_client_id, node_client_name, raw_upload, raw_download,
            billed_upload, billed_download, exact_upload, exact_download;
            line_count: row.lines,
            lines: serde_json::from_value(row.first_lines).map_err(Error::internal)?
        }));
    }
    Ok(found)
}

struct Row {
    hour: DateTime<Utc>,
    server_id: i32,
    node_client_id: Option<i32>,
    node_client_name: Option<String>,
    package_queue_id: Option<i64>,
    raw_upload: i64,
    raw_download: i64,
    billed_upload: i64,
    billed_download: i64,
    corrected_upload: i64,
    corrected_download: i64,
}

impl From<Row> for ExplainedUsage {
    fn from(row: Row) -> Self {
        Self {
            hour: row.hour,
            server_id: row.server_id,
            node_client_id: row.node_client_id,
            node_client_name: row.node_client_name,
            package_queue_id: row.package_queue_id,
            traffic: TrafficSum {
                raw_upload: row.raw_upload,
                raw_download: row.raw_download,
                billed_upload: row.billed_upload,
                billed_download: row.billed_download,
                corrected_upload: row.corrected_upload,
                corrected_download: row.corrected_download,
            },
        }
    }
}

/// Sums of the hourly usage of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemSums {
    /// Owner of the item.
    pub user: Uuid,
    /// Counter of the item: bytes charged for upload.
    pub upload: i64,
    /// Counter of the item: bytes charged for download.
    pub download: i64,
    /// Number of hourly rows.
    pub rows: i64,
    /// Raw upload of these rows.
    pub raw_upload: i64,
    /// Raw download of these rows.
    pub raw_download: i64,
    /// Billed upload of these rows.
    pub billed_upload: i64,
    /// Billed download of these rows.
    pub billed_download: i64,
    /// What corrections added to the billed upload.
    pub corrected_upload: i64,
    /// What corrections added to the billed download.
    pub corrected_download: i64,
}

statements! {
    fn rows_of_hour(user: Uuid, hour: DateTime<Utc>) -> Rows<Row> {
        r#"/* usage_explanation.rows_of_hour */
        select u.bucket_start as hour, u.node_server_id as server_id, u.node_client_id,
            n.name as "node_client_name?", u.package_queue_id, u.raw_upload_bytes as raw_upload,
            u.raw_download_bytes as raw_download, u.billed_upload_bytes as billed_upload,
            u.billed_download_bytes as billed_download, c.upload as "corrected_upload!",
            c.download as "corrected_download!"
        from telecom.user_package_usage u
        cross join lateral (
            select coalesce(sum(billed_upload_bytes), 0)::bigint as upload,
                coalesce(sum(billed_download_bytes), 0)::bigint as download
            from telecom.usage_correction c
            where c.user_id = u.user_id and c.bucket_start = u.bucket_start
                and c.node_server_id = u.node_server_id
                and c.node_client_id is not distinct from u.node_client_id
                and c.package_queue_id is not distinct from u.package_queue_id
        ) c
        left join telecom.node_client n on n.id = u.node_client_id
        where u.user_id = $1 and u.bucket_start = $2
        order by u.node_server_id, u.node_client_id, u.package_queue_id"#
    }

    fn rows_of_item(id: i64, user: Uuid, page: Page) -> Rows<Row> {
        r#"/* usage_explanation.rows_of_item */
        select u.bucket_start as hour, u.node_server_id as server_id, u.node_client_id,
            n.name as "node_client_name?", u.package_queue_id, u.raw_upload_bytes as raw_upload,
            u.raw_download_bytes as raw_download, u.billed_upload_bytes as billed_upload,
            u.billed_download_bytes as billed_download, c.upload as "corrected_upload!",
            c.download as "corrected_download!"
        from (
            select * from telecom.user_package_usage
            where package_queue_id = $1 and user_id = $2
            order by bucket_start desc, node_server_id, node_client_id
            limit $3 offset $4
        ) u
        cross join lateral (
            select coalesce(sum(billed_upload_bytes), 0)::bigint as upload,
                coalesce(sum(billed_download_bytes), 0)::bigint as download
            from telecom.usage_correction c
            where c.user_id = u.user_id and c.bucket_start = u.bucket_start
                and c.node_server_id = u.node_server_id
                and c.node_client_id is not distinct from u.node_client_id
                and c.package_queue_id = u.package_queue_id
        ) c
        left join telecom.node_client n on n.id = u.node_client_id
        order by u.bucket_start desc, u.node_server_id, u.node_client_id"#,
        id,
        user,
        page.limit,
        page.offset
    }

    /// The counters of an item, and the sums of its hourly usage. Nothing if there is no such item.
    pub fn item_sums(id: i64) -> FirstRow<ItemSums> {
        r#"/* usage_explanation.item_sums */
        select q.user_id as "user", q.upload_bytes as upload, q.download_bytes as download,
            u.rows as "rows!", u.raw_upload as "raw_upload!", u.raw_download as "raw_download!",
            u.billed_upload as "billed_upload!", u.billed_download as "billed_download!",
            c.upload as "corrected_upload!", c.download as "corrected_download!"
        from telecom.package_queue q
        cross join lateral (
            select count(*) as rows, coalesce(sum(raw_upload_bytes), 0)::bigint as raw_upload,
                coalesce(sum(raw_download_bytes), 0)::bigint as raw_download,
                coalesce(sum(billed_upload_bytes), 0)::bigint as billed_upload,
                coalesce(sum(billed_download_bytes), 0)::bigint as billed_download
            from telecom.user_package_usage
            where package_queue_id = q.id
        ) u
        cross join lateral (
            select coalesce(sum(billed_upload_bytes), 0)::bigint as upload,
                coalesce(sum(billed_download_bytes), 0)::bigint as download
            from telecom.usage_correction
            where package_queue_id = q.id
        ) c
        where q.id = $1"#
    }

    /// Usage of a user's hour that is billed, and waits to be charged.
    pub fn parked(user: Uuid, hour: DateTime<Utc>) -> Row<TrafficSum> {
        r#"/* usage_explanation.parked */
        select coalesce(sum(raw_upload_bytes), 0)::bigint as "raw_upload!",
            coalesce(sum(raw_download_bytes), 0)::bigint as "raw_download!",
            coalesce(sum(billed_upload_bytes), 0)::bigint as "billed_upload!",
            coalesce(sum(billed_download_bytes), 0)::bigint as "billed_download!",
            0::bigint as "corrected_upload!", 0::bigint as "corrected_download!"
        from telecom.parked_event where user_id = $1 and bucket_start = $2"#
    }
}

/// The hourly rows of a user's hour, by server, client and item.
pub async fn of_hour(
    connection: &mut Connection,
    user: Uuid,
    hour: DateTime<Utc>,
) -> Result<Vec<ExplainedUsage>, Error> {
    let rows = rows_of_hour(connection, user, hour).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// A page of the hourly rows of an item, newest first, then by server and client.
pub async fn of_item(
    connection: &mut Connection,
    id: i64,
    user: Uuid,
    page: Page,
) -> Result<Vec<ExplainedUsage>, Error> {
    let rows = rows_of_item(connection, id, user, page).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}
