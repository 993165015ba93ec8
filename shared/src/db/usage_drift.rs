//! Drifts: values that reconciliation found to differ.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use strum::VariantNames;
use uuid::Uuid;

use super::statement::all_rows;
use super::{Connection, column, from_row, statements, stored};
use crate::domain::drift::{Drift, DriftKey, DriftKind, Keys, PAGES, UsageDrift};
use crate::domain::page::Page;
use crate::error::Error;

/// Returns the hours, items and runs of the oldest drifts, without duplicates. Reads at most
/// `limit` drifts.
pub async fn drifting(connection: &mut Connection, limit: i64) -> Result<[Keys; 3], Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* usage_drift.drifting */
        select bucket_start, package_queue_id, billing_run_id from telecom.usage_drift
        order by found_at limit $1"#,
            limit
        ),
        connection,
    )
    .await?;
    Ok([
        Keys::Hours(distinct(rows.iter().filter_map(|row| row.bucket_start))),
        Keys::Items(distinct(rows.iter().filter_map(|row| row.package_queue_id))),
        Keys::Runs(distinct(rows.iter().filter_map(|row| row.billing_run_id))),
    ])
}

fn distinct<T: Ord>(keys: impl Iterator<Item = T>) -> Vec<T> {
    keys.collect::<BTreeSet<T>>().into_iter().collect()
}

statements! {
    /// Counts the drifts that no operator has accepted.
    pub fn count() -> Value<i64> {
        r#"/* usage_drift.count */ select count(*) as "drifts!" from telecom.usage_drift
        where accepted_reason is null"#
    }

    /// The open drifts of each kind are read separately and in order, at most as many as are
    /// counted. `between` keeps the planner from reading all drifts by id, as with `=` it might.
    fn find(kinds: &[String], page: Page) -> Row<Found> {
        r#"/* usage_drift.find */
        with match as materialized (
            select d.id from unnest($1::text[]) k
            cross join lateral (
                select d.id from telecom.usage_drift d
                where d.kind between k and k and d.accepted_reason is null
                order by d.kind desc, d.id desc limit $2
            ) d
            order by d.id desc limit $2
        )
        select (select count(*) from match) as "total!",
            array(select id from match order by id desc limit $3 offset $4) as "ids!""#,
        kinds, PAGES.max_offset, page.limit, page.offset
    }
}

struct Found {
    total: i64,
    ids: Vec<i64>,
}

/// A page of drifts that no operator has accepted, newest first, and the number of matching ones,
/// counted up to the greatest offset of [`PAGES`].
pub async fn list(
    connection: &mut Connection,
    kind: Option<DriftKind>,
    page: Page,
) -> Result<(Vec<UsageDrift>, i64), Error> {
    let all = || DriftKind::VARIANTS.iter().map(ToString::to_string);
    let kinds = kind.map_or_else(|| all().collect(), |kind| vec![kind.to_string()]);
    let found = find(connection, &kinds, page).await?;
    Ok((show(connection, &found.ids).await?, found.total))
}

/// Drifts by id, newest first.
async fn show(connection: &mut Connection, ids: &[i64]) -> Result<Vec<UsageDrift>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* usage_drift.show */
        select id as "id!", kind, bucket_start, package_queue_id, user_id as "user",
            billing_run_id, raw_upload_bytes as raw_upload, raw_download_bytes as raw_download,
            billed_upload_bytes as billed_upload, billed_download_bytes as billed_download,
            coalesce(first_found_at, found_at) as "first_found_at!", found_at
        from telecom.usage_drift where id = any($1) order by id desc"#,
            ids
        ),
        connection,
    )
    .await?;
    let drifts = rows.into_iter().map(|row| {
        Ok(from_row!(row => UsageDrift {
            id, bucket_start, package_queue_id, user, billing_run_id, raw_upload, raw_download,
            billed_upload, billed_download, first_found_at, found_at;
            kind: stored(&row.kind)?
        }))
    });
    drifts.collect()
}

