//! `GetOnlineUsers`: counts the users who are connected now, and lists them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, online_address};
use crate::domain::node_id;
use crate::domain::online::{Filter, OnlineClient, OnlineUser};
use crate::domain::page::PageBounds;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of the users who are connected now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GetOnlineUsers {
    /// Maximum number of users to return, within [`Self::BOUNDS`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of users to skip. `None` skips none.
    pub offset: Option<i64>,
    /// The addresses that count.
    pub filter: Filter,
}

impl GetOnlineUsers {
    /// Limits of a page.
    pub const BOUNDS: PageBounds = PageBounds {
        default_limit: 50,
        max_limit: 200,
        max_offset: 1_000_000,
    };
}

impl Operation for GetOnlineUsers {
    const NAME: &'static str = "GetOnlineUsers";
    const ACCESS: Access = Access::AdminRead;
}

/// Users who are connected now. With a filter, only its addresses count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OnlineUsers {
    /// When the addresses were counted. Those count that a node reported in the three minutes
    /// before.
    pub as_of: DateTime<Utc>,
    /// Users of this page, those with the most addresses first, then by number.
    pub users: Vec<OnlineUser>,
    /// Number of users on all pages.
    pub total: i64,
    /// Number of addresses of the users on all pages. An address of a user on several node clients
    /// counts once, an address of two users twice. Devices behind one router have the same address.
    pub addresses: i64,
    /// Node clients that users are connected to, at most 1,000: those with the most addresses
    /// first, then by id.
    pub clients: Vec<OnlineClient>,
    /// Number of node clients that users are connected to.
    pub client_count: i64,
}

#[async_trait]
impl Processor<GetOnlineUsers> for ManageService {
    type Output = OnlineUsers;

    #[tracing::instrument(name = "get_online_users", skip_all)]
    async fn process(&self, input: GetOnlineUsers) -> Result<OnlineUsers, Error> {
        let page = GetOnlineUsers::BOUNDS.page(input.limit, input.offset)?;
        if let Some(id) = input.filter.node_client_id {
            node_id("node_client_id", id)?;
        }
        let as_of = self.context.now();
        let (users, totals) = db::read_tx(&self.pool, async |tx| {
            online_address::list(tx, input.filter, page, as_of).await
        })
        .await?;
        Ok(OnlineUsers {
            as_of,
            users,
            total: totals.users,
            addresses: totals.addresses,
            clients: totals.clients,
            client_count: totals.client_count,
        })
    }
}
