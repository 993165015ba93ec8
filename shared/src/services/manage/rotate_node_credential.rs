//! `RotateNodeCredential` and `RotateUserNodeCredential`: give a user a new secret for nodes.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, node_user};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::reason;
use crate::domain::secret::MASK;
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Gives the caller a new secret. Nodes refuse the old one from their next pull on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RotateNodeCredential;

/// Gives a user a new secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RotateUserNodeCredential {
    /// Id of the user.
    pub user: Uuid,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for RotateNodeCredential {
    const NAME: &'static str = "RotateNodeCredential";
    const ACCESS: Access = Access::User;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

impl Operation for RotateUserNodeCredential {
    const NAME: &'static str = "RotateUserNodeCredential";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

/// A user as node software knows them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeCredential {
    /// Number by which nodes report the user's traffic.
    pub number: i32,
    /// The new secret, which is the user's password on the nodes. `null` if the call was repeated
    /// with its idempotency key.
    pub secret: Option<Uuid>,
}

impl std::fmt::Debug for NodeCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeCredential")
    }
}

#[async_trait]
impl Change for RotateNodeCredential {
    type Output = NodeCredential;
    const SHOWN_ONCE: &'static [&'static str] = &["secret"];

    fn checked(self) -> Result<Self, Error> {
        Ok(self)
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<NodeCredential, Error> {
        rotate(tx, work, work.actor.user_id, None).await
    }
}

#[async_trait]
impl Change for RotateUserNodeCredential {
    type Output = NodeCredential;
    const SHOWN_ONCE: &'static [&'static str] = &["secret"];

    fn checked(self) -> Result<Self, Error> {
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<NodeCredential, Error> {
        rotate(tx, work, self.user, Some(&self.reason)).await
    }
}

async fn rotate(
    tx: &mut Connection,
    work: &mut Work<'_>,
    user_id: Uuid,
    reason: Option<&str>,
) -> Result<NodeCredential, Error> {
    let user = node_user::rotate_secret(tx, user_id, work.now).await?;
    record_change(work, user_id, reason)?;
    Ok(NodeCredential {
        number: user.number,
        secret: Some(user.secret),
    })
}

/// Records that a user has another secret in the audit log, without the secret.
pub(super) fn record_change(
    work: &mut Work<'_>,
    user_id: Uuid,
    reason: Option<&str>,
) -> Result<(), Error> {
    let (before, after) = (MASK.to_owned(), format!("{MASK} (changed)"));
    work.changed(
        Target::NodeCredential(user_id),
        &json!({ "secret": before }),
        &json!({ "secret": after }),
        reason,
    )
}