/// Records the drifts that a check of `keys` found, deletes those that it did not find again, and
/// returns the new and changed drifts.
pub async fn record(
    connection: &mut Connection,
    keys: &Keys,
    found: &[Drift],
    now: DateTime<Utc>,
) -> Result<Vec<Drift>, Error> {
    end_drifts(&mut *connection, keys, found).await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let user = |drift: &Drift| match drift.key {
        DriftKey::Item { user, .. } => Some(user),
        _ => None,
    };
    let changed = all_rows(
        sqlx::query!(
            r#"/* usage_drift.record */
        insert into telecom.usage_drift as d (
            kind, bucket_start, package_queue_id, billing_run_id, user_id,
            raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes,
            found_at, first_found_at
        )
        select *, $10::timestamptz, $10 from unnest(
            $1::text[], $2::timestamptz[], $3::bigint[], $4::uuid[], $5::uuid[], $6::bigint[],
            $7::bigint[], $8::bigint[],
            $9::bigint[]
        )
        on conflict on constraint usage_drift_key do update set
            raw_upload_bytes = excluded.raw_upload_bytes,
            raw_download_bytes = excluded.raw_download_bytes,
            billed_upload_bytes = excluded.billed_upload_bytes,
            billed_download_bytes = excluded.billed_download_bytes,
            found_at = excluded.found_at,
            accepted_reason = null
        where (d.raw_upload_bytes, d.raw_download_bytes, d.billed_upload_bytes,
        d.billed_download_bytes) <>
            (excluded.raw_upload_bytes, excluded.raw_download_bytes, excluded.billed_upload_bytes,
                excluded.billed_download_bytes)
        returning kind, bucket_start, package_queue_id, billing_run_id"#,
            &column(found, |drift| drift.kind.to_string()),
            &column(found, |drift| ids(&drift.key).0) as &[Option<DateTime<Utc>>],
            &column(found, |drift| ids(&drift.key).1) as &[Option<i64>],
            &column(found, |drift| ids(&drift.key).2) as &[Option<Uuid>],
            &column(found, user) as &[Option<Uuid>],
            &column(found, |drift| drift.difference.raw_upload),
            &column(found, |drift| drift.difference.raw_download),
            &column(found, |drift| drift.difference.billed_upload),
            &column(found, |drift| drift.difference.billed_download),
            now
        ),
        connection,
    )
    .await?;
    let changed = changed
        .into_iter()
        .map(|row| {
            Ok((
                stored(&row.kind)?,
                (row.bucket_start, row.package_queue_id, row.billing_run_id),
            ))
        })
        .collect::<Result<Vec<(DriftKind, Ids)>, Error>>()?;
    Ok(found
        .iter()
        .filter(|drift| changed.contains(&(drift.kind, ids(&drift.key))))
        .copied()
        .collect())
}

async fn end_drifts(
    connection: &mut Connection,
    keys: &Keys,
    found: &[Drift],
) -> Result<(), Error> {
    let (mut hours, mut items, mut runs): (&[DateTime<Utc>], &[i64], &[Uuid]) = (&[], &[], &[]);
    match keys {
        Keys::Hours(keys) => hours = keys,
        Keys::Items(keys) => items = keys,
        Keys::Runs(keys) => runs = keys,
    }
    sqlx::query!(
        r#"/* usage_drift.end_drifts */
        delete from telecom.usage_drift d
        where (d.bucket_start = any($1) or d.package_queue_id = any($2)
        or d.billing_run_id = any($3))
            and not exists (
                select from unnest($4::text[], $5::timestamptz[], $6::bigint[], $7::uuid[])
                    as f (kind, bucket_start, package_queue_id, billing_run_id)
                where (f.kind, f.bucket_start, f.package_queue_id, f.billing_run_id)
                    is not distinct from (d.kind, d.bucket_start, d.package_queue_id,
                    d.billing_run_id)
            )"#,
        hours,
        items,
        runs,
        &column(found, |drift| drift.kind.to_string()),
        &column(found, |drift| ids(&drift.key).0) as &[Option<DateTime<Utc>>],
        &column(found, |drift| ids(&drift.key).1) as &[Option<i64>],
        &column(found, |drift| ids(&drift.key).2) as &[Option<Uuid>]
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The hour, the item and the run of a row.
type Ids = (Option<DateTime<Utc>>, Option<i64>, Option<Uuid>);

fn ids(key: &DriftKey) -> Ids {
    match *key {
        DriftKey::Hour { bucket_start } => (Some(bucket_start), None, None),
        DriftKey::Item {
            package_queue_id, ..
        } => (None, Some(package_queue_id), None),
        DriftKey::Run { billing_run_id } => (None, None, Some(billing_run_id)),
    }
}
