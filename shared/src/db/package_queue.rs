//! Package queue items: charging, expiry, activation.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::statement::all_rows;
use super::{Connection, column, statements};
use crate::domain::package::ActiveItem;
use crate::error::Error;
use crate::events::package_expiring::ExpiryReason;

/// An item and its owner. Statements name both, because rows of items are found by item, and are
/// distributed by user in a database of several servers (docs/SCALE.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Id of the item.
    pub id: i64,
    /// Id of the item's owner.
    pub user_id: Uuid,
}

statements! {
    /// Locks the active items of `users` until the transaction ends, and returns them. Both happen
    /// in the order of user ids. Users without an active item are missing from the result.
    pub fn lock_active(users: &[Uuid]) -> Rows<ActiveItem> {
        r#"/* package_queue.lock_active */
        select q.id, q.user_id, q.upload_bytes, q.download_bytes, q.announced_percent,
        q.expiring_event_at,
            p.traffic_limit_bytes + q.adjust_quota_bytes as quota_bytes
        from telecom.package_queue q
        join telecom.package p on p.id = q.package_id
        where q.user_id = any($1) and q.status = 'active'
        order by q.user_id
        for no key update of q"#
    }

    /// Locks those of `items` that are active, in the order of user ids, until the transaction
    /// ends.
    pub fn lock_items(items: &[Item]) -> Values<i64> {
        r#"/* package_queue.lock_items */
        select id from telecom.package_queue
        where id = any($1) and user_id = any($2) and status = 'active'
        order by user_id
        for no key update"#,
        &column(items, |item| item.id),
        &column(items, |item| item.user_id)
    }

    /// Like [`lock_active`], but skips items that another transaction has locked. For a transaction
    /// that already holds locks of other users, and must not wait for a lock out of the order of
    /// user ids.
    pub fn lock_active_unless_locked(users: &[Uuid]) -> Rows<ActiveItem> {
        r#"/* package_queue.lock_active_unless_locked */
        select q.id, q.user_id, q.upload_bytes, q.download_bytes, q.announced_percent,
        q.expiring_event_at,
            p.traffic_limit_bytes + q.adjust_quota_bytes as quota_bytes
        from telecom.package_queue q
        join telecom.package p on p.id = q.package_id
        where q.user_id = any($1) and q.status = 'active'
        order by q.user_id
        for no key update of q skip locked"#
    }
}

/// Whether a user has packages that usage could be charged to, according to committed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserPackages {
    /// Id of the user.
    pub user_id: Uuid,
    /// Whether an item is active.
    pub is_active: bool,
    /// Whether an item is waiting.
    pub is_waiting: bool,
}

statements! {
    /// Reads whether `users` have active or waiting items, without a lock. Users with neither are
    /// missing from the result.
    pub fn user_packages(users: &[Uuid]) -> Rows<UserPackages> {
        r#"/* package_queue.user_packages */
        select user_id as "user_id!", is_active as "is_active!", is_waiting as "is_waiting!"
        from (
            select u.user_id,
                exists (
                    select from telecom.package_queue q where q.user_id = u.user_id
                    and q.status = 'active'
                ) as is_active,
                exists (
                    select from telecom.package_queue q where q.user_id = u.user_id
                    and q.status = 'in_queue'
                ) as is_waiting
            from unnest($1::uuid[]) as u (user_id)
        ) as packages
        where is_active or is_waiting"#
    }

    /// Updates items that [`lock_active`] locked in this transaction. They are found by the index
    /// that it used, which has active items only, and stays small however many items are kept.
    /// Returns the number of items that were updated.
    pub fn update_charged(items: &[ActiveItem]) -> Changed {
        r#"/* package_queue.update_charged */
        update telecom.package_queue q set
            upload_bytes = c.upload_bytes,
            download_bytes = c.download_bytes,
            announced_percent = c.announced_percent,
            expiring_event_at = c.expiring_event_at
        from (
            select unnest($1::bigint[]) as id, unnest($2::bigint[]) as upload_bytes,
                unnest($3::bigint[]) as download_bytes, unnest($4::smallint[]) as announced_percent,
                unnest($5::timestamptz[]) as expiring_event_at, unnest($6::uuid[]) as user_id
        ) as c
        where q.id = c.id and q.user_id = c.user_id and q.status = 'active'"#,
        &column(items, |item| item.id),
        &column(items, |item| item.upload_bytes),
        &column(items, |item| item.download_bytes),
        &column(items, |item| item.announced_percent),
        &column(items, |item| item.expiring_event_at) as &[Option<DateTime<Utc>>],
        &column(items, |item| item.user_id)
    }
}

