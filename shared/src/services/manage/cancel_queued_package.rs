//! `CancelQueuedPackage`: cancels a package item.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, queued_package};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::queued_package::{PackageQueueStatus, QueuedPackage};
use crate::domain::{reason, within};
use crate::error::{Error, ErrorKind};
use crate::services::Operation;
use crate::services::change::{Change, Work};
use crate::services::order;

/// Cancels a package item that has not ended. If it is active, the user's next item becomes active
/// in the same transaction. Does nothing if the item is cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CancelQueuedPackage {
    /// Id of the package item.
    pub id: i64,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for CancelQueuedPackage {
    const NAME: &'static str = "CancelQueuedPackage";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::IdempotencyKey;
}

/// A package item after a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangedItem {
    /// The package item after the call.
    pub package: QueuedPackage,
    /// `false` if the item was in this state before, and nothing was written.
    pub changed: bool,
}

#[async_trait]
impl Change for CancelQueuedPackage {
    type Output = ChangedItem;

    fn checked(self) -> Result<Self, Error> {
        within("id", self.id, 1, i64::MAX)?;
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(&self, tx: &mut Connection, work: &mut Work<'_>) -> Result<ChangedItem, Error> {
        let before = find(tx, self.id).await?;
        let changed = !order::cancel_items(tx, &mut work.outbox, &[self.id])
            .await?
            .is_empty();
        let package = find(tx, self.id).await?;
        if package.status == PackageQueueStatus::Consumed {
            return Err(ended(self.id));
        }
        if changed {
            let target = Target::PackageItem(self.id);
            work.changed(target, &before, &package, Some(&self.reason))?;
        }
        Ok(ChangedItem { package, changed })
    }
}

/// Returns a package item, or an error if it does not exist.
pub(super) async fn find(tx: &mut Connection, id: i64) -> Result<QueuedPackage, Error> {
    let item = queued_package::show(tx, &[id]).await?.pop();
    item.ok_or_else(|| Error::not_found(&format!("Package item {id}")))
}

/// The error of a change of an item that has ended.
pub(super) fn ended(id: i64) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "item_ended",
        format!("Package item {id} has ended, so it cannot be changed."),
    )
}
