//! Extensions of all active items of an access group or of a series.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::package_queue::Item;
use super::{Connection, column, from_row, statements};
use crate::domain::audit::Actor;
use crate::domain::package_extension::{
    ExtendedPackages, IncompleteExtension, ItemOfPackage, NewExtension,
};
use crate::error::Error;

statements! {
    /// Whether a series has a package.
    pub fn series_exists(series: Uuid) -> Value<bool> {
        r#"/* package_extension.series_exists */
        select exists (select from telecom.package where series = $1) as "exists!""#
    }

    /// Counts the active items of packages. Reads only their index entries.
    pub fn count_items(packages: ExtendedPackages) -> Value<i64> {
        r#"/* package_extension.count_items */
        select coalesce(sum(q.items), 0)::bigint as "items!"
        from telecom.package p
        cross join lateral (
            select count(*) as items from telecom.package_queue q
            where q.package_id = p.id and q.status = 'active'
        ) q
        where p.available_group = $1 or p.series = $2"#,
        packages.available_group as Option<i32>, packages.series as Option<Uuid>
    }

    /// Stores an extension, of which no item is processed yet.
    pub fn insert(new: &NewExtension<'_>) -> Done {
        "/* package_extension.insert */
        insert into telecom.package_extension (id, created_at, actor_user_id, request_id,
            available_group, series, hours, reason, item_count)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        new.id, new.created_at, new.actor.user_id, new.actor.request_id,
        new.packages.available_group, new.packages.series, new.hours, new.reason, new.item_count
    }
}

/// Returns the oldest extension that is not complete.
pub async fn oldest_incomplete(
    connection: &mut Connection,
) -> Result<Option<IncompleteExtension>, Error> {
    let row = sqlx::query!(
        "/* package_extension.oldest_incomplete */
        select id, created_at, actor_user_id, request_id, available_group, series, hours,
            item_count, last_package_id, last_item_id, extended_count
        from telecom.package_extension
        where completed_at is null
        order by created_at, id
        limit 1"
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| {
        from_row!(row => IncompleteExtension {
            id, created_at, hours, item_count, extended_count;
            actor: Actor { user_id: row.actor_user_id, request_id: row.request_id },
            packages: ExtendedPackages {
                available_group: row.available_group, series: row.series
            },
            last: ItemOfPackage { package_id: row.last_package_id, id: row.last_item_id }
        })
    }))
}

statements! {
    /// The active items of packages after `last`, in the order of packages and items, at most
    /// `limit`. Reads only their index entries, and one index entry of each package without them.
    ///
    /// The comparison of rows makes both columns the start of an index scan. With `status =
    /// 'active'`, the primary key would give the same order, so the planner might scan all items by
    /// primary key.
    pub fn next_items(packages: ExtendedPackages, last: ItemOfPackage, limit: i64)
        -> Rows<ItemOfPackage> {
        r#"/* package_extension.next_items */
        select p.id as package_id, q.id
        from telecom.package p
        cross join lateral (
            select q.id from telecom.package_queue q
            where q.package_id = p.id and q.status <= 'active'
                and (q.status, q.id) > ('active', case when p.id = $3 then $4::bigint else 0 end)
            order by q.status, q.id
            limit $5
        ) q
        where (p.available_group = $1 or p.series = $2) and p.id >= $3
        order by p.id, q.id
        limit $5"#,
        packages.available_group as Option<i32>, packages.series as Option<Uuid>, last.package_id,
        last.id, limit
    }

    /// Locks those of `items` that are active since `active_since` or longer, in the order of users
    /// and ids, until the transaction ends, and returns them. Leaves out items that `hours` would
    /// take beyond the limits of the table.
    pub fn lock_items(items: &[i64], active_since: DateTime<Utc>, hours: i32) -> Rows<Item> {
        "/* package_extension.lock_items */
        select id, user_id from telecom.package_queue
        where id = any($1) and status = 'active' and activated_at <= $2
            and extended_seconds + $3::int * 3600::bigint <= 3155760000
            and expires_at + make_interval(hours => $3::int) < '9999-12-31Z'
        order by user_id, id
        for no key update"
    }

    /// Adds hours to the time of items that [`lock_items`] locked in this transaction.
    pub fn extend_items(items: &[Item], hours: i32) -> Changed {
        "/* package_extension.extend_items */
        update telecom.package_queue
        set expires_at = expires_at + make_interval(hours => $3::int),
            extended_seconds = extended_seconds + $3::int * 3600::bigint
        where id = any($1) and user_id = any($2)",
        &column(items, |item| item.id),
        &column(items, |item| item.user_id),
        hours
    }

    /// Stores how far an extension came.
    pub fn advance(
        id: Uuid,
        last: ItemOfPackage,
        extended_count: i64,
        completed_at: Option<DateTime<Utc>>,
    ) -> Done {
        "/* package_extension.advance */
        update telecom.package_extension
        set last_package_id = $2, last_item_id = $3, extended_count = $4, completed_at = $5
        where id = $1",
        id, last.package_id, last.id, extended_count, completed_at as Option<DateTime<Utc>>
    }

    /// Deletes at most `limit` extensions that were completed before `before`. Returns their
    /// number.
    pub fn delete(before: DateTime<Utc>, limit: i64) -> Changed {
        "/* package_extension.delete */
        delete from telecom.package_extension where id = any(array(
            select id from telecom.package_extension where completed_at < $1 limit $2
        ))"
    }
}
