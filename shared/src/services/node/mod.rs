//! `NodeService`: what node software and collectors ask for, and what they report.
//!
//! Usage goes to a queue. The consumer of the queue decides whether a push repeats an earlier one,
//! in the transaction that records it, so that no outage of the database loses a push of node
//! software which sends it once.

mod access;
mod lists;
mod report;
mod users;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::user_list::{self, NodeConfigs};
use crate::db::{self, Connection, node};
use crate::domain::node::Metrics;
use crate::domain::node_access::NodeAccess;
use crate::domain::node_config::NodeConfig;
use crate::domain::node_metrics;
use crate::error::{Error, ErrorKind};
use crate::events::publisher::Publisher;
use access::Accesses;
use lists::Lists;

pub use report::{Received, Reported};
pub use users::{speed_limit_mbps, users_tag};

/// How often a server that only pulls is recorded as online. Less than the shortest interval of a
/// node, and less than the time after which a server counts as offline.
const HEARTBEAT_INTERVAL: TimeDelta = TimeDelta::seconds(20);

/// Serves node software and collectors.
#[derive(Debug, Clone)]
pub struct NodeService {
    pool: PgPool,
    context: Context,
    publisher: Publisher,
    accesses: Arc<Accesses>,
    lists: Arc<Lists>,
    heard: Arc<Mutex<HashMap<i32, DateTime<Utc>>>>,
}

impl NodeService {
    /// Creates a service that uses the database of `pool` and the queue of `publisher`.
    #[must_use]
    pub fn new(pool: PgPool, context: Context, publisher: Publisher) -> Self {
        Self {
            pool,
            context,
            publisher,
            accesses: Arc::default(),
            lists: Arc::default(),
            heard: Arc::default(),
        }
    }

    /// The current time of the service.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.context.now()
    }

    /// The client that a request names: `node_id`, or the only client of the access.
    pub fn client_id(access: &NodeAccess, node_id: Option<i64>) -> Result<i32, Error> {
        let named = node_id.map(|id| i32::try_from(id).ok().filter(|id| *id > 0));
        match (access.node_client_id, named) {
            (Some(only), None) => Ok(only),
            (Some(only), Some(Some(named))) if named == only => Ok(only),
            (None, Some(Some(named))) => Ok(named),
            (None, None) => Err(Error::parameter("node_id", "the id of a node client")),
            _ => Err(not_allowed()),
        }
    }

    /// The client that a request names, with the version of its list of users. Its server counts
    /// as online.
    pub async fn node(
        &self,
        access: &NodeAccess,
        node_id: Option<i64>,
    ) -> Result<user_list::Node, Error> {
        let id = Self::client_id(access, node_id)?;
        let find = async |connection: &mut Connection| self.find(connection, access, id).await;
        db::on_connection(&self.pool, find).await
    }

    /// Like [`Self::node`], with the configurations of the client.
    pub async fn configured_node(
        &self,
        access: &NodeAccess,
        node_id: Option<i64>,
    ) -> Result<(user_list::Node, NodeConfigs), Error> {
        let id = Self::client_id(access, node_id)?;
        db::on_connection(&self.pool, async |connection| {
            let node = self.find(connection, access, id).await?;
            let configs = user_list::configs(connection, Some(id), access.server_id).await?;
            let configs = configs.into_iter().next().ok_or_else(not_allowed)?;
            Ok((node, configs))
        })
        .await
    }

    async fn find(
        &self,
        connection: &mut Connection,
        access: &NodeAccess,
        id: i32,
    ) -> Result<user_list::Node, Error> {
        let node = user_list::node(connection, id, self.now()).await?;
        let node = node.filter(|node| node.node_server_id == access.server_id);
        let node = node.ok_or_else(not_allowed)?;
        self.hear(connection, access.server_id, None).await?;
        Ok(node)
    }

    /// The configurations of the clients that an access serves. Only that of one client, if the
    /// request or the access names it.
    pub async fn configs(
        &self,
        access: &NodeAccess,
        node_id: Option<i64>,
    ) -> Result<Vec<NodeConfigs>, Error> {
        let id = match (access.node_client_id, node_id) {
            (None, None) => None,
            _ => Some(Self::client_id(access, node_id)?),
        };
        db::on_connection(&self.pool, async |connection| {
            self.hear(connection, access.server_id, None).await?;
            user_list::configs(connection, id, access.server_id).await
        })
        .await
    }

    /// The configuration of a node. Fails if the stored one would make the node stop.
    pub fn node_config(configs: &NodeConfigs) -> Result<NodeConfig, Error> {
        let NodeConfigs {
            compatibility,
            server_config,
            client_config,
            ..
        } = configs;
        let config = NodeConfig::effective(*compatibility, server_config, client_config);
        config.map_err(Error::internal)?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "node_not_configured",
                "The node client has no configuration for nodes. docs/NODES.md describes it.",
            )
        })
    }

    /// The error for a request about a client that does not exist or is archived.
    #[must_use]
    pub fn unknown_client() -> Error {
        not_allowed()
    }

    /// The error for a node that speaks another protocol than its server is configured for.
    #[must_use]
    pub fn other_protocol() -> Error {
        Error::new(
            ErrorKind::NotFound,
            "node_not_configured",
            "The node server is configured for another protocol.",
        )
    }

    /// A secret for a user that does not exist.
    #[must_use]
    pub fn decoy(&self) -> Uuid {
        Uuid::new_v4()
    }

    /// Records that a server is online, with its metrics, if it reported any. Without metrics, it
    /// is recorded at most every [`HEARTBEAT_INTERVAL`].
    async fn hear(
        &self,
        connection: &mut Connection,
        server_id: i32,
        metrics: Option<Metrics>,
    ) -> Result<(), Error> {
        let now = self.now();
        if metrics.is_none() && !self.is_due(server_id, now) {
            return Ok(());
        }
        let measured = metrics.iter().map(|metrics| (server_id, now, metrics));
        let sums = node_metrics::sums(measured);
        let heartbeat = node::Heartbeat {
            node_server_id: server_id,
            online_at: now,
            metrics: metrics.map(|metrics| (now, metrics)),
            traffic_at: None,
            clock_skew_seconds: None,
        };
        node::record_heartbeats(connection, &[heartbeat], now).await?;
        db::node_metrics::add(connection, &sums).await?;
        let mut heard = self
            .heard
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        heard.insert(server_id, now);
        Ok(())
    }

    fn is_due(&self, server_id: i32, now: DateTime<Utc>) -> bool {
        let heard = self
            .heard
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        heard
            .get(&server_id)
            .is_none_or(|last| now - *last >= HEARTBEAT_INTERVAL)
    }
}

#[async_trait]
impl FromApp for NodeService {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(
            app.database()?,
            app.context(),
            app.publisher().await,
        ))
    }
}

/// The refusal of a request about a node for which its access is not valid.
fn not_allowed() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "node_not_allowed",
        "The token is not valid for this node. Issue an access for its server or its client.",
    )
}

/// The refusal of a request without a valid token.
fn token_invalid() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "node_token_invalid",
        "The token is unknown or revoked, or it is not valid for this protocol or address.",
    )
}
