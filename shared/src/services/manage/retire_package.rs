//! `RetirePackage`: ends the sale of a package.

use async_trait::async_trait;
use serde::Serialize;

use super::create_package::{ShownPackage, find, lock};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, package};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::reason;
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Retires a package. Items that were delivered stay as they are. If the package is the master of
/// its series, orders of the series are refused until another version is the master. Does nothing
/// if the package is retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetirePackage {
    /// Id of the package.
    pub id: i64,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for RetirePackage {
    const NAME: &'static str = "RetirePackage";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::IdempotencyKey;
}

#[async_trait]
impl Change for RetirePackage {
    type Output = ShownPackage;

    fn checked(self) -> Result<Self, Error> {
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(&self, tx: &mut Connection, work: &mut Work<'_>) -> Result<ShownPackage, Error> {
        let before = lock(tx, self.id).await?;
        if before.retired_at.is_none() {
            package::retire(tx, self.id, work.now).await?;
        }
        let package = find(tx, self.id).await?;
        work.changed(
            Target::Package(self.id),
            &before,
            &package,
            Some(&self.reason),
        )?;
        Ok(ShownPackage { package })
    }
}
