//! The comparisons of `ReconcileUsageJob`. Each statement sees one snapshot and finds the rows of
//! its keys by index.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Connection, statements};
use crate::domain::drift::{Drift, DriftKey, DriftKind};
use crate::domain::traffic::Traffic;
use crate::error::Error;

/// Tolerated difference between two clocks, or between the commits of two transactions.
const TOLERANCE: TimeDelta = TimeDelta::seconds(30);

/// Converts the rows of a check to [`Drift`]s. A macro, because each statement has its own row
/// type.
macro_rules! drifts {
    ($rows:expr, $kind:ident, $row:ident => $key:expr) => {
        $rows
            .iter()
            .map(|$row| Drift {
                kind: DriftKind::$kind,
                key: $key,
                difference: Traffic {
                    raw_upload: $row.raw_upload,
                    raw_download: $row.raw_download,
                    billed_upload: $row.billed_upload,
                    billed_download: $row.billed_download,
                },
            })
            .collect()
    };
}

/// Progress of the rotation, which goes from newest to oldest: the last hour, item and run that
/// were checked. `None` if the rotation starts again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursors {
    /// The last hour that was checked.
    pub hour: Option<DateTime<Utc>>,
    /// The last item that was checked.
    pub item: Option<i64>,
    /// The last billing run that was checked.
    pub run: Option<Uuid>,
}

/// Returns the time from which accepted usage is checked, and the progress of the rotation.
pub async fn state(connection: &mut Connection) -> Result<(DateTime<Utc>, Cursors), Error> {
    let row = sqlx::query!(
        r#"/* reconciliation.state */
        select checked_from, hour_cursor, item_cursor, run_cursor from telecom.reconciliation"#
    )
    .fetch_one(connection)
    .await?;
    Ok((
        row.checked_from,
        Cursors {
            hour: row.hour_cursor,
            item: row.item_cursor,
            run: row.run_cursor,
        },
    ))
}

statements! {
    /// Stores the progress of the rotation.
    pub fn set_cursors(cursors: &Cursors) -> Done {
        r#"/* reconciliation.set_cursors */
        update telecom.reconciliation set hour_cursor = $1, item_cursor = $2, run_cursor = $3"#,
        cursors.hour,
        cursors.item,
        cursors.run
    }
}

/// Returns those of `hours` whose hourly rows and parked usage differ from the accepted usage and
/// its corrections.
pub async fn hours(
    connection: &mut Connection,
    hours: &[DateTime<Utc>],
) -> Result<Vec<Drift>, Error> {
    let rows = sqlx::query!(
        r#"/* reconciliation.hours */
        with accepted as (
            select bucket_start, sum(raw_upload_bytes) as raw_upload,
            sum(raw_download_bytes) as raw_download,
                sum(billed_upload_bytes) as billed_upload,
                sum(billed_download_bytes) as billed_download
            from (
                select bucket_start, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
                billed_download_bytes
                from telecom.accepted_usage where bucket_start = any($1)
                union all
                select bucket_start, 0, 0, billed_upload_bytes, billed_download_bytes
                from telecom.usage_correction where bucket_start = any($1)
            ) a
            group by bucket_start
        ), recorded as (
            select bucket_start, sum(raw_upload_bytes) as raw_upload,
            sum(raw_download_bytes) as raw_download,
                sum(billed_upload_bytes) as billed_upload,
                sum(billed_download_bytes) as billed_download
            from (
                select bucket_start, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
                billed_download_bytes
                from telecom.user_package_usage where bucket_start = any($1)
                union all
                select bucket_start, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
                billed_download_bytes
                from telecom.parked_event where bucket_start = any($1)
            ) u
            group by bucket_start
        ), difference as (
            select bucket_start,
                telecom.byte_difference(r.raw_upload, a.raw_upload) as raw_upload,
                telecom.byte_difference(r.raw_download, a.raw_download) as raw_download,
                telecom.byte_difference(r.billed_upload, a.billed_upload) as billed_upload,
                telecom.byte_difference(r.billed_download, a.billed_download) as billed_download
            from recorded r full join accepted a using (bucket_start)
        )
        select bucket_start as "bucket_start!", raw_upload as "raw_upload!",
        raw_download as "raw_download!",
            billed_upload as "billed_upload!", billed_download as "billed_download!"
        from difference
        where (raw_upload, raw_download, billed_upload, billed_download) <> (0, 0, 0, 0)"#,
        hours
    )
    .fetch_all(connection)
    .await?;
    Ok(drifts!(rows, Hour, row => DriftKey::Hour { bucket_start: row.bucket_start }))
}

