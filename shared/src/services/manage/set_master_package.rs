//! `SetMasterPackage`: selects the version that orders of a series deliver.

use async_trait::async_trait;
use serde::Serialize;

use super::create_package::{ShownPackage, find, lock, retired};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, package};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::reason;
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Makes a package the master of its series. Does nothing if it already is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetMasterPackage {
    /// Id of the package.
    pub id: i64,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for SetMasterPackage {
    const NAME: &'static str = "SetMasterPackage";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::IdempotencyKey;
}

#[async_trait]
impl Change for SetMasterPackage {
    type Output = ShownPackage;

    fn checked(self) -> Result<Self, Error> {
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(&self, tx: &mut Connection, work: &mut Work<'_>) -> Result<ShownPackage, Error> {
        let before = lock(tx, self.id).await?;
        if before.retired_at.is_some() {
            return Err(retired(self.id));
        }
        if !before.is_master {
            package::clear_master(tx, before.series).await?;
            package::set_master(tx, self.id).await?;
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
