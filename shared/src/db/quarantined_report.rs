//! Quarantined reports as administrators see and release them.

use chrono::{DateTime, Utc};
use strum::VariantNames;
use uuid::Uuid;

use super::statement::all_rows;
use super::{Connection, from_row, statements, stored};
use crate::domain::page::Page;
use crate::domain::quarantine::{
    Filter, PAGES, QuarantineReason, QuarantineState, QuarantinedReport,
};
use crate::error::Error;

/// A page of quarantined reports, newest first, and the number of matching ones, counted up to the
/// greatest offset of [`PAGES`].
pub async fn list(
    connection: &mut Connection,
    filter: Filter,
    page: Page,
) -> Result<(Vec<QuarantinedReport>, i64), Error> {
    let reasons: Vec<String> = match filter.reason {
        Some(reason) => vec![<&str>::from(reason).to_owned()],
        None => QuarantineReason::VARIANTS
            .iter()
            .map(ToString::to_string)
            .collect(),
    };
    let released = filter.state.map(|state| state == QuarantineState::Released);
    let found = find(connection, filter.server_id, &reasons, released, page).await?;
    Ok((show(connection, &found.ids).await?, found.total))
}

struct Found {
    total: i64,
    ids: Vec<i64>,
}

statements! {
    /// Only the arms of the union for the filter read rows. Those without a server read each reason
    /// separately and in order, at most as many reports as are counted. They use `between`, because
    /// with `=` the planner might read all rows by primary key.
    fn find(
        server_id: Option<i32>,
        reasons: &[String],
        released: Option<bool>,
        page: Page
    ) -> Row<Found> {
        r#"/* quarantined_report.find */
        with match as materialized (
            select id from (
                (select q.usage_report_seq as id from telecom.quarantined_report q
                where q.node_server_id between $1::int and $1::int and q.reason = any($2::text[])
                    and ($3::boolean is null or $3 = (q.released_at is not null))
                order by q.node_server_id desc, q.usage_report_seq desc limit $4)
                union all
                select q.id from unnest($2::text[]) r
                cross join lateral (
                    select q.usage_report_seq as id from telecom.quarantined_report q
                    where q.reason between r and r and q.released_at is null
                    order by q.reason desc, q.usage_report_seq desc limit $4
                ) q
                where $1::int is null and $3::boolean is distinct from true
                union all
                select q.id from unnest($2::text[]) r
                cross join lateral (
                    select q.usage_report_seq as id from telecom.quarantined_report q
                    where q.reason between r and r and q.released_at is not null
                    order by q.reason desc, q.usage_report_seq desc limit $4
                ) q
                where $1::int is null and $3::boolean is distinct from false
            ) q
            order by id desc
            limit $4
        )
        select (select count(*) from match) as "total!",
            array(select id from match order by id desc limit $5 offset $6) as "ids!""#,
        server_id as Option<i32>,
        reasons,
        released as Option<bool>,
        PAGES.max_offset,
        page.limit,
        page.offset
    }

    /// Locks a quarantined report until the transaction ends. Returns its id, or nothing if there
    /// is no such report.
    pub fn lock(id: i64) -> FirstValue<i64> {
        "/* quarantined_report.lock */
        select usage_report_seq from telecom.quarantined_report where usage_report_seq = $1
        for no key update"
    }

    /// Ids of the clients that the server did not have, at most `limit`.
    pub fn unknown_clients(id: i64, limit: i64) -> Values<Option<i32>> {
        "/* quarantined_report.unknown_clients */
        select distinct node_client_id from telecom.quarantined_usage
        where usage_report_seq = $1 and traffic_factor is null
        order by node_client_id limit $2"
    }

    /// Marks a report as released that [`lock`] locked in this transaction.
    pub fn release(id: i64, at: DateTime<Utc>, by: &str, reason: &str) -> Done {
        "/* quarantined_report.release */
        update telecom.quarantined_report
        set released_at = $2, released_by = $3, release_reason = $4
        where usage_report_seq = $1"
    }

    /// Adds a report that arrives now, for the lines of a quarantined report. Returns its `seq`.
    pub fn insert_report(
        id: i64,
        report_id: Uuid,
        received_at: DateTime<Utc>,
        trace: Option<String>
    ) -> Value<i64> {
        "/* quarantined_report.insert_report */
        insert into telecom.usage_report (
            report_id, sender_id, node_server_id, period_start, period_end, seen_at, payload_hash,
            line_count, received_at, trace
        )
        select $2, sender_id, node_server_id, period_start, period_end,
            least(period_end, received_at), '',
            (select count(*)::int from telecom.quarantined_usage where usage_report_seq = $1), $3,
            $4
        from telecom.quarantined_report where usage_report_seq = $1
        returning seq",
        id,
        report_id,
        received_at,
        trace
    }

    /// Copies the lines of a quarantined report to the report `seq`, to be billed at the factors
    /// that their clients had. Lines of unknown clients are billed at `factor`, without a client.
    /// Returns the number of lines.
    pub fn copy_lines(
        id: i64,
        seq: i64,
        received_at: DateTime<Utc>,
        factor: Option<f64>
    ) -> Changed {
        "/* quarantined_report.copy_lines */
        insert into telecom.traffic_usage (
            usage_report_seq, received_at, upload_bytes, download_bytes, user_id, node_client_id,
            traffic_factor
        )
        select $2, $3, upload_bytes, download_bytes, user_id,
            case when traffic_factor is not null then node_client_id end,
            coalesce(traffic_factor, $4::float8::numeric)
        from telecom.quarantined_usage where usage_report_seq = $1",
        id,
        seq,
        received_at,
        factor
    }
}

/// Quarantined reports by id, newest first.
pub async fn show(
    connection: &mut Connection,
    ids: &[i64],
) -> Result<Vec<QuarantinedReport>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* quarantined_report.show */
        select usage_report_seq as "id!", report_id as "report_id!",
            node_server_id as "server_id!", sender_id, period_start as "period_start!",
            period_end as "period_end!", received_at as "received_at!", reason as "reason!",
            lines as "lines!", lines_without_factor as "lines_without_factor!",
            upload_bytes::bigint as "upload!", download_bytes::bigint as "download!", released_at,
            released_by, release_reason
        from telecom.quarantine where usage_report_seq = any($1) order by usage_report_seq desc"#,
            ids
        ),
        connection,
    )
    .await?;
    let reports = rows.into_iter().map(|row| {
        Ok(from_row!(row => QuarantinedReport {
            id, report_id, server_id, sender_id, period_start, period_end, received_at, lines,
            lines_without_factor, upload, download, released_at, released_by, release_reason;
            reason: stored(&row.reason)?
        }))
    });
    reports.collect()
}
