//! Package queue items as administrators see them.

use super::statement::all_rows;
use super::{Connection, from_row, stored};
use crate::domain::page::Page;
use crate::domain::queued_package::{
    Filter, PAGES, PackageQueueCounts, PackageSeriesCounts, QueuedPackage,
};
use crate::error::Error;

/// A page of items, newest first, and the total number of items, counted up to the greatest offset
/// of [`PAGES`].
pub async fn list(
    connection: &mut Connection,
    filter: Filter,
    page: Page,
) -> Result<(Vec<QueuedPackage>, i64), Error> {
    let (ids, total) = find(connection, filter, page, PAGES.max_offset).await?;
    Ok((show(connection, &ids).await?, total))
}

/// The ids of a page of items, newest first, and the total number of items, counted up to
/// `max_total`.
///
/// Only the arm of the union that has the best index for the filter runs. In the other arms, a
/// condition on parameters alone is false and is evaluated once. The arms without a user and an
/// order read each status separately and in order, at most as many items per status as the page
/// may need. Their total is the sum of the stored counts.
///
/// These arms use `between s and s` and also order by the status. With `=`, the primary key gives
/// the same order, so the planner might scan all items by primary key and discard those with
/// another status.
async fn find(
    connection: &mut Connection,
    filter: Filter,
    page: Page,
    max_total: i64,
) -> Result<(Vec<i64>, i64), Error> {
    let status: Option<&'static str> = filter.status.map(Into::into);
    let found = sqlx::query!(
        r#"/* queued_package.find */
        with status as (
            select s from unnest(enum_range(null::telecom.package_queue_status)) s
            where $4::text is null or s = $4::text::telecom.package_queue_status
        ), match as materialized (
            select id from (
                select q.id from telecom.package_queue q
                where $1::uuid is not null and q.user_id = $1 and ($2::uuid is null
                or q.by_order = $2)
                    and ($3::bigint is null or q.package_id = $3) and q.status in (select s
                    from status)
                union all
                select q.id from telecom.package_queue q
                where $1::uuid is null and q.by_order = $2::uuid
                    and ($3::bigint is null or q.package_id = $3) and q.status in (select s
                    from status)
                union all
                select q.id from status
                cross join lateral (
                    select id from telecom.package_queue q
                    where q.package_id = $3 and q.status between s and s
                    order by q.status desc, id desc limit $6::bigint + $7::bigint
                ) q
                where $1::uuid is null and $2::uuid is null and $3::bigint is not null
                union all
                select q.id from status
                cross join lateral (
                    select id from telecom.package_queue q where q.status between s and s
                    order by q.status desc, id desc limit $6::bigint + $7::bigint
                ) q
                where $1::uuid is null and $2::uuid is null and $3::bigint is null
            ) q
            order by id desc
            limit $5
        )
        select case when $1::uuid is null and $2::uuid is null then least($5, (
                select coalesce(sum(items), 0)::bigint from telecom.package_queue_count
                where ($3::bigint is null or package_id = $3)
                    and status in (select s from status)
            )) else (select count(*) from match) end as "total!",
            array(select id from match order by id desc limit $6 offset $7) as "ids!""#,
        filter.user,
        filter.order,
        filter.package,
        status,
        max_total,
        page.limit,
        page.offset
    )
    .fetch_one(connection)
    .await?;
    Ok((found.ids, found.total))
}

/// Items with their packages, newest first.
pub async fn show(connection: &mut Connection, ids: &[i64]) -> Result<Vec<QueuedPackage>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* queued_package.show */
        select q.id, q.user_id, q.by_order, q.package_id, p.name, p.series, p.version,
        q.status::text as "status!",
            q.upload_bytes, q.download_bytes, q.upload_bytes + q.download_bytes as "used!",
            p.traffic_limit_bytes + q.adjust_quota_bytes as quota, q.adjust_quota_bytes,
            q.created_at,
            q.activated_at, q.expires_at, q.extended_seconds, q.ended_at, q.end_reason::text
        from telecom.package_queue q
        join telecom.package p on p.id = q.package_id
        where q.id = any($1)
        order by q.id desc"#,
            ids
        ),
        connection,
    )
    .await?;
    let packages = rows.into_iter().map(|row| {
        Ok(from_row!(row => QueuedPackage {
            id, package_id, series, version, used, quota, created_at, activated_at, expires_at,
            extended_seconds, ended_at;
            user: row.user_id, order: row.by_order, package_name: row.name,
            status: stored(&row.status)?, upload: row.upload_bytes, download: row.download_bytes,
            quota_left: row.quota.map(|quota| quota.saturating_sub(row.used).max(0)),
            adjust_quota: row.adjust_quota_bytes,
            end_reason: row.end_reason.map(|reason| stored(&reason)).transpose()?
        }))
    });
    packages.collect()
}

/// Counts the items of each series that has a package, by status.
///
/// Adds up the rows of `package_queue_count`, which triggers write and [`fold_counts`] replaces by
/// their sums. The number of items does not matter.
pub async fn count_by_series(
    connection: &mut Connection,
) -> Result<Vec<PackageSeriesCounts>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* queued_package.count_by_series */
        with counted as (
            select package_id,
                sum(items) filter (where status = 'in_queue') as in_queue,
                sum(items) filter (where status = 'active') as active,
                sum(items) filter (where status = 'consumed') as consumed,
                sum(items) filter (where status = 'cancelled') as cancelled
            from telecom.package_queue_count
            group by package_id
        )
        select p.series, (array_agg(p.name order by p.is_master desc,
        p.version desc))[1] as "name!",
            coalesce(sum(c.in_queue), 0)::bigint as "in_queue!", coalesce(sum(c.active),
            0)::bigint as "active!",
            coalesce(sum(c.consumed), 0)::bigint as "consumed!", coalesce(sum(c.cancelled),
            0)::bigint as "cancelled!"
        from telecom.package p
        left join counted c on c.package_id = p.id
        group by p.series
        order by 2, p.series"#
        ),
        connection,
    )
    .await?;
    let counts = rows.into_iter().map(|row| PackageSeriesCounts {
        series: row.series,
        name: row.name,
        counts: PackageQueueCounts::of(row.in_queue, row.active, row.consumed, row.cancelled),
    });
    Ok(counts.collect())
}

/// Replaces rows of `package_queue_count` by their sums: at most `limit` rows of packages and
/// statuses that have several rows. Returns by how many rows the table became smaller.
///
/// No sum changes for any reader. A concurrent call waits for the rows that this call deletes, and
/// then skips them. Both delete in the order of `ctid`.
pub async fn fold_counts(connection: &mut Connection, limit: i64) -> Result<i64, Error> {
    let fewer = sqlx::query_scalar!(
        r#"/* queued_package.fold_counts */
        with gone as (
            delete from telecom.package_queue_count where ctid = any(array(
                select c.ctid from telecom.package_queue_count c
                join (
                    select package_id, status from telecom.package_queue_count
                    group by package_id, status having count(*) > 1
                ) several using (package_id, status)
                limit $1
            ))
            returning package_id, status, items
        ), summed as (
            insert into telecom.package_queue_count (package_id, status, items)
            select package_id, status, sum(items)::bigint from gone
            group by package_id, status having sum(items) <> 0
            returning 1
        )
        select (select count(*) from gone) - (select count(*) from summed) as "fewer!""#,
        limit
    );
    Ok(fewer.fetch_one(connection).await?)
}
