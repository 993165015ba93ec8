//! The audit log: changes, and accesses to secrets.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Connection, column, statements};
use crate::domain::audit::{AuditEntry, Filter, PAGES, RecordedAction};
use crate::domain::page::Page;
use crate::error::Error;

/// Writes entries in the transaction of their actions. If they cannot be written, the actions fail.
pub async fn write(connection: &mut Connection, entries: &[AuditEntry<'_>]) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let (kinds, ids): (Vec<_>, Vec<_>) = entries.iter().map(|e| e.target.stored()).unzip();
    sqlx::query!(
        "/* audit.write */
        insert into telecom.audit_entry
            (created_at, actor_user_id, request_id, action, target_kind, target_id, before, after,
            reason)
        select * from unnest(
            $1::timestamptz[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::jsonb[], $8::jsonb[], $9::text[]
        )",
        &column(entries, |entry| entry.at),
        &column(entries, |entry| entry.actor.user_id),
        &column(entries, |entry| entry.actor.request_id.as_deref()) as &[Option<&str>],
        &column(entries, |entry| entry.action) as &[&str],
        &kinds as &[&str],
        &ids,
        &column(entries, |entry| entry.before.clone()) as &[Option<Value>],
        &column(entries, |entry| entry.after.clone()) as &[Option<Value>],
        &column(entries, |entry| entry.reason) as &[Option<&str>]
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes at most `limit` entries made before `before`. Returns their number.
pub async fn delete(
    connection: &mut Connection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, Error> {
    let deleted = sqlx::query_scalar!(
        r#"/* audit.delete */ select telecom.delete_audit_entries($1, $2) as "deleted!""#,
        before,
        limit
    )
    .fetch_one(connection)
    .await?;
    u64::try_from(deleted).map_err(Error::internal)
}

/// A page of entries, newest first, and the number of matching entries, counted up to the greatest
/// offset of [`PAGES`].
pub async fn list(
    connection: &mut Connection,
    filter: &Filter,
    page: Page,
) -> Result<(Vec<RecordedAction>, i64), Error> {
    let mut before = filter.end.map(|end| (end, i64::MIN));
    if let Some(id) = filter.older_than {
        let Some(at) = created_at(connection, id).await? else {
            return Ok((Vec::new(), 0));
        };
        before = before.into_iter().chain([(at, id)]).min();
    }
    let (ids, total) = find(connection, filter, before, page).await?;
    Ok((show(connection, &ids).await?, total))
}

/// The ids of a page of entries, newest first, and the number of matching entries, counted up to
/// the greatest offset of [`PAGES`]. Entries are ordered by time, then id, and `before` is a place
/// in this order.
///
/// Each arm of the union suits one kind of filter. In the other arms, a condition on parameters
/// alone is false, or an index finds nothing for `null`. An arm reads the newest entries of its
/// index, so it reads no more entries than are counted, except for those of one target.
///
/// The arms use `= any(array[…])` for the first column of their index and also order by it. With
/// `=`, the index by time gives the same order, so the planner might read all entries by time and
/// discard those of others.
async fn find(
    connection: &mut Connection,
    filter: &Filter,
    before: Option<(DateTime<Utc>, i64)>,
    page: Page,
) -> Result<(Vec<i64>, i64), Error> {
    let target = filter.target.as_ref();
    let kind: Option<&'static str> = target.map(|target| target.kind.into());
    let found = sqlx::query!(
        r#"/* audit.find */
        with match as materialized (
            select created_at, id from (
                (select e.created_at, e.id from telecom.audit_entry e
                where e.target_kind = any(array[$3::text]) and e.target_id = $4::text
                    and e.created_at >= coalesce($5::timestamptz, '-infinity')
                    and (e.created_at, e.id) < (coalesce($6::timestamptz, 'infinity'), $7::bigint)
                    and ($1::uuid is null or e.actor_user_id = $1)
                    and ($2::text is null or e.action = $2)
                order by e.target_kind desc, e.created_at desc, e.id desc limit $8)
                union all
                (select e.created_at, e.id from telecom.audit_entry e
                where $3::text is null
                    and e.actor_user_id = any(array[$1::uuid]) and e.action = $2::text
                    and e.created_at >= coalesce($5::timestamptz, '-infinity')
                    and (e.created_at, e.id) < (coalesce($6::timestamptz, 'infinity'), $7::bigint)
                order by e.actor_user_id desc, e.created_at desc, e.id desc limit $8)
                union all
                (select e.created_at, e.id from telecom.audit_entry e
                where $3::text is null and $2::text is null
                    and e.actor_user_id = any(array[$1::uuid])
                    and e.created_at >= coalesce($5::timestamptz, '-infinity')
                    and (e.created_at, e.id) < (coalesce($6::timestamptz, 'infinity'), $7::bigint)
                order by e.actor_user_id desc, e.created_at desc, e.id desc limit $8)
                union all
                (select e.created_at, e.id from telecom.audit_entry e
                where $3::text is null and $1::uuid is null
                    and e.action = any(array[$2::text])
                    and e.created_at >= coalesce($5::timestamptz, '-infinity')
                    and (e.created_at, e.id) < (coalesce($6::timestamptz, 'infinity'), $7::bigint)
                order by e.action desc, e.created_at desc, e.id desc limit $8)
                union all
                (select e.created_at, e.id from telecom.audit_entry e
                where $3::text is null and $1::uuid is null and $2::text is null
                    and e.created_at >= coalesce($5::timestamptz, '-infinity')
                    and (e.created_at, e.id) < (coalesce($6::timestamptz, 'infinity'), $7::bigint)
                order by e.created_at desc, e.id desc limit $8)
            ) e
        )
        select (select count(*) from match) as "total!", array(
            select id from match order by created_at desc, id desc limit $9 offset $10
        ) as "ids!""#,
        filter.actor,
        filter.action,
        kind,
        target.map(|target| target.id.as_str()),
        filter.start,
        before.map(|(at, _)| at),
        before.map_or(i64::MIN, |(_, id)| id),
        PAGES.max_offset,
        page.limit,
        page.offset
    )
    .fetch_one(connection)
    .await?;
    Ok((found.ids, found.total))
}

statements! {
    /// Time of an entry. `None` if there is no such entry.
    fn created_at(id: i64) -> FirstValue<DateTime<Utc>> {
        "/* audit.created_at */ select created_at from telecom.audit_entry where id = $1"
    }

    /// The entries with these ids, newest first.
    fn show(ids: &[i64]) -> Rows<RecordedAction> {
        "/* audit.show */
        select id, created_at, actor_user_id, request_id, action, target_kind, target_id, before,
            after, reason
        from telecom.audit_entry
        where id = any($1)
        order by created_at desc, id desc"
    }
}
