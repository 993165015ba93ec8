//! `AdjustQuota`: raises or lowers the quota of a package item.

use async_trait::async_trait;
use serde::Serialize;

use super::cancel_queued_package::{ChangedItem, ended, find};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, package_item};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::package_version::MAX_TRAFFIC_BYTES;
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
        let before = find(tx, self.id).await?;
        if open.is_empty() {
            return Err(ended(self.id));
        }
        let adjusted = before.adjust_quota.saturating_add(self.bytes);
        within("bytes", adjusted, -MAX_TRAFFIC_BYTES, MAX_TRAFFIC_BYTES)
            .map_err(|_| Error::parameter("bytes", "a sum of all adjustments of at most 1 EiB"))?;
        package_item::set_adjust_quota(tx, self.id, adjusted).await?;
        let adjusted = find(tx, self.id).await?;
        work.outbox.fact(&Fact::QuotaAdjusted {
            user: adjusted.user,
            package_queue_id: self.id,
            adjust_quota_bytes: adjusted.adjust_quota,
            quota_bytes: adjusted.quota,
        })?;
        if open.iter().any(|item| item.is_active) {
            advance_queues(tx, &mut work.outbox, &[self.id], work.now).await?;
        }
        let package = find(tx, self.id).await?;
        let target = Target::PackageItem(self.id);
        work.changed(target, &before, &package, Some(&self.reason))?;
        Ok(ChangedItem {
            package,
            changed: true,
        })
    }
}
