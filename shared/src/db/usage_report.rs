//! Reports and their raw rows.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::copy::Copy;
use super::statement::all_rows;
use super::{Connection, column};
use crate::domain::traffic::Factor;
use crate::error::Error;

/// Identifies a report. The server is part of the key because different collectors may use the same
/// ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReportKey {
    /// The id that the collector assigned.
    pub report_id: Uuid,
    /// Id of the server that the report is about.
    pub node_server_id: i32,
}

/// A report to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUsageReport<'r> {
    /// Id of the report and of its server.
    pub key: ReportKey,
    /// Start of the period, inclusive.
    pub period_start: DateTime<Utc>,
    /// End of the period, exclusive.
    pub period_end: DateTime<Utc>,
    /// Last time at which the report shows the server online.
    pub seen_at: DateTime<Utc>,
    /// Hash of the payload, 32 bytes.
    pub payload_hash: &'r [u8],
    /// Number of usage lines to bill.
    pub line_count: i32,
    /// SQS's `SenderId`. `None` if the queue did not provide it.
    pub sender_id: Option<&'r str>,
    /// X-Ray trace header of what caused the report. `None` if that is unknown.
    pub trace: Option<String>,
}

/// Inserts those of `reports` that are new and returns their keys and `seq`. Waits for another
/// transaction that is inserting the same report. `reports` is sorted by key and contains each key
/// once.
///
/// Almost always all reports are new, and then one statement is enough.
pub async fn insert_new(
    connection: &mut Connection,
    reports: &[NewUsageReport<'_>],
    received_at: DateTime<Utc>,
) -> Result<HashMap<ReportKey, i64>, Error> {
    let all: Vec<&NewUsageReport<'_>> = reports.iter().collect();
    let mut inserted = insert(connection, &all, received_at, false).await?;
    let rest: Vec<&NewUsageReport<'_>> = reports
        .iter()
        .filter(|report| !inserted.contains_key(&report.key))
        .collect();
    if !rest.is_empty() {
        inserted.extend(insert(connection, &rest, received_at, true).await?);
    }
    Ok(inserted)
}

/// Inserts those of `reports` that conflict with no stored report, and returns their keys and
/// `seq`.
///
/// `under_new_id` is for reports whose id may be taken by a report of another server: they are
/// stored under a generated id. A repeated report conflicts then too, by the unique index over
/// server and the collector's id.
async fn insert(
    connection: &mut Connection,
    reports: &[&NewUsageReport<'_>],
    received_at: DateTime<Utc>,
    under_new_id: bool,
) -> Result<HashMap<ReportKey, i64>, Error> {
    let rows = all_rows(
        sqlx::query_file!(
            "src/db/sql/usage_report.insert.sql",
            &column(reports, |r| r.key.report_id),
            &column(reports, |r| r.key.node_server_id),
            &column(reports, |r| r.period_start),
            &column(reports, |r| r.period_end),
            &column(reports, |r| r.payload_hash.to_vec()),
            &column(reports, |r| r.line_count),
            &column(reports, |r| r.seen_at),
            &column(reports, |r| r.sender_id) as &[Option<&str>],
            received_at,
            under_new_id,
            &column(reports, |r| r.trace.as_deref()) as &[Option<&str>]
        ),
        connection,
    )
    .await?;
    let key = |report_id, node_server_id| ReportKey {
        report_id,
        node_server_id,
    };
    Ok(rows
        .into_iter()
        .map(|row| (key(row.report_id, row.node_server_id), row.seq))
        .collect())
}

/// Returns the payload hash that each of the reports was recorded with.
pub async fn payload_hashes(
    connection: &mut Connection,
    keys: &[ReportKey],
) -> Result<Vec<(ReportKey, Vec<u8>)>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* usage_report.payload_hashes */
        select k.report_id as "report_id!", k.node_server_id as "node_server_id!", r.payload_hash
        from unnest($1::uuid[], $2::int[]) as k (report_id, node_server_id)
        cross join lateral (
            select payload_hash
            from telecom.usage_report
            where node_server_id = k.node_server_id and coalesce(collector_report_id,
            report_id) = k.report_id
            limit 1
        ) r"#,
            &column(keys, |key| key.report_id),
            &column(keys, |key| key.node_server_id)
        ),
        connection,
    )
    .await?;
    let key = |report_id, node_server_id| ReportKey {
        report_id,
        node_server_id,
    };
    Ok(rows
        .into_iter()
        .map(|row| (key(row.report_id, row.node_server_id), row.payload_hash))
        .collect())
}

/// A raw usage row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawUsage {
    /// The `seq` of the report in `usage_report`.
    pub usage_report_seq: i64,
    /// The user whose traffic it is.
    pub user_id: Uuid,
    /// The client that carried the traffic. `None` if the server has no client.
    pub node_client_id: Option<i32>,
    /// The factor that the traffic is billed with: the client's factor when the report was
    /// recorded.
    pub traffic_factor: Factor,
    /// Bytes sent by the user, before the traffic factor.
    pub upload_bytes: i64,
    /// Bytes received by the user, before the traffic factor.
    pub download_bytes: i64,
}

/// Appends rows to `traffic_usage` with one `COPY` statement.
pub async fn copy_raw_usage(
    connection: &mut Connection,
    rows: impl Iterator<Item = RawUsage>,
    received_at: DateTime<Utc>,
) -> Result<(), Error> {
    const STATEMENT: &str = "/* usage_report.copy_raw_usage */ copy telecom.traffic_usage \
        (usage_report_seq, \
         received_at, upload_bytes, download_bytes, user_id, node_client_id, traffic_factor) \
         from stdin with (format binary)";
    let mut copy = Copy::start(connection, STATEMENT).await?;
    for row in rows {
        copy.row(7)
            .await?
            .field(row.usage_report_seq)?
            .field(received_at)?
            .field(row.upload_bytes)?
            .field(row.download_bytes)?
            .field(row.user_id)?
            .field(row.node_client_id)?
            .field(row.traffic_factor)?;
    }
    copy.finish().await
}
