//! Reports and their raw rows.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::copy::Copy;
use super::{Connection, columns};
use crate::domain::traffic::Factor;
use crate::error::Error;

/// A report as the database remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUsageReport {
    /// Made by the collector.
    pub report_id: Uuid,
    /// Which server.
    pub node_server_id: i32,
    /// Start of the period, inclusive.
    pub period_start: DateTime<Utc>,
    /// End of the period, exclusive.
    pub period_end: DateTime<Utc>,
    /// When it shows the server alive.
    pub seen_at: DateTime<Utc>,
    /// Of the payload, 32 bytes.
    pub payload_hash: Vec<u8>,
    /// Number of usage lines.
    pub line_count: i32,
}

/// Inserts those reports that are new and returns the `(report_id, seq)` of these. Waits for another transaction
/// that is inserting the same one. `reports` is sorted by id and holds each once.
pub async fn insert_new(
    connection: &mut Connection,
    reports: &[NewUsageReport],
    received_at: DateTime<Utc>,
) -> Result<Vec<(Uuid, i64)>, Error> {
    let (ids, servers, starts, ends, hashes, lines, seen) = columns!(
        reports,
        |r| r.report_id,
        |r| r.node_server_id,
        |r| r.period_start,
        |r| r.period_end,
        |r| r.payload_hash.clone(),
        |r| r.line_count,
        |r| r.seen_at
    );
    let rows = sqlx::query!(
        r#"/* usage_report.insert_new */
        insert into telecom.usage_report
            (report_id, node_server_id, period_start, period_end, payload_hash, line_count, seen_at, received_at)
        select *, $8::timestamptz
        from unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[], $5::bytea[], $6::int[], $7::timestamptz[])
        on conflict (report_id) do nothing
        returning report_id, seq"#,
        &ids,
        &servers,
        &starts,
        &ends,
        &hashes,
        &lines,
        &seen,
        received_at
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.report_id, row.seq)).collect())
}

/// The payload hashes under which `report_ids` were recorded.
pub async fn payload_hashes(connection: &mut Connection, report_ids: &[Uuid]) -> Result<Vec<(Uuid, Vec<u8>)>, Error> {
    let rows = sqlx::query!(
        r#"/* usage_report.payload_hashes */
        select report_id, payload_hash from telecom.usage_report where report_id = any($1)"#,
        report_ids
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.report_id, row.payload_hash)).collect())
}

/// A raw row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawUsage {
    /// The report's `seq`.
    pub usage_report_seq: i64,
    /// Whose traffic.
    pub user_id: Uuid,
    /// Through which client; none where the server has no client.
    pub node_client_id: Option<i32>,
    /// The client's factor now.
    pub traffic_factor: Factor,
    /// Bytes.
    pub upload_bytes: i64,
    /// Bytes.
    pub download_bytes: i64,
}

/// Appends raw rows.
pub async fn copy_raw_usage(
    connection: &mut Connection,
    rows: impl Iterator<Item = RawUsage>,
    received_at: DateTime<Utc>,
) -> Result<(), Error> {
    const STATEMENT: &str = "/* usage_report.copy_raw_usage */ copy telecom.traffic_usage (usage_report_seq, \
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
