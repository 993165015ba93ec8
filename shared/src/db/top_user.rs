//! The users with the most traffic. `summarize-usage` finds them, because that reads the usage of
//! all users.

use chrono::{DateTime, NaiveDate, Utc};

use super::{Connection, statements};
use crate::domain::recent_range::RecentRange;
use crate::domain::top::{TopMeasure, TopUser};
use crate::error::Error;

/// Number of places by each measure that are kept.
pub const PLACES: i64 = 1_000;

/// A refresh of the top users of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refresh {
    /// Start of the range, inclusive.
    pub period_start: DateTime<Utc>,
    /// When the usage was summed.
    pub refreshed_at: DateTime<Utc>,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// Number of users with any usage in the range.
    pub users: i64,
}

/// Where the usage of a range is read. Both intervals are half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sources {
    /// Days that are summed.
    pub days: (NaiveDate, NaiveDate),
    /// Hours whose usage is not in these days.
    pub hours: (DateTime<Utc>, DateTime<Utc>),
}

statements! {
    fn find_refresh(range: &str) -> FirstRow<Refresh> {
        "/* top_user.find_refresh */
        select period_start, refreshed_at, seconds, users from telecom.top_user_refresh
        where range = $1"
    }

    fn clear(range: &str) -> Done {
        "/* top_user.clear */ delete from telecom.top_user where range = $1"
    }

    /// Sums the days that are summed, and the hours. Returns the number of users.
    fn insert(range: &str, sources: &Sources) -> Value<i64> {
        r#"/* top_user.insert */
        with usage as (
            select user_id, raw_upload_bytes as raw_upload, raw_download_bytes as raw_download,
                billed_upload_bytes as billed_upload, billed_download_bytes as billed_download
            from telecom.user_usage_daily
            where day >= $2::date and day < $3::date
            union all
            select user_id, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
                billed_download_bytes
            from telecom.late_user_usage
            where day >= $2::date and day < $3::date
            union all
            select user_id, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
                billed_download_bytes
            from telecom.user_package_usage
            where bucket_start >= $4::timestamptz and bucket_start < $5::timestamptz
        ), total as (
            select user_id, sum(raw_upload)::bigint as raw_upload,
                sum(raw_download)::bigint as raw_download,
                sum(billed_upload)::bigint as billed_upload,
                sum(billed_download)::bigint as billed_download
            from usage
            group by user_id
        ), place as (
            select total.*,
                row_number() over (
                    order by billed_upload + billed_download desc, raw_upload + raw_download desc,
                        user_id
                ) as billed_rank,
                row_number() over (
                    order by raw_upload + raw_download desc, billed_upload + billed_download desc,
                        user_id
                ) as raw_rank
            from total
        ), inserted as (
            insert into telecom.top_user (
                range, user_id, billed_rank, raw_rank, raw_upload_bytes, raw_download_bytes,
                billed_upload_bytes, billed_download_bytes
            )
            select $1, user_id, case when billed_rank <= $6 then billed_rank end,
                case when raw_rank <= $6 then raw_rank end, raw_upload, raw_download,
                billed_upload, billed_download
            from place
            where billed_rank <= $6 or raw_rank <= $6
        )
        select count(*) as "users!" from total"#,
        range,
        sources.days.0,
        sources.days.1,
        sources.hours.0,
        sources.hours.1,
        PLACES
    }

    fn save_refresh(range: &str, refresh: Refresh) -> Done {
        "/* top_user.save_refresh */
        insert into telecom.top_user_refresh (range, period_start, refreshed_at, seconds, users)
        values ($1, $2, $3, $4, $5)
        on conflict on constraint top_user_refresh_pk do update set
            period_start = excluded.period_start, refreshed_at = excluded.refreshed_at,
            seconds = excluded.seconds, users = excluded.users",
        range,
        refresh.period_start,
        refresh.refreshed_at,
        refresh.seconds,
        refresh.users
    }

    fn by_billed(range: &str, limit: i64) -> Rows<TopUser> {
        r#"/* top_user.by_billed */
        select billed_rank as "rank!", user_id as "user", raw_upload_bytes as raw_upload,
            raw_download_bytes as raw_download, billed_upload_bytes as billed_upload,
            billed_download_bytes as billed_download
        from telecom.top_user
        where range = $1 and billed_rank <= $2::bigint
        order by billed_rank"#
    }

    fn by_raw(range: &str, limit: i64) -> Rows<TopUser> {
        r#"/* top_user.by_raw */
        select raw_rank as "rank!", user_id as "user", raw_upload_bytes as raw_upload,
            raw_download_bytes as raw_download, billed_upload_bytes as billed_upload,
            billed_download_bytes as billed_download
        from telecom.top_user
        where range = $1 and raw_rank <= $2::bigint
        order by raw_rank"#
    }
}

/// The last refresh of a range. `None` if there was none yet.
pub async fn last_refresh(
    connection: &mut Connection,
    range: RecentRange,
) -> Result<Option<Refresh>, Error> {
    find_refresh(connection, range.into()).await
}

/// Finds the top users again. Returns the number of users with usage.
pub async fn refresh(
    connection: &mut Connection,
    range: RecentRange,
    sources: &Sources,
) -> Result<i64, Error> {
    clear(connection, range.into()).await?;
    insert(connection, range.into(), sources).await
}

/// Records that the top users of a range were found.
pub async fn record_refresh(
    connection: &mut Connection,
    range: RecentRange,
    refresh: Refresh,
) -> Result<(), Error> {
    save_refresh(connection, range.into(), refresh).await
}

/// The first `limit` of the top users of a range, by place.
pub async fn list(
    connection: &mut Connection,
    range: RecentRange,
    by: TopMeasure,
    limit: i64,
) -> Result<Vec<TopUser>, Error> {
    match by {
        TopMeasure::Billed => by_billed(connection, range.into(), limit).await,
        TopMeasure::Raw => by_raw(connection, range.into(), limit).await,
    }
}