statements! {
    /// Marks active items whose time is over as expiring, at most `limit`, and returns them. Skips
    /// marked and locked items.
    pub fn mark_time_expired(now: DateTime<Utc>, limit: i64) -> Rows<Item> {
        r#"/* package_queue.mark_time_expired */
        with due as (
            select id, user_id from telecom.package_queue
            where status = 'active' and expires_at <= $1 and expiring_event_at is null
            order by expires_at
            limit $2
            for update skip locked
        )
        update telecom.package_queue q set expiring_event_at = $1 from due
        where q.id = due.id and q.user_id = due.user_id
        returning q.id, q.user_id"#
    }

    /// Locks active items that are marked as expiring and have ids after `after`, in the order of
    /// ids, at most `limit`. Skips items that are locked already.
    pub fn lock_expiring(after: i64, limit: i64) -> Rows<Item> {
        r#"/* package_queue.lock_expiring */
        select id, user_id from telecom.package_queue
        where status = 'active' and expiring_event_at is not null and id > $1
        order by id
        limit $2
        for update skip locked"#
    }

    /// Unmarks active items that have quota and time left after all.
    pub fn unmark_expiring(items: &[Item]) -> Done {
        r#"/* package_queue.unmark_expiring */
        update telecom.package_queue set expiring_event_at = null
        where id = any($1) and user_id = any($2) and status = 'active'"#,
        &column(items, |item| item.id),
        &column(items, |item| item.user_id)
    }
}

/// An item that was just consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumedItem {
    /// Id and owner of the item.
    pub item: Item,
    /// The limit that the item reached. Traffic if it reached both.
    pub reason: ExpiryReason,
}

/// Marks those of `items` as consumed that are active and have run out of quota or time.
pub async fn consume_expired(
    connection: &mut Connection,
    items: &[Item],
    now: DateTime<Utc>,
) -> Result<Vec<ConsumedItem>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* package_queue.consume_expired */
        with expired as (
            select q.id, q.user_id,
                coalesce(q.upload_bytes + q.download_bytes >= p.traffic_limit_bytes +
                q.adjust_quota_bytes, false)
                    as exhausted
            from telecom.package_queue q
            join telecom.package p on p.id = q.package_id
            where q.id = any($1) and q.user_id = any($2) and q.status = 'active'
                and (q.expires_at <= $3 or q.upload_bytes + q.download_bytes >=
                p.traffic_limit_bytes + q.adjust_quota_bytes)
        )
        update telecom.package_queue q set
            status = 'consumed',
            ended_at = $3,
            end_reason = (case when e.exhausted then 'traffic'
            else 'time' end)::telecom.package_end_reason
        from expired e
        where q.id = e.id and q.user_id = e.user_id
        returning q.id, q.user_id, e.exhausted as "exhausted!""#,
            &column(items, |item| item.id),
            &column(items, |item| item.user_id),
            now
        ),
        connection,
    )
    .await?;
    let consumed = rows.into_iter().map(|row| ConsumedItem {
        item: Item {
            id: row.id,
            user_id: row.user_id,
        },
        reason: if row.exhausted {
            ExpiryReason::Traffic
        } else {
            ExpiryReason::Time
        },
    });
    Ok(consumed.collect())
}

/// An item that just became active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivatedItem {
    /// Id of the item.
    pub id: i64,
    /// Id of the item's owner.
    pub user_id: Uuid,
    /// Instant at which the item expires.
    pub expires_at: DateTime<Utc>,
    /// Whether the item was marked as expiring at once because its quota leaves nothing to use.
    pub expiring: bool,
}

statements! {
    /// Activates the oldest waiting item of each of `users`, none of whom has an active item. Waits
    /// for no lock. Users whose oldest item is locked, or was cancelled concurrently, are missing
    /// from the result.
    pub fn activate_next(users: &[Uuid], now: DateTime<Utc>) -> Rows<ActivatedItem> {
        r#"/* package_queue.activate_next */
        with next as materialized (
            select distinct on (user_id) id, user_id, package_id
            from telecom.package_queue
            where user_id = any($1) and status = 'in_queue'
            order by user_id, created_at, id
        ), locked as materialized (
            -- Only what still waits: a row that was changed since the first look is checked again.
            select q.id, q.user_id, q.package_id
            from telecom.package_queue q
            where q.id = any(array(select id from next)) and q.user_id = any($1)
                and q.status = 'in_queue'
            for no key update of q skip locked
        )
        update telecom.package_queue q set
            status = 'active',
            activated_at = $2,
            expires_at = $2::timestamptz + make_interval(secs => p.expire_duration_seconds)
        from locked l
        join telecom.package p on p.id = l.package_id
        where q.id = l.id and q.user_id = l.user_id
        returning q.id, q.user_id, q.expires_at as "expires_at!",
        q.expiring_event_at is not null as "expiring!""#
    }

    /// Users with a waiting item and without an active item, at most `limit`.
    pub fn users_waiting(limit: i64) -> Values<Uuid> {
        r#"/* package_queue.users_waiting */
        select distinct w.user_id
        from telecom.package_queue w
        where w.status = 'in_queue'
            and not exists (select from telecom.package_queue a where a.user_id = w.user_id
            and a.status = 'active')
        order by w.user_id
        limit $1"#
    }
}
