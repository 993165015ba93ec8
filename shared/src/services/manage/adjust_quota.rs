//! `AdjustQuota`: raises or lowers the quota of a package item.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Serialize;

use super::cancel_queued_package::{ChangedItem, ended, find};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::package_item::{self, OpenItem};
use crate::db::package_queue::Item;
use crate::db::{Connection, queued_package};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::package_version::MAX_TRAFFIC_BYTES;
use crate::domain::queued_package::QueuedPackage;
use crate::domain::{reason, within};
use crate::error::Error;
use crate::events::facts::Fact;
use crate::services::Operation;
use crate::services::change::{Change, Work};
use crate::services::package_queue::advance_queues;

/// Adds bytes to the quota of a package item that has not ended. If nothing is left to use, the
/// item is consumed and the user's next item becomes active in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdjustQuota {
    /// Id of the package item.
    pub id: i64,
    /// Bytes to add. Negative to lower the quota. Not 0.
    pub bytes: i64,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for AdjustQuota {
    const NAME: &'static str = "AdjustQuota";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

#[async_trait]
impl Change for AdjustQuota {
    type Output = ChangedItem;

    fn checked(self) -> Result<Self, Error> {
        within("id", self.id, 1, i64::MAX)?;
        if self.bytes == 0 {
            return Err(Error::parameter("bytes", "a whole number other than 0"));
        }
        within("bytes", self.bytes, -MAX_TRAFFIC_BYTES, MAX_TRAFFIC_BYTES)?;
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(&self, tx: &mut Connection, work: &mut Work<'_>) -> Result<ChangedItem, Error> {
        let open = package_item::lock_open(tx, &[self.id]).await?;
        find(tx, self.id).await?;
        if open.is_empty() {
            return Err(ended(self.id));
        }
        let bytes = BTreeMap::from([(self.id, self.bytes)]);
        adjust(tx, work, &open, &bytes, &self.reason).await?;
        Ok(ChangedItem {
            package: find(tx, self.id).await?,
            changed: true,
        })
    }
}

/// Adds bytes to the quotas of items, by id. `open` are these items, locked by this transaction.
/// Items that have nothing left to use are consumed, and their owners' next items become active.
pub(super) async fn adjust(
    tx: &mut Connection,
    work: &mut Work<'_>,
    open: &[OpenItem],
    bytes: &BTreeMap<i64, i64>,
    reason: &str,
) -> Result<(), Error> {
    let ids: Vec<i64> = open.iter().map(|item| item.id).collect();
    let before = queued_package::show(tx, &ids).await?;
    let sum = |item: &QueuedPackage| {
        let bytes = bytes.get(&item.id).copied().unwrap_or_default();
        let adjusted = item.adjust_quota.saturating_add(bytes);
        within("bytes", adjusted, -MAX_TRAFFIC_BYTES, MAX_TRAFFIC_BYTES)
            .map_err(|_| Error::parameter("bytes", "a sum of all adjustments of at most 1 EiB"))?;
        let item = Item {
            id: item.id,
            user_id: item.user,
        };
        Ok((item, adjusted))
    };
    let sums = before.iter().map(sum).collect::<Result<Vec<_>, Error>>()?;
    package_item::set_adjust_quotas(tx, &sums).await?;
    for adjusted in queued_package::show(tx, &ids).await? {
        work.outbox.fact(&Fact::QuotaAdjusted {
            user: adjusted.user,
            package_queue_id: adjusted.id,
            adjust_quota_bytes: adjusted.adjust_quota,
            quota_bytes: adjusted.quota,
        })?;
    }
    let active = open.iter().filter(|item| item.is_active);
    let active: Vec<Item> = active.map(OpenItem::item).collect();
    if !active.is_empty() {
        advance_queues(tx, &mut work.outbox, &active, work.now).await?;
    }
    // Both lists are sorted by id.
    for (before, after) in before.iter().zip(queued_package::show(tx, &ids).await?) {
        let target = Target::PackageItem(before.id);
        work.changed(target, before, &after, Some(reason))?;
    }
    Ok(())
}
