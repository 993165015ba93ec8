//! Hourly usage per user, server, client and package item.

use chrono::{DateTime, Utc};

use super::{Connection, column, statements};
use crate::domain::traffic::{Traffic, UsageKey};
use crate::error::Error;

/// Usage to add to an hourly row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageToAdd {
    /// The key of the row, except for the item.
    pub key: UsageKey,
    /// The package item that is charged. `None` if the usage is not charged.
    pub package_queue_id: Option<i64>,
    /// Raw and billed bytes to add.
    pub traffic: Traffic,
}

/// Adds usage. `usage` is sorted by key and contains each key once, so that locks are taken in one
/// order. The transaction must hold the lock of every item in `usage`.
///
/// While an item is locked, no other transaction writes its rows. Without possible conflicts, a
/// plain update suffices and takes three quarters of the time of `on conflict`. `on conflict`
/// remains for new rows, which are inserted once per hour, and for rows without an item, which any
/// transaction may write.
pub async fn add(
    connection: &mut Connection,
    usage: &[UsageToAdd],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (with_item, without_item): (Vec<UsageToAdd>, Vec<UsageToAdd>) = usage
        .iter()
        .partition(|usage| usage.package_queue_id.is_some());
    let updated = update_of_items(connection, &with_item).await?;
    let remaining = u64::try_from(usage.len())
        .map_err(Error::internal)?
        .saturating_sub(updated);
    if remaining == 0 {
        return Ok(());
    }
    let all_items_updated = updated == u64::try_from(with_item.len()).map_err(Error::internal)?;
    let added = add_left(
        connection,
        if all_items_updated {
            &without_item
        } else {
            usage
        },
        now,
    )
    .await?;
    if added != remaining {
        // Another transaction wrote a row of an item after all, and the usage to add to it would be
        // lost.
        return Err(Error::internal(
            "hourly usage of an item changed while the item was locked",
        ));
    }
    Ok(())
}

/// Updates the existing rows of items and returns their number.
///
/// Rows are found by item, which is cheaper to compare than the user. An item belongs to one user,
/// so the user and the nullable client only filter the few rows found. This plan is used for every
/// batch size: sqlx prepares the statement, and from the sixth execution on PostgreSQL uses a plan
/// that ignores the arrays and assumes ten rows. Before that, it may hash a small table.
///
/// The arrays are unnested in the select list. In the `from` clause, PostgreSQL would first store
/// the rows of each array, which takes a sixth of the statement's time.
async fn update_of_items(connection: &mut Connection, usage: &[UsageToAdd]) -> Result<u64, Error> {
    if usage.is_empty() {
        return Ok(0);
    }
    let done = sqlx::query!(
        r#"/* user_package_usage.update_of_items */
        update telecom.user_package_usage u set
            raw_upload_bytes = u.raw_upload_bytes + n.raw_upload_bytes,
            raw_download_bytes = u.raw_download_bytes + n.raw_download_bytes,
            billed_upload_bytes = u.billed_upload_bytes + n.billed_upload_bytes,
            billed_download_bytes = u.billed_download_bytes + n.billed_download_bytes
        from (
            select unnest($1::timestamptz[]) as bucket_start, unnest($2::int[]) as node_server_id,
                unnest($3::int[]) as node_client_id, unnest($4::bigint[]) as package_queue_id,
                unnest($5::bigint[]) as raw_upload_bytes,
                unnest($6::bigint[]) as raw_download_bytes,
                unnest($7::bigint[]) as billed_upload_bytes,
                unnest($8::bigint[]) as billed_download_bytes, unnest($9::uuid[]) as user_id
        ) as n
        where u.package_queue_id = n.package_queue_id
            and u.user_id = n.user_id
            and u.bucket_start = n.bucket_start
            and u.node_server_id = n.node_server_id
            and u.node_client_id is not distinct from n.node_client_id"#,
        &column(usage, |u| u.key.bucket_start),
        &column(usage, |u| u.key.node_server_id),
        &column(usage, |u| u.key.node_client_id) as &[Option<i32>],
        &column(usage, |u| u.package_queue_id) as &[Option<i64>],
        &column(usage, |u| u.traffic.raw_upload),
        &column(usage, |u| u.traffic.raw_download),
        &column(usage, |u| u.traffic.billed_upload),
        &column(usage, |u| u.traffic.billed_download),
        &column(usage, |u| u.key.user_id),
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

statements! {
    /// Inserts missing rows and adds to existing rows without an item. Existing rows of an item
    /// stay unchanged, because they have already been updated.
    fn add_left(usage: &[UsageToAdd], now: DateTime<Utc>) -> Changed {
        r#"/* user_package_usage.add_left */
        insert into telecom.user_package_usage as u (
            user_id, bucket_start, node_server_id, node_client_id, package_queue_id,
            raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes,
            uncharged_at
        )
        select n.*, case when n.package_queue_id is null then $10::timestamptz end
        from unnest(
            $1::uuid[], $2::timestamptz[], $3::int[], $4::int[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::bigint[],
            $9::bigint[]
        ) as n (
            user_id, bucket_start, node_server_id, node_client_id, package_queue_id,
            raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes
        )
        on conflict on constraint user_package_usage_key do update set
            raw_upload_bytes = u.raw_upload_bytes + excluded.raw_upload_bytes,
            raw_download_bytes = u.raw_download_bytes + excluded.raw_download_bytes,
            billed_upload_bytes = u.billed_upload_bytes + excluded.billed_upload_bytes,
            billed_download_bytes = u.billed_download_bytes + excluded.billed_download_bytes,
            uncharged_at = excluded.uncharged_at
        where u.package_queue_id is null"#,
        &column(usage, |u| u.key.user_id),
        &column(usage, |u| u.key.bucket_start),
        &column(usage, |u| u.key.node_server_id),
        &column(usage, |u| u.key.node_client_id) as &[Option<i32>],
        &column(usage, |u| u.package_queue_id) as &[Option<i64>],
        &column(usage, |u| u.traffic.raw_upload),
        &column(usage, |u| u.traffic.raw_download),
        &column(usage, |u| u.traffic.billed_upload),
        &column(usage, |u| u.traffic.billed_download),
        now
    }
}
