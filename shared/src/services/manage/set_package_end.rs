//! `SetPackageEnd`: sets when the time of an active package item ends.

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::Serialize;

use super::cancel_queued_package::{ChangedItem, ended, find};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, package_item};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::package_version::MAX_DURATION_SECONDS;
use crate::domain::{reason, within};
use crate::error::{Error, ErrorKind};
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Number of decimal places of the seconds that the database stores.
const STORED_DIGITS: u16 = 6;

/// Sets the end of an active package item, earlier or later than the end that its package gives.
/// As after an extension, a later end arms the notices of the item's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetPackageEnd {
    /// Id of the package item.
    pub id: i64,
    /// The new end: in the future, and at most 100 years after the activation. `None` is refused,
    /// because a message without the field has no end.
    pub expires_at: Option<DateTime<Utc>>,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for SetPackageEnd {
    const NAME: &'static str = "SetPackageEnd";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::IdempotencyKey;
}

#[async_trait]
impl Change for SetPackageEnd {
    type Output = ChangedItem;

    fn checked(self) -> Result<Self, Error> {
        within("id", self.id, 1, i64::MAX)?;
        let expires_at = self.expires_at.ok_or_else(invalid_end)?;
        let reason = reason(&self.reason)?;
        Ok(Self {
            expires_at: Some(expires_at.trunc_subsecs(STORED_DIGITS)),
            reason,
            ..self
        })
    }

    async fn apply(&self, tx: &mut Connection, work: &mut Work<'_>) -> Result<ChangedItem, Error> {
        let open = package_item::lock_open(tx, &[self.id]).await?;
        let before = find(tx, self.id).await?;
        let Some(item) = open.first() else {
            return Err(ended(self.id));
        };
        let (true, Some(activated_at)) = (item.is_active, before.activated_at) else {
            return Err(not_active(self.id));
        };
        let expires_at = self.expires_at.ok_or_else(invalid_end)?;
        if before.expires_at == Some(expires_at) {
            return Ok(ChangedItem {
                package: before,
                changed: false,
            });
        }
        let longest = TimeDelta::seconds(MAX_DURATION_SECONDS);
        if expires_at <= work.now || expires_at - activated_at > longest {
            return Err(invalid_end());
        }
        package_item::set_end(tx, item.item(), expires_at).await?;
        let package = find(tx, self.id).await?;
        let target = Target::PackageItem(self.id);
        work.changed(target, &before, &package, Some(&self.reason))?;
        Ok(ChangedItem {
            package,
            changed: true,
        })
    }
}

fn invalid_end() -> Error {
    let accepted = "a time in the future, at most 100 years after the activation of the item";
    Error::parameter("expires_at", accepted)
}

fn not_active(id: i64) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "item_not_active",
        format!("Package item {id} is waiting. It gets its end when it becomes active."),
    )
}
