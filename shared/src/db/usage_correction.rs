//! Corrections of what users are billed.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::package_queue::Item;
use super::{Connection, statements};
use crate::domain::page::Page;
use crate::domain::traffic::UsageKey;
use crate::domain::usage_explanation::{CORRECTION_PAGES, UsageCorrection};
use crate::error::Error;

/// A package item that is locked by this transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockedItem {
    /// Owner of the item.
    pub user_id: Uuid,
    /// Whether the item is active.
    pub is_active: bool,
    /// Whether the item is or was active.
    pub was_activated: bool,
    /// Bytes charged for upload.
    pub upload_bytes: i64,
    /// Bytes charged for download.
    pub download_bytes: i64,
}

/// Bytes billed for upload and download.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Billed {
    /// Bytes billed for upload.
    pub upload: i64,
    /// Bytes billed for download.
    pub download: i64,
}

statements! {
    /// Locks a package item until the transaction ends. Nothing if there is no such item.
    pub fn lock_item(id: i64) -> FirstRow<LockedItem> {
        r#"/* usage_correction.lock_item */
        select user_id, status = 'active' as "is_active!",
            activated_at is not null as "was_activated!", upload_bytes, download_bytes
        from telecom.package_queue where id = $1
        for no key update"#
    }

    /// Locks the hourly row with this key until the transaction ends, and returns what it bills.
    /// Nothing if there is no such row. Lock order: the item comes first.
    pub fn lock_usage(key: UsageKey, package_queue_id: Option<i64>) -> FirstRow<Billed> {
        r#"/* usage_correction.lock_usage */
        select billed_upload_bytes as upload, billed_download_bytes as download
        from telecom.user_package_usage
        where user_id = $1 and bucket_start = $2 and node_server_id = $3
            and node_client_id is not distinct from $4::int
            and package_queue_id is not distinct from $5::bigint
        for no key update"#,
        key.user_id,
        key.bucket_start,
        key.node_server_id,
        key.node_client_id as Option<i32>,
        package_queue_id as Option<i64>
    }

    /// Adds billed bytes to the hourly row that [`lock_usage`] locked. `uncharged_at` stays,
    /// because it is the time of a charge.
    pub fn add_to_usage(
        key: UsageKey,
        package_queue_id: Option<i64>,
        billed: Billed
    ) -> Done {
        "/* usage_correction.add_to_usage */
        update telecom.user_package_usage set
            billed_upload_bytes = billed_upload_bytes + $6,
            billed_download_bytes = billed_download_bytes + $7
        where user_id = $1 and bucket_start = $2 and node_server_id = $3
            and node_client_id is not distinct from $4::int
            and package_queue_id is not distinct from $5::bigint",
        key.user_id,
        key.bucket_start,
        key.node_server_id,
        key.node_client_id as Option<i32>,
        package_queue_id as Option<i64>,
        billed.upload,
        billed.download
    }

    /// Inserts an hourly row that only bills. Fails if another transaction has inserted it.
    pub fn insert_usage(
        key: UsageKey,
        package_queue_id: Option<i64>,
        billed: Billed
    ) -> Changed {
        "/* usage_correction.insert_usage */
        insert into telecom.user_package_usage (
            user_id, bucket_start, node_server_id, node_client_id, package_queue_id,
            raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes
        )
        values ($1, $2, $3, $4, $5, 0, 0, $6, $7)
        on conflict on constraint user_package_usage_key do nothing",
        key.user_id,
        key.bucket_start,
        key.node_server_id,
        key.node_client_id as Option<i32>,
        package_queue_id as Option<i64>,
        billed.upload,
        billed.download
    }

    /// Adds billed bytes to the counters of an item that [`lock_item`] locked. The update names the
    /// quota so that a trigger marks or unmarks the item as exhausted, as after an adjustment.
    pub fn add_to_item(item: Item, billed: Billed) -> Done {
        "/* usage_correction.add_to_item */
        update telecom.package_queue set
            upload_bytes = upload_bytes + $2,
            download_bytes = download_bytes + $3,
            adjust_quota_bytes = adjust_quota_bytes
        where id = $1 and user_id = $4",
        item.id,
        billed.upload,
        billed.download,
        item.user_id
    }

    /// Whether the node server exists and, if there is a client, whether it is one of the server's.
    pub fn node_exists(server_id: i32, client_id: Option<i32>) -> Value<bool> {
        r#"/* usage_correction.node_exists */
        select exists (
            select from telecom.node_server s
            where s.id = $1 and ($2::int is null or exists (
                select from telecom.node_client c where c.id = $2 and c.node_server_id = s.id
            ))
        ) as "exists!""#,
        server_id,
        client_id as Option<i32>
    }

    /// Stores a correction and returns it with its id.
    pub fn insert(
        key: UsageKey,
        package_queue_id: Option<i64>,
        billed: Billed,
        at: DateTime<Utc>,
        actor: Uuid,
        reason: &str
    ) -> Row<UsageCorrection> {
        r#"/* usage_correction.insert */
        insert into telecom.usage_correction (
            user_id, bucket_start, node_server_id, node_client_id, package_queue_id,
            billed_upload_bytes, billed_download_bytes, corrected_at, actor_user_id, reason
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        returning id, user_id as "user", bucket_start as hour, node_server_id as server_id,
            node_client_id, package_queue_id, billed_upload_bytes as billed_upload,
            billed_download_bytes as billed_download, corrected_at, actor_user_id as actor,
            reason"#,
        key.user_id,
        key.bucket_start,
        key.node_server_id,
        key.node_client_id as Option<i32>,
        package_queue_id as Option<i64>,
        billed.upload,
        billed.download,
        at,
        actor,
        reason
    }

    /// Corrections of a user's hour, by id.
    pub fn of_hour(user: Uuid, hour: DateTime<Utc>, limit: i64) -> Rows<UsageCorrection> {
        r#"/* usage_correction.of_hour */
        select id, user_id as "user", bucket_start as hour, node_server_id as server_id,
            node_client_id, package_queue_id, billed_upload_bytes as billed_upload,
            billed_download_bytes as billed_download, corrected_at, actor_user_id as actor, reason
        from telecom.usage_correction
        where user_id = $1 and bucket_start = $2
        order by id limit $3"#
    }

    /// Only the arm of the union for the filter reads rows. `between` and the order keep the
    /// planner from reading all rows by primary key and discarding those of other users.
    fn find(user: Option<Uuid>, max_total: i64, limit: i64, offset: i64) -> Row<Found> {
        r#"/* usage_correction.find */
        with match as materialized (
            (select id from telecom.usage_correction
            where user_id between $1::uuid and $1::uuid order by user_id, id desc limit $2)
            union all
            (select id from telecom.usage_correction where $1::uuid is null
            order by id desc limit $2)
        )
        select (select count(*) from match) as "total!",
            array(select id from match order by id desc limit $3 offset $4) as "ids!""#,
        user as Option<Uuid>,
        max_total,
        limit,
        offset
    }

    /// Corrections by id, newest first.
    fn show(ids: &[i64]) -> Rows<UsageCorrection> {
        r#"/* usage_correction.show */
        select id, user_id as "user", bucket_start as hour, node_server_id as server_id,
            node_client_id, package_queue_id, billed_upload_bytes as billed_upload,
            billed_download_bytes as billed_download, corrected_at, actor_user_id as actor, reason
        from telecom.usage_correction
        where id = any($1)
        order by id desc"#
    }

    /// Deletes at most `limit` corrections of hours before `before`. Returns their number.
    pub fn delete_before(before: DateTime<Utc>, limit: i64) -> Changed {
        "/* usage_correction.delete_before */
        delete from telecom.usage_correction where ctid = any(array(
            select ctid from telecom.usage_correction where bucket_start < $1 limit $2
        ))"
    }
}

struct Found {
    total: i64,
    ids: Vec<i64>,
}

/// A page of corrections, newest first, of one user or of all, and the number of matching
/// corrections, counted up to the greatest offset of [`CORRECTION_PAGES`].
pub async fn list(
    connection: &mut Connection,
    user: Option<Uuid>,
    page: Page,
) -> Result<(Vec<UsageCorrection>, i64), Error> {
    let max_total = CORRECTION_PAGES.max_offset;
    let found = find(connection, user, max_total, page.limit, page.offset).await?;
    Ok((show(connection, &found.ids).await?, found.total))
}
