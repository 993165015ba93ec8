//! Package queue items: charging, expiry, activation.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Connection, columns};
use crate::domain::package::ActiveItem;
use crate::error::Error;
use crate::events::package_expiring::ExpiryReason;

/// Locks the active items of `users`, in the order of users, until the transaction ends, and answers them in that
/// order. Every writer of items comes here first. A user without one is missing from the answer.
pub async fn lock_active(connection: &mut Connection, users: &[Uuid]) -> Result<Vec<ActiveItem>, Error> {
    let rows = sqlx::query_as!(
        ActiveItem,
        r#"/* package_queue.lock_active */
        select q.id, q.user_id, q.upload_bytes, q.download_bytes, q.announced_percent, q.expiring_event_at,
            p.traffic_limit_bytes + q.adjust_quota_bytes as "quota_bytes!"
        from telecom.package_queue q
        join telecom.package p on p.id = q.package_id
        where q.user_id = any($1) and q.status = 'active'
        order by q.user_id
        for no key update of q"#,
        users
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Writes back items that [`lock_active`] locked in this transaction.
pub async fn update_charged(connection: &mut Connection, items: &[ActiveItem]) -> Result<(), Error> {
    let (ids, uploads, downloads, percents, expiring) = columns!(
        items,
        |item| item.id,
        |item| item.upload_bytes,
        |item| item.download_bytes,
        |item| item.announced_percent,
        |item| item.expiring_event_at
    );
    sqlx::query!(
        r#"/* package_queue.update_charged */
        update telecom.package_queue q set
            upload_bytes = c.upload_bytes,
            download_bytes = c.download_bytes,
            announced_percent = c.announced_percent,
            expiring_event_at = c.expiring_event_at
        from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::timestamptz[])
            as c (id, upload_bytes, download_bytes, announced_percent, expiring_event_at)
        where q.id = c.id"#,
        &ids,
        &uploads,
        &downloads,
        &percents,
        &expiring as &[Option<DateTime<Utc>>]
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An item and its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// The item.
    pub id: i64,
    /// Its owner.
    pub user_id: Uuid,
}

/// Marks active items whose time is over as expiring, at most `limit`, and returns them; those marked after
/// `expiring_before` are left alone, since their event is on its way.
pub async fn mark_time_expired(
    connection: &mut Connection,
    now: DateTime<Utc>,
    expiring_before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Item>, Error> {
    let rows = sqlx::query_as!(
        Item,
        r#"/* package_queue.mark_time_expired */
        with due as (
            select id from telecom.package_queue
            where status = 'active' and expires_at <= $1 and coalesce(expiring_event_at <= $2, true)
            order by expires_at
            limit $3
            for update skip locked
        )
        update telecom.package_queue q set expiring_event_at = $1 from due where q.id = due.id
        returning q.id, q.user_id"#,
        now,
        expiring_before,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// An item that was just consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumedItem {
    /// The item.
    pub item: Item,
    /// Which limit it met; traffic, if both.
    pub reason: ExpiryReason,
}

/// Consumes those of `items` that are active and have really run out.
pub async fn consume_expired(
    connection: &mut Connection,
    items: &[i64],
    now: DateTime<Utc>,
) -> Result<Vec<ConsumedItem>, Error> {
    let rows = sqlx::query!(
        r#"/* package_queue.consume_expired */
        with expired as (
            select q.id, q.upload_bytes + q.download_bytes >= p.traffic_limit_bytes + q.adjust_quota_bytes as exhausted
            from telecom.package_queue q
            join telecom.package p on p.id = q.package_id
            where q.id = any($1) and q.status = 'active'
                and (q.expires_at <= $2 or q.upload_bytes + q.download_bytes >= p.traffic_limit_bytes + q.adjust_quota_bytes)
        )
        update telecom.package_queue q set
            status = 'consumed',
            ended_at = $2,
            end_reason = (case when e.exhausted then 'traffic' else 'time' end)::telecom.package_end_reason
        from expired e
        where q.id = e.id
        returning q.id, q.user_id, e.exhausted as "exhausted!""#,
        items,
        now
    )
    .fetch_all(connection)
    .await?;
    let consumed = rows.into_iter().map(|row| ConsumedItem {
        item: Item { id: row.id, user_id: row.user_id },
        reason: if row.exhausted { ExpiryReason::Traffic } else { ExpiryReason::Time },
    });
    Ok(consumed.collect())
}

/// An item that just became active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivatedItem {
    /// The item.
    pub id: i64,
    /// Its owner.
    pub user_id: Uuid,
    /// When its time ends.
    pub expires_at: DateTime<Utc>,
    /// Its quota leaves nothing to use: it is marked as expiring at once.
    pub expiring: bool,
}

/// Activates the oldest waiting item of each of `users`; none of them has an active one.
pub async fn activate_next(
    connection: &mut Connection,
    users: &[Uuid],
    now: DateTime<Utc>,
) -> Result<Vec<ActivatedItem>, Error> {
    let rows = sqlx::query_as!(
        ActivatedItem,
        r#"/* package_queue.activate_next */
        with next as (
            select distinct on (q.user_id) q.id, p.expire_duration_seconds,
                q.upload_bytes + q.download_bytes >= p.traffic_limit_bytes + q.adjust_quota_bytes as expiring
            from telecom.package_queue q
            join telecom.package p on p.id = q.package_id
            where q.user_id = any($1) and q.status = 'in_queue'
            order by q.user_id, q.created_at, q.id
        )
        update telecom.package_queue q set
            status = 'active',
            activated_at = $2,
            expires_at = $2::timestamptz + make_interval(secs => n.expire_duration_seconds),
            expiring_event_at = case when n.expiring then $2::timestamptz end
        from next n
        where q.id = n.id and q.status = 'in_queue'
        returning q.id, q.user_id, q.expires_at as "expires_at!", n.expiring as "expiring!""#,
        users,
        now
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Users with a waiting item and no active one, at most `limit`.
pub async fn users_waiting(connection: &mut Connection, limit: i64) -> Result<Vec<Uuid>, Error> {
    let users = sqlx::query_scalar!(
        r#"/* package_queue.users_waiting */
        select distinct w.user_id
        from telecom.package_queue w
        where w.status = 'in_queue'
            and not exists (select from telecom.package_queue a where a.user_id = w.user_id and a.status = 'active')
        order by w.user_id
        limit $1"#,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(users)
}
