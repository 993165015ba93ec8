//! The RPCs, as clients call them.

use anyhow::{Context as _, Result};
use http::Method;
use local::demo::token::{Issuer, Role};
use local::rpc;
use serde_json::{Value, json};
use shared::auth::Access;
use shared::http::endpoints;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};
use uuid::Uuid;

use super::server::Server;
use crate::token::token;

/// A client with its own connection, and the tokens of a user and of an administrator.
#[derive(Debug, Clone)]
pub struct Client {
    pub channel: Channel,
    /// Token for operations of users.
    pub user: MetadataValue<Ascii>,
    /// Token for operations of administrators.
    pub admin: MetadataValue<Ascii>,
}

impl Client {
    /// Connects to the server with tokens of `user`.
    pub async fn connect(server: &Server, issuer: &Issuer, user: Uuid) -> Result<Self> {
        let bearer = |token: String| {
            format!("Bearer {token}")
                .parse()
                .context("The token is not a valid header value.")
        };
        Ok(Self {
            channel: server.connect().await?,
            user: bearer(token(issuer, user, Role::User)?)?,
            admin: bearer(token(issuer, user, Role::Admin)?)?,
        })
    }
}

/// An RPC and a request.
#[derive(Debug)]
pub struct Rpc {
    pub name: &'static str,
    /// Full name of the method.
    method: String,
    admin: bool,
    message: Vec<u8>,
}

impl Rpc {
    /// The request `message` is in the JSON of protobuf.
    pub fn new(name: &'static str, access: Access, message: Value) -> Result<Self> {
        let method = rpc::named(name)?;
        Ok(Self {
            name,
            method: rpc::full_name(&method),
            admin: access != Access::User,
            message: rpc::encode(&method, message)?,
        })
    }

    /// Calls the RPC once and returns the encoded response.
    pub async fn call(&self, client: Client) -> Result<Vec<u8>, Status> {
        let mut request = Request::new(self.message.clone());
        let token = if self.admin {
            client.admin
        } else {
            client.user
        };
        request.metadata_mut().insert("authorization", token);
        rpc::call_raw(&client.channel, &self.method, request).await
    }

    /// Decodes a response.
    pub fn decode(&self, response: &[u8]) -> Result<Value> {
        rpc::decode(&rpc::named(self.name)?, response)
    }
}

/// The first and most frequent RPC of a user's page. The bar applies to it.
pub fn recent_traffic_usage() -> Result<Rpc> {
    let month = json!({"range": "RECENT_RANGE_MONTH", "time_zone": "Europe/Berlin"});
    Rpc::new("GetRecentTrafficUsage", Access::User, month)
}

/// All RPCs that read, each with the request of its example, except those whose example names an
/// object that does not exist.
pub fn all() -> Result<Vec<Rpc>> {
    endpoints()
        .iter()
        .filter(|endpoint| endpoint.method == Method::GET && endpoint.example.status == 200)
        .map(|endpoint| Rpc::new(endpoint.rpc, endpoint.access, endpoint.example_message(1)?))
        .collect()
}