/// Returns those of `hours` with usage that is charged to no item, although the user had an active
/// or a waiting item when the usage was recorded.
pub async fn uncharged(
    connection: &mut Connection,
    hours: &[DateTime<Utc>],
) -> Result<Vec<Drift>, Error> {
    let rows = sqlx::query!(
        r#"/* reconciliation.uncharged */
        select u.bucket_start,
            telecom.byte_difference(sum(u.raw_upload_bytes), 0) as "raw_upload!",
            telecom.byte_difference(sum(u.raw_download_bytes), 0) as "raw_download!",
            telecom.byte_difference(sum(u.billed_upload_bytes), 0) as "billed_upload!",
            telecom.byte_difference(sum(u.billed_download_bytes), 0) as "billed_download!"
        from telecom.user_package_usage u
        where u.package_queue_id is null and u.bucket_start = any($1) and exists (
            select from telecom.package_queue q
            where q.user_id = u.user_id
                and q.created_at < u.uncharged_at - make_interval(secs => $2)
                and (q.ended_at is null or q.ended_at > u.uncharged_at + make_interval(secs => $2))
            -- Looked up for each uncharged row. A join may read all items.
            offset 0
        )
        group by u.bucket_start"#,
        hours,
        TOLERANCE.as_seconds_f64()
    )
    .fetch_all(connection)
    .await?;
    Ok(drifts!(rows, Uncharged, row => DriftKey::Hour { bucket_start: row.bucket_start }))
}

/// Returns those of `hours` whose usage of nodes differs from the hourly rows of users.
pub async fn node_hours(
    connection: &mut Connection,
    hours: &[DateTime<Utc>],
) -> Result<Vec<Drift>, Error> {
    let rows = sqlx::query_file!("src/db/sql/reconciliation.node_hours.sql", hours)
        .fetch_all(connection)
        .await?;
    Ok(drifts!(rows, NodeHour, row => DriftKey::Hour { bucket_start: row.bucket_start }))
}

/// Returns the first hours of those days whose usage of a node differs from the node's hourly rows.
/// A day is checked if its first hour is among `hours`.
pub async fn node_days(
    connection: &mut Connection,
    hours: &[DateTime<Utc>],
) -> Result<Vec<Drift>, Error> {
    let rows = sqlx::query_file!("src/db/sql/reconciliation.node_days.sql", hours)
        .fetch_all(connection)
        .await?;
    Ok(drifts!(rows, NodeDay, row => DriftKey::Hour { bucket_start: row.bucket_start }))
}

/// Returns the first hours of those summed days whose usage of a user differs from the user's
/// hourly rows. A day is checked if its first hour is among `hours`.
pub async fn user_days(
    connection: &mut Connection,
    hours: &[DateTime<Utc>],
) -> Result<Vec<Drift>, Error> {
    let rows = sqlx::query_file!("src/db/sql/reconciliation.user_days.sql", hours)
        .fetch_all(connection)
        .await?;
    Ok(drifts!(rows, UserDay, row => DriftKey::Hour { bucket_start: row.bucket_start }))
}

