//! Usage that could not be charged together with its batch. It is stored with the reason and
//! retried.

use chrono::{DateTime, TimeDelta, Utc};

use uuid::Uuid;

use super::statement::all_rows;
use super::{Connection, column, from_row, statements};
use crate::domain::page::Page;
use crate::domain::parked_usage::{PAGES, ParkedUsage};
use crate::domain::traffic::{Traffic, UsageKey};
use crate::error::Error;

/// Delay of the first retry, which is made by the next run of the billing job. The delay doubles
/// with each later retry, up to an hour.
const FIRST_RETRY: TimeDelta = TimeDelta::seconds(50);

/// Usage that [`insert`] stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewParkedEvent<'r> {
    /// User, hour, server and client of the usage.
    pub key: UsageKey,
    /// Raw and billed bytes to charge.
    pub traffic: Traffic,
    /// The reason why the user could not be charged.
    pub reason: &'r str,
}

/// Stores usage that could not be charged.
pub async fn insert(
    connection: &mut Connection,
    events: &[NewParkedEvent<'_>],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"/* parked_event.insert */
        insert into telecom.parked_event (
            user_id, bucket_start, node_server_id, node_client_id,
            raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes,
            reason, parked_at, retry_at
        )
        select *, $10::timestamptz, $11::timestamptz from unnest(
            $1::uuid[], $2::timestamptz[], $3::int[], $4::int[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::bigint[],
            $9::text[]
        )"#,
        &column(events, |event| event.key.user_id),
        &column(events, |event| event.key.bucket_start),
        &column(events, |event| event.key.node_server_id),
        &column(events, |event| event.key.node_client_id) as &[Option<i32>],
        &column(events, |event| event.traffic.raw_upload),
        &column(events, |event| event.traffic.raw_download),
        &column(events, |event| event.traffic.billed_upload),
        &column(events, |event| event.traffic.billed_download),
        &column(events, |event| event.reason) as &[&str],
        now,
        now + FIRST_RETRY
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Parked usage that is due for a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParkedEvent {
    /// Id of the row.
    pub id: i64,
    /// User, hour, server and client of the usage.
    pub key: UsageKey,
    /// Raw and billed bytes to charge.
    pub traffic: Traffic,
}

/// Locks parked usage that is due for a retry, oldest first, at most `limit`. Skips locked rows.
pub async fn lock_due(
    connection: &mut Connection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ParkedEvent>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* parked_event.lock_due */
        select id, user_id, bucket_start, node_server_id, node_client_id,
            raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes
        from telecom.parked_event
        where retry_at <= $1
        order by retry_at
        limit $2
        for update skip locked"#,
            now,
            limit
        ),
        connection,
    )
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ParkedEvent {
            id: row.id,
            key: from_row!(row => UsageKey {
                user_id, bucket_start, node_server_id, node_client_id
            }),
            traffic: Traffic {
                raw_upload: row.raw_upload_bytes,
                raw_download: row.raw_download_bytes,
                billed_upload: row.billed_upload_bytes,
                billed_download: row.billed_download_bytes,
            },
        })
        .collect())
}

statements! {
    /// Deletes parked usage that has been charged.
    pub fn delete(events: &[&ParkedEvent]) -> Done {
        r#"/* parked_event.delete */ delete from telecom.parked_event
        where id = any($1) and user_id = any($2)"#,
        &column(events, |event| event.id),
        &column(events, |event| event.key.user_id)
    }

    /// Postpones the retry of parked usage that could still not be charged. `reasons[n]` is the
    /// reason of `events[n]`.
    pub fn postpone(events: &[&ParkedEvent], reasons: &[String], now: DateTime<Utc>) -> Done {
        r#"/* parked_event.postpone */
        update telecom.parked_event e set
            reason = r.reason,
            attempts = e.attempts + 1,
            retry_at = $3::timestamptz + least(interval '1 minute' * power(2, least(e.attempts,
            10)), interval '1 hour')
        from unnest($1::bigint[], $2::text[], $4::uuid[]) as r (id, reason, user_id)
        where e.id = r.id and e.user_id = r.user_id"#,
        &column(events, |event| event.id),
        reasons,
        now,
        &column(events, |event| event.key.user_id)
    }
}

