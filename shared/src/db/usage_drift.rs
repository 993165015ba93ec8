//! Drifts: values that reconciliation found to differ.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Connection, column, statements, stored};
use crate::domain::drift::{Drift, DriftKey, DriftKind, Keys};
use crate::error::Error;

/// Returns the hours, items and runs of the oldest drifts, without duplicates. Reads at most
/// `limit` drifts.
pub async fn drifting(connection: &mut Connection, limit: i64) -> Result<[Keys; 3], Error> {
    let rows = sqlx::query!(
        r#"/* usage_drift.drifting */
        select bucket_start, package_queue_id, billing_run_id from telecom.usage_drift
        order by found_at limit $1"#,
        limit
    )
    .fetch_all(connection)
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
    let changed = sqlx::query!(
        r#"/* usage_drift.record */
        insert into telecom.usage_drift as d (
            kind, bucket_start, package_queue_id, billing_run_id, user_id,
            raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes,
            found_at
        )
        select *, $10::timestamptz from unnest(
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
    )
    .fetch_all(connection)
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