/// Returns those of `items` whose counters differ from the sums of their hourly rows. Skips items
/// activated before `from`, because some of their rows may be past retention.
pub async fn items(
    connection: &mut Connection,
    items: &[i64],
    from: DateTime<Utc>,
) -> Result<Vec<Drift>, Error> {
    let rows = sqlx::query!(
        r#"/* reconciliation.items */
        with difference as (
            select q.id, q.user_id,
                telecom.byte_difference(q.upload_bytes, u.upload) as billed_upload,
                telecom.byte_difference(q.download_bytes, u.download) as billed_download
            from telecom.package_queue q
            cross join lateral (
                select sum(billed_upload_bytes) as upload, sum(billed_download_bytes) as download
                from telecom.user_package_usage
                where package_queue_id = q.id
            ) u
            where q.id = any($1) and (q.activated_at is null or q.activated_at >= $2)
        )
        select id, user_id, 0::bigint as "raw_upload!", 0::bigint as "raw_download!",
        billed_upload as "billed_upload!",
            billed_download as "billed_download!"
        from difference
        where (billed_upload, billed_download) <> (0, 0)"#,
        items,
        from
    )
    .fetch_all(connection)
    .await?;
    Ok(drifts!(rows, Item, row => DriftKey::Item { package_queue_id: row.id, user: row.user_id }))
}

/// Returns those of `runs`, claimed at or after `from`, whose billed usage differs from their raw
/// rows. The raw rows are summed by user, hour, server and client, multiplied by the factor, and
/// rounded once, half away from zero.
pub async fn runs(
    connection: &mut Connection,
    runs: &[Uuid],
    from: DateTime<Utc>,
) -> Result<Vec<Drift>, Error> {
    let rows = sqlx::query_file!("src/db/sql/reconciliation.runs.sql", runs, from)
        .fetch_all(connection)
        .await?;
    Ok(drifts!(rows, Run, row => DriftKey::Run { billing_run_id: row.id }))
}

/// Returns those of `runs`, claimed from `from` to `to`, whose accepted usage differs from the
/// billed usage.
pub async fn applied(
    connection: &mut Connection,
    runs: &[Uuid],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<Drift>, Error> {
    let rows = sqlx::query!(
        r#"/* reconciliation.applied */
        with difference as (
            select run.id,
                telecom.byte_difference(a.raw_upload, run.raw_upload_bytes) as raw_upload,
                telecom.byte_difference(a.raw_download, run.raw_download_bytes) as raw_download,
                telecom.byte_difference(a.billed_upload, run.billed_upload_bytes) as billed_upload,
                telecom.byte_difference(a.billed_download,
                run.billed_download_bytes) as billed_download
            from telecom.billing_run run
            cross join lateral (
                select sum(raw_upload_bytes) as raw_upload, sum(raw_download_bytes) as raw_download,
                    sum(billed_upload_bytes) as billed_upload,
                    sum(billed_download_bytes) as billed_download
                from telecom.accepted_usage
                where billing_run_id = run.id
            ) a
            where run.id = any($1) and run.claimed_at between $2 and $3
        )
        select id, raw_upload as "raw_upload!", raw_download as "raw_download!",
        billed_upload as "billed_upload!",
            billed_download as "billed_download!"
        from difference
        where (raw_upload, raw_download, billed_upload, billed_download) <> (0, 0, 0, 0)"#,
        runs,
        from,
        to
    )
    .fetch_all(connection)
    .await?;
    Ok(drifts!(rows, Applied, row => DriftKey::Run { billing_run_id: row.id }))
}

statements! {
    /// Ids of all items below `below`, newest first, at most `limit`.
    pub fn all_items(below: i64, limit: i64) -> Values<i64> {
        r#"/* reconciliation.all_items */
        select id from telecom.package_queue where id < $1 order by id desc limit $2"#
    }

    /// Ids below `below` of items that are active or ended between `from` and `to`, newest first,
    /// at most `limit`.
    pub fn recent_items(
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        below: i64,
        limit: i64
    ) -> Values<i64> {
        r#"/* reconciliation.recent_items */
        with ended as materialized (select id from telecom.package_queue where ended_at between $1
        and $2)
        (select id as "id!" from telecom.package_queue where status = 'active' and id < $3
        order by id desc limit $4)
        union all
        (select id from ended where id < $3 order by id desc limit $4)
        order by 1 desc
        limit $4"#
    }

    /// Ids below `below` of billing runs claimed between `from` and `to`, newest first, at most
    /// `limit`.
    pub fn billing_runs(
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        below: Uuid,
        limit: i64
    ) -> Values<Uuid> {
        r#"/* reconciliation.billing_runs */
        select id from telecom.billing_run where claimed_at between $1 and $2 and id < $3
        order by id desc limit $4"#
    }
}