/// Number and age of the parked rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parked {
    /// Number of rows, including those whose retry is not due.
    pub rows: i64,
    /// Time at which the oldest row was parked. `None` if no row is parked.
    pub oldest_at: Option<DateTime<Utc>>,
}

statements! {
    /// Counts the parked rows. Counting is cheap because an alarm is raised before there are many
    /// rows.
    pub fn count() -> Row<Parked> {
        r#"/* parked_event.count */ select count(*) as "rows!", min(parked_at) as oldest_at
        from telecom.parked_event"#
    }
}

/// A page of parked usage in the order in which it was parked, of one user or of all, and the
/// number of matching rows, counted up to the greatest offset of [`PAGES`].
pub async fn list(
    connection: &mut Connection,
    user: Option<Uuid>,
    page: Page,
) -> Result<(Vec<ParkedUsage>, i64), Error> {
    let found = find(connection, user, PAGES.max_offset, page.limit, page.offset).await?;
    Ok((show(connection, &found.ids).await?, found.total))
}

struct Found {
    total: i64,
    ids: Vec<i64>,
}

/// Parked usage that is not due for a retry, locked until the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Id of the row.
    pub id: i64,
    /// The user to charge.
    pub user_id: Uuid,
    /// When the row is due.
    pub retry_at: DateTime<Utc>,
}

// The statements that lock skip locked rows, because the billing job, or another call, is about to
// change these.
statements! {
    /// Only the arm of the union for the filter reads rows. `between` keeps the planner from
    /// reading all rows by primary key and discarding those of other users.
    fn find(user: Option<Uuid>, max_total: i64, limit: i64, offset: i64) -> Row<Found> {
        r#"/* parked_event.find */
        with match as materialized (
            (select id from telecom.parked_event
            where user_id between $1::uuid and $1::uuid order by user_id, id limit $2)
            union all
            (select id from telecom.parked_event where $1::uuid is null order by id limit $2)
        )
        select (select count(*) from match) as "total!",
            array(select id from match order by id limit $3 offset $4) as "ids!""#
    }

    /// Parked usage by id.
    fn show(ids: &[i64]) -> Rows<ParkedUsage> {
        r#"/* parked_event.show */
        select id, user_id as "user", bucket_start, node_server_id as server_id, node_client_id,
            raw_upload_bytes as raw_upload, raw_download_bytes as raw_download,
            billed_upload_bytes as billed_upload, billed_download_bytes as billed_download,
            reason, parked_at, attempts, retry_at
        from telecom.parked_event where id = any($1) order by id"#
    }

    /// Locks the waiting rows among `ids`.
    pub fn lock_waiting(ids: &[i64], now: DateTime<Utc>) -> Rows<Waiting> {
        r#"/* parked_event.lock_waiting */
        select id, user_id, retry_at from telecom.parked_event
        where id = any($1) and retry_at > $2
        order by id
        for update skip locked"#
    }

    /// Locks waiting rows of a user, at most `limit`.
    pub fn lock_waiting_of_user(user: Uuid, now: DateTime<Utc>, limit: i64) -> Rows<Waiting> {
        r#"/* parked_event.lock_waiting_of_user */
        select id, user_id, retry_at from telecom.parked_event
        where user_id between $1 and $1 and retry_at > $2
        order by user_id, id
        limit $3
        for update skip locked"#
    }

    /// Locks waiting rows, at most `limit`, those that are due first.
    pub fn lock_all_waiting(now: DateTime<Utc>, limit: i64) -> Rows<Waiting> {
        r#"/* parked_event.lock_all_waiting */
        select id, user_id, retry_at from telecom.parked_event
        where retry_at > $1
        order by retry_at
        limit $2
        for update skip locked"#
    }

    /// Makes rows due at a time.
    pub fn retry_at(waiting: &[Waiting], at: DateTime<Utc>) -> Done {
        "/* parked_event.retry_at */
        update telecom.parked_event set retry_at = $3 where id = any($1) and user_id = any($2)",
        &column(waiting, |waiting| waiting.id),
        &column(waiting, |waiting| waiting.user_id),
        at
    }
}
