//! The reports that `BillTrafficJob` claims and folds, and the idempotency records of
//! `TelecomBillingHook`.

use chrono::{DateTime, Utc};
use foldhash::HashMap;
use futures::TryStreamExt;
use uuid::Uuid;

use super::statement::without_span;
use super::{Connection, column, statements};
use crate::domain::traffic::{Factor, Traffic, UsageFold, UsageKey};
use crate::error::Error;

/// A report that the current transaction claimed for billing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedReport {
    /// Position in the order of arrival.
    pub seq: i64,
    /// The server that the report is about.
    pub node_server_id: i32,
    /// Time of arrival, which determines the partition of the raw rows.
    pub received_at: DateTime<Utc>,
    /// Start of the UTC hour that the usage belongs to.
    pub bucket_start: DateTime<Utc>,
    /// Number of usage lines.
    pub line_count: i32,
    /// X-Ray trace header of what caused the report. `None` if that is unknown.
    pub trace: Option<String>,
}

statements! {
    /// Claims unbilled reports, oldest first, at most `max_reports` and about `max_lines` usage
    /// lines. Skips reports that another run has locked. The first report is claimed however many
    /// lines it has.
    pub fn claim_reports(
        billing_run_id: Uuid,
        max_reports: i64,
        max_lines: i64
    ) -> Rows<ClaimedReport> {
        r#"/* billing.claim_reports */
        with candidate as (
            select seq, report_id, line_count
            from telecom.usage_report
            where billing_run_id is null and line_count > 0
            order by seq
            limit $2
            for update skip locked
        ), bounded as (
            select report_id, sum(line_count) over (order by seq) - line_count as lines_before
            from candidate
        )
        update telecom.usage_report r
        set billing_run_id = $1
        from bounded b
        where r.report_id = b.report_id and b.lines_before < $3
        returning r.seq, r.node_server_id, r.received_at, r.line_count, r.trace,
            -- The period is half-open: one that ends on the hour belongs to the hour before.
            date_trunc('hour', greatest(r.period_end - interval '1 microsecond', r.period_start),
            'UTC') as "bucket_start!""#
    }

    /// Plans the statements of the current transaction once per connection, for any parameters.
    fn plan_once() -> Done {
        r#"/* billing.plan_once */ set local plan_cache_mode = force_generic_plan"#
    }

    /// Time of arrival of the oldest unbilled report. `None` if all reports are billed.
    pub fn oldest_unbilled() -> FirstValue<DateTime<Utc>> {
        r#"/* billing.oldest_unbilled */
        select received_at from telecom.usage_report
        where billing_run_id is null and line_count > 0
        order by seq
        limit 1"#
    }
}

/// Sums the raw rows of `reports` per user, server, client and hour. The result has no order.
///
/// The rows are summed here because the database would spend most of a billing run on `numeric`
/// arithmetic and sorting. Measured, summing here halves the time of a run. The rows are streamed,
/// so only the sums are held in memory.
///
/// The statement is planned for any reports, within a transaction. For the given ones, PostgreSQL
/// would read the whole partition of a day that it has not analyzed yet.
pub async fn fold_usage(
    tx: &mut Connection,
    reports: &[ClaimedReport],
) -> Result<Vec<(UsageKey, Traffic)>, Error> {
    plan_once(tx).await?;
    without_span(fold_rows(tx, reports)).await
}

async fn fold_rows(
    connection: &mut Connection,
    reports: &[ClaimedReport],
) -> Result<Vec<(UsageKey, Traffic)>, Error> {
    let by_seq: HashMap<i64, &ClaimedReport> =
        reports.iter().map(|report| (report.seq, report)).collect();
    let seqs: Vec<i64> = reports.iter().map(|report| report.seq).collect();
    let mut rows = sqlx::query!(
        r#"/* billing.fold_usage */
        select usage_report_seq, user_id, node_client_id,
        traffic_factor as "traffic_factor: Factor", upload_bytes,
            download_bytes
        from telecom.traffic_usage
        where usage_report_seq = any($1) and received_at between $2 and $3"#,
        &seqs,
        reports.iter().map(|report| report.received_at).min(),
        reports.iter().map(|report| report.received_at).max(),
    )
    .fetch(connection);
    let mut fold = UsageFold::default();
    while let Some(row) = rows.try_next().await? {
        let report = by_seq
            .get(&row.usage_report_seq)
            .ok_or_else(|| Error::internal("a usage row belongs to no claimed report"))?;
        let key = UsageKey {
            user_id: row.user_id,
            bucket_start: report.bucket_start,
            node_server_id: report.node_server_id,
            node_client_id: row.node_client_id,
        };
        fold.add(
            key,
            row.upload_bytes,
            row.download_bytes,
            row.traffic_factor,
        );
    }
    fold.finish().ok_or_else(Error::overflow)
}

/// Records a billing run with the number of claimed reports and the sums of `usage`.
pub async fn insert_run(
    connection: &mut Connection,
    id: Uuid,
    claimed_at: DateTime<Utc>,
    report_count: usize,
    usage: &[(UsageKey, Traffic)],
) -> Result<(), Error> {
    let mut sum = Traffic::default();
    for (_, traffic) in usage {
        sum = sum.checked_add(*traffic).ok_or_else(Error::overflow)?;
    }
    sqlx::query!(
        r#"/* billing.insert_run */
        insert into telecom.billing_run (
            id, claimed_at, report_count, event_count,
            raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes
        ) values ($1, $2, $3, $4, $5, $6, $7, $8)"#,
        id,
        claimed_at,
        i32::try_from(report_count).map_err(Error::internal)?,
        i32::try_from(usage.len()).map_err(Error::internal)?,
        sum.raw_upload,
        sum.raw_download,
        sum.billed_upload,
        sum.billed_download
    )
    .execute(connection)
    .await?;
    Ok(())
}

statements! {
    /// Returns those of `ids` that are runs of the billing job.
    pub fn existing_runs(ids: &[Uuid]) -> Values<Uuid> {
        r#"/* billing.existing_runs */ select id from telecom.billing_run where id = any($1)"#
    }
}

/// The idempotency record of a billing message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBillingBatch {
    /// Batch id, event id or message id.
    pub id: Uuid,
    /// Hash of the payload, 32 bytes.
    pub payload_hash: Vec<u8>,
    /// Number of events in the message. 1 if the message is not a batch.
    pub event_count: i32,
}

statements! {
    /// Inserts those of `batches` that are new and returns their ids. `batches` is sorted by id and
    /// contains each id once.
    pub fn insert_new_batches(
        batches: &[NewBillingBatch],
        applied_at: DateTime<Utc>
    ) -> Values<Uuid> {
        r#"/* billing.insert_new_batches */
        insert into telecom.billing_batch (id, payload_hash, event_count, applied_at)
        select *, $4::timestamptz from unnest($1::uuid[], $2::bytea[], $3::int[])
        on conflict (id) do nothing
        returning id"#,
        &column(batches, |b| b.id),
        &column(batches, |b| b.payload_hash.clone()),
        &column(batches, |b| b.event_count),
        applied_at
    }
}

/// Returns the payload hash that each of the batches was applied with.
pub async fn batch_hashes(
    connection: &mut Connection,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, Vec<u8>)>, Error> {
    let rows = sqlx::query!(
        r#"/* billing.batch_hashes */ select id, payload_hash from telecom.billing_batch
        where id = any($1)"#,
        ids
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id, row.payload_hash))
        .collect())
}
