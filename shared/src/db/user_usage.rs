//! Daily usage per user and node client. Days before `usage_summary.days_summed_before` are rows
//! of `user_usage_daily` and, until they are merged, of `late_user_usage`.

use chrono::{NaiveDate, NaiveTime};

use super::user_package_usage::UsageToAdd;
use super::{Connection, column, statements};
use crate::error::Error;

/// How far days are closed and summed. Both are UTC days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Usage of earlier days is late.
    pub days_closed_before: NaiveDate,
    /// Earlier days are summed. Never after `days_closed_before`.
    pub days_summed_before: NaiveDate,
}

statements! {
    /// The day before which usage is late. It stays so until the transaction ends, because the
    /// statement locks the table against [`close_days`].
    ///
    /// Lock order: call it before package items are locked. A transaction that holds items while
    /// it waits for this table could wait for one that needs the items.
    pub fn closed_before() -> Value<NaiveDate> {
        "/* user_usage.closed_before */ select days_closed_before from telecom.usage_summary"
    }

    /// How far days are closed and summed.
    pub fn progress() -> Row<Progress> {
        "/* user_usage.progress */
        select days_closed_before, days_summed_before from telecom.usage_summary"
    }

    fn lock_against_charges() -> Done {
        "/* user_usage.lock_against_charges */
        lock table telecom.usage_summary in access exclusive mode"
    }

    fn set_closed_before(day: NaiveDate) -> Done {
        "/* user_usage.set_closed_before */
        update telecom.usage_summary set days_closed_before = $1 where days_closed_before < $1"
    }

    fn insert_late(late: &[UsageToAdd]) -> Done {
        "/* user_usage.insert_late */
        insert into telecom.late_user_usage (
            user_id, day, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
            billed_upload_bytes, billed_download_bytes
        )
        select * from unnest(
            $1::uuid[], $2::date[], $3::int[], $4::int[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::bigint[]
        )",
        &column(late, |u| u.key.user_id),
        &column(late, |u| u.key.bucket_start.date_naive()),
        &column(late, |u| u.key.node_server_id),
        &column(late, |u| u.key.node_client_id) as &[Option<i32>],
        &column(late, |u| u.traffic.raw_upload),
        &column(late, |u| u.traffic.raw_download),
        &column(late, |u| u.traffic.billed_upload),
        &column(late, |u| u.traffic.billed_download)
    }

    /// Sums the closed day `day`, without its late usage, which is merged afterwards. Returns the
    /// number of rows.
    pub fn sum_day(day: NaiveDate) -> Changed {
        "/* user_usage.sum_day */
        insert into telecom.user_usage_daily as d
        select user_id, $1::date, node_server_id, node_client_id, sum(raw_upload)::bigint,
            sum(raw_download)::bigint, sum(billed_upload)::bigint, sum(billed_download)::bigint
        from (
            select user_id, node_server_id, node_client_id, raw_upload_bytes as raw_upload,
                raw_download_bytes as raw_download, billed_upload_bytes as billed_upload,
                billed_download_bytes as billed_download
            from telecom.user_package_usage
            where bucket_start >= $1::date::timestamp at time zone 'UTC'
                and bucket_start < ($1::date + 1)::timestamp at time zone 'UTC'
            union all
            select user_id, node_server_id, node_client_id, -raw_upload_bytes,
                -raw_download_bytes, -billed_upload_bytes, -billed_download_bytes
            from telecom.late_user_usage
            where day = $1
        ) usage
        group by user_id, node_server_id, node_client_id
        having (sum(raw_upload), sum(raw_download), sum(billed_upload), sum(billed_download))
            <> (0, 0, 0, 0)
        on conflict on constraint user_usage_daily_key do update set
            raw_upload_bytes = excluded.raw_upload_bytes,
            raw_download_bytes = excluded.raw_download_bytes,
            billed_upload_bytes = excluded.billed_upload_bytes,
            billed_download_bytes = excluded.billed_download_bytes"
    }

    /// Records that the days before `day` are summed.
    pub fn set_summed_before(day: NaiveDate) -> Done {
        "/* user_usage.set_summed_before */
        update telecom.usage_summary set days_summed_before = $1"
    }

    /// Moves at most `limit` rows of late usage of summed days into the daily rows. Returns their
    /// number. Only one transaction may do so at a time.
    pub fn merge_late(limit: i64) -> Value<i64> {
        r#"/* user_usage.merge_late */
        with late as (
            delete from telecom.late_user_usage where ctid = any(array(
                select ctid from telecom.late_user_usage
                where day < (select days_summed_before from telecom.usage_summary) limit $1
            ))
            returning *
        ), merged as (
            insert into telecom.user_usage_daily as d
            select user_id, day, node_server_id, node_client_id, sum(raw_upload_bytes)::bigint,
                sum(raw_download_bytes)::bigint, sum(billed_upload_bytes)::bigint,
                sum(billed_download_bytes)::bigint
            from late
            group by user_id, day, node_server_id, node_client_id
            on conflict on constraint user_usage_daily_key do update set
                raw_upload_bytes = d.raw_upload_bytes + excluded.raw_upload_bytes,
                raw_download_bytes = d.raw_download_bytes + excluded.raw_download_bytes,
                billed_upload_bytes = d.billed_upload_bytes + excluded.billed_upload_bytes,
                billed_download_bytes = d.billed_download_bytes + excluded.billed_download_bytes
        )
        select count(*) as "late!" from late"#
    }

    /// Deletes at most `limit` rows of days before `before`. Returns their number.
    pub fn delete_days(before: NaiveDate, limit: i64) -> Changed {
        "/* user_usage.delete_days */
        delete from telecom.user_usage_daily where ctid = any(array(
            select ctid from telecom.user_usage_daily where day < $1 limit $2
        ))"
    }
}

/// Closes the days before `day`. Waits for the transactions that called [`closed_before`].
pub async fn close_days(connection: &mut Connection, day: NaiveDate) -> Result<(), Error> {
    lock_against_charges(connection).await?;
    set_closed_before(connection, day).await
}

/// Records the part of `usage` that is of days before `closed_before`.
pub async fn add_late(
    connection: &mut Connection,
    usage: &[UsageToAdd],
    closed_before: NaiveDate,
) -> Result<(), Error> {
    let closed_before = closed_before.and_time(NaiveTime::MIN).and_utc();
    let is_late = |usage: &&UsageToAdd| usage.key.bucket_start < closed_before;
    let late: Vec<UsageToAdd> = usage.iter().filter(is_late).copied().collect();
    if late.is_empty() {
        return Ok(());
    }
    insert_late(connection, &late).await
}
