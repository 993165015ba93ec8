//! `RevokeNodeAccess`: ends the access of node software or of a collector.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::issue_node_access::find;
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, node_access};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::node_access::NodeAccess;
use crate::domain::{reason, within};
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Revokes an access for good. Its token is refused within half a minute. Does nothing if the
/// access is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevokeNodeAccess {
    /// Id of the access.
    pub id: i64,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for RevokeNodeAccess {
    const NAME: &'static str = "RevokeNodeAccess";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::IdempotencyKey;
}

/// An access after a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShownNodeAccess {
    /// The access after the call.
    pub access: NodeAccess,
}

#[async_trait]
impl Change for RevokeNodeAccess {
    type Output = ShownNodeAccess;

    fn checked(self) -> Result<Self, Error> {
        within("id", self.id, 1, i64::MAX)?;
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<ShownNodeAccess, Error> {
        let before = find(tx, self.id).await?;
        if before.revoked_at.is_none() {
            node_access::revoke(tx, self.id, work.now).await?;
        }
        let access = find(tx, self.id).await?;
        let target = Target::NodeAccess(self.id);
        work.changed(target, &before, &access, Some(&self.reason))?;
        Ok(ShownNodeAccess { access })
    }
}
