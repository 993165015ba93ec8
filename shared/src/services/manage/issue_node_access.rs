//! `IssueNodeAccess`: lets node software or a collector report for a node server.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::node_settings::archived;
use super::{admin_show_client, admin_show_server};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, node_access, node_server};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::node_access::{NodeAccess, NodeAccessSettings, NodeToken};
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Issues an access with a new token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssueNodeAccess {
    /// What the access is for.
    pub settings: NodeAccessSettings,
}

impl Operation for IssueNodeAccess {
    const NAME: &'static str = "IssueNodeAccess";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

/// A new access with its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuedNodeAccess {
    /// The access without its token.
    pub access: NodeAccess,
    /// The token, which is not stored. `null` if the call was repeated with its idempotency key.
    /// If the first answer was lost, revoke the access and issue another one.
    pub token: Option<String>,
}

#[async_trait]
impl Change for IssueNodeAccess {
    type Output = IssuedNodeAccess;
    const SHOWN_ONCE: &'static [&'static str] = &["token"];

    fn checked(self) -> Result<Self, Error> {
        let settings = self.settings.checked()?;
        Ok(Self { settings })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<IssuedNodeAccess, Error> {
        check_target(tx, &self.settings).await?;
        let token = NodeToken::random();
        let id = node_access::insert(tx, &token.hash(), &self.settings, work.now).await?;
        work.created(Target::NodeAccess(id), &self.settings)?;
        Ok(IssuedNodeAccess {
            access: find(tx, id).await?,
            token: Some(token.show()),
        })
    }
}

/// Fails if the server or the client of the access is not in use, or if the server does not have
/// the client.
async fn check_target(tx: &mut Connection, settings: &NodeAccessSettings) -> Result<(), Error> {
    let server = settings.server_id;
    match node_server::lock_for_clients(tx, server).await? {
        None => return Err(admin_show_server::not_found(server)),
        Some(found) if !found.in_use => return Err(archived(Target::NodeServer(server))),
        Some(_) => {}
    }
    let Some(client) = settings.node_client_id else {
        return Ok(());
    };
    match node_access::server_of_client(tx, client).await? {
        Some(found) if found == server => Ok(()),
        Some(_) => Err(Error::parameter(
            "node_client_id",
            "a client of the server with the id `server_id`",
        )),
        None => Err(admin_show_client::not_found(client)),
    }
}

/// Returns an access that exists, and locks it.
pub(super) async fn find(tx: &mut Connection, id: i64) -> Result<NodeAccess, Error> {
    let access = node_access::lock(tx, id).await?;
    access.ok_or_else(|| Error::not_found(&format!("Node access {id}")))
}
