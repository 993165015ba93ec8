//! Hourly usage.

use super::{Connection, columns};
use crate::domain::traffic::{Traffic, UsageKey};
use crate::error::Error;

/// Usage to add to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageToAdd {
    /// Which row, but for the item.
    pub key: UsageKey,
    /// The package item that pays, if any.
    pub package_queue_id: Option<i64>,
    /// How much.
    pub traffic: Traffic,
}

/// Adds usage. `usage` is sorted by key and holds each once: locks are taken in one order.
pub async fn add(connection: &mut Connection, usage: &[UsageToAdd]) -> Result<(), Error> {
    let (users, buckets, servers, clients, items) = columns!(
        usage,
        |u| u.key.user_id,
        |u| u.key.bucket_start,
        |u| u.key.node_server_id,
        |u| u.key.node_client_id,
        |u| u.package_queue_id
    );
    let (raw_upload, raw_download, billed_upload, billed_download) =
        columns!(usage, |u| u.traffic.raw_upload, |u| u.traffic.raw_download, |u| u.traffic.billed_upload, |u| u
            .traffic
            .billed_download);
    sqlx::query!(
        r#"/* user_package_usage.add */
        insert into telecom.user_package_usage as u (
            user_id, bucket_start, node_server_id, node_client_id, package_queue_id,
            raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes
        )
        select * from unnest(
            $1::uuid[], $2::timestamptz[], $3::int[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::bigint[]
        )
        on conflict on constraint user_package_usage_key do update set
            raw_upload_bytes = u.raw_upload_bytes + excluded.raw_upload_bytes,
            raw_download_bytes = u.raw_download_bytes + excluded.raw_download_bytes,
            billed_upload_bytes = u.billed_upload_bytes + excluded.billed_upload_bytes,
            billed_download_bytes = u.billed_download_bytes + excluded.billed_download_bytes"#,
        &users,
        &buckets,
        &servers,
        &clients as &[Option<i32>],
        &items as &[Option<i64>],
        &raw_upload,
        &raw_download,
        &billed_upload,
        &billed_download,
    )
    .execute(connection)
    .await?;
    Ok(())
}
