//! `SetUserNodeCredential`: gives a user the secret for nodes that they had elsewhere.

use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::{Uuid, Variant};

use super::rotate_node_credential::record_change;
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, node_user};
use crate::domain::condition::Accepts;
use crate::domain::reason;
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Sets the secret of a user, for example the one of another panel, so that the configuration of
/// the user's app stays valid.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct SetUserNodeCredential {
    /// Id of the user.
    pub user: Uuid,
    /// The secret, a random UUID of version 4 that no other user has.
    pub secret: Uuid,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl fmt::Debug for SetUserNodeCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetUserNodeCredential")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Operation for SetUserNodeCredential {
    const NAME: &'static str = "SetUserNodeCredential";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::IdempotencyKey;
}

/// A user as node software knows them, without the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangedNodeCredential {
    /// Number by which nodes report the user's traffic.
    pub number: i32,
    /// `false` if the user had this secret before, and nothing was written.
    pub changed: bool,
}

#[async_trait]
impl Change for SetUserNodeCredential {
    type Output = ChangedNodeCredential;

    fn checked(self) -> Result<Self, Error> {
        if !is_random(self.secret) {
            return Err(Error::parameter("secret", "a random UUID of version 4"));
        }
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<ChangedNodeCredential, Error> {
        // The unique index would refuse the secret, too, but the database logs what it refuses.
        if node_user::is_secret_of_another(tx, self.user, self.secret).await? {
            return Err(Error::secret_in_use());
        }
        let set = node_user::set_secret(tx, self.user, self.secret, work.now).await?;
        let Some(number) = set else {
            let number = node_user::number(tx, self.user).await?;
            return Ok(ChangedNodeCredential {
                number,
                changed: false,
            });
        };
        record_change(work, self.user, Some(&self.reason))?;
        Ok(ChangedNodeCredential {
            number,
            changed: true,
        })
    }
}

/// Whether a UUID has the form of a random one. Others can be guessed from the name or the time
/// that they are made of, and those made at the same time share the characters that some protocols
/// use as the key.
#[must_use]
pub fn is_random(secret: Uuid) -> bool {
    secret.get_version_num() == 4 && secret.get_variant() == Variant::RFC4122
}
