//! The functions for nodes, with a queue and accesses.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lambda_http::{Body, Response};
use serde_json::{Value, json};
use shared::lambda::node::{self, ModMu, NodeApi, Uniproxy, UsageReports};
use shared::services::node::NodeService;
use sqlx::PgPool;

use crate::api::{Api, event};
use crate::publisher::publisher_to;
use crate::queue::Queue;
use crate::{CLIENT, GIB, SERVER, World, user};

/// Path of version 1 of UniProxy.
pub const V1: &str = "/api/v1/server/UniProxy";

/// Nodes of a world, which send to a queue of their own.
#[derive(Debug)]
pub struct Nodes {
    pub api: Api,
    pub queue: Queue,
    pub service: NodeService,
}

/// A request of a node.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub method: &'static str,
    pub path: String,
    pub query: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// A `GET` request of a node.
#[must_use]
pub fn get(path: &str, query: &str) -> Asked {
    Asked {
        method: "GET",
        path: path.to_owned(),
        query: query.to_owned(),
        ..Asked::default()
    }
}

/// A `POST` request of a node.
#[must_use]
pub fn post(path: &str, query: &str, body: impl Into<Vec<u8>>) -> Asked {
    Asked {
        method: "POST",
        body: body.into(),
        ..get(path, query)
    }
}

/// The value of a header of a response. Empty if there is none.
#[must_use]
pub fn header(response: &Response<Body>, name: &str) -> String {
    let value = response.headers().get(name);
    value
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default()
}

impl Asked {
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn event(&self) -> Value {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut event = event(self.method, &self.path, &self.query, None, &headers);
        if let Ok(text) = std::str::from_utf8(&self.body) {
            event["body"] = json!(text);
        } else {
            event["body"] = json!(BASE64_STANDARD.encode(&self.body));
            event["isBase64Encoded"] = json!(true);
        }
        event
    }
}

impl Nodes {
    /// Nodes of a world whose client is open to the access group 1.
    pub async fn new(pool: PgPool) -> Self {
        let world = World::new(pool).await;
        world
            .sql(&format!(
                "update telecom.node_client set access_groups = '{{1}}' where id = {CLIENT}"
            ))
            .await;
        let queue = Queue::start().await;
        let publisher = publisher_to(queue.endpoint());
        let service = NodeService::new(world.node.clone(), world.context(), publisher);
        Self {
            api: Api::over_http(world),
            queue,
            service,
        }
    }

    /// Nodes with a client that is configured for VLESS, an access, and users 1 and 2.
    pub async fn uniproxy(pool: PgPool) -> (Self, String) {
        let nodes = Self::new(pool).await;
        nodes
            .world()
            .sql(&format!(
                r#"update telecom.node_server set server_config =
                    '{{"protocol":"vless","server_port":443,"network":"tcp","tls":0}}'
                    where id = {SERVER}"#
            ))
            .await;
        let package = nodes.world().package(GIB, 30).await;
        for n in 1..=2 {
            nodes.world().active_item(user(n), package).await;
        }
        let (_, token) = nodes.access("uniproxy", json!({})).await;
        (
            nodes,
            format!("token={token}&node_id={CLIENT}&node_type=vless"),
        )
    }

    /// Nodes with a client that is configured for SSPanel, an access, and user 1.
    pub async fn mod_mu(pool: PgPool) -> (Self, String) {
        let nodes = Self::new(pool).await;
        nodes
            .world()
            .sql(&format!(
                r#"update telecom.node_server set compatibility = 'ssp', server_config =
                    '{{"sort":11,"server":"n.example",
                    "custom_config":{{"offset_port_node":"443","network":"ws"}}}}'
                    where id = {SERVER}"#
            ))
            .await;
        let package = nodes.world().package(GIB, 30).await;
        nodes.world().active_item(user(1), package).await;
        let (_, token) = nodes.access("mod_mu", json!({})).await;
        (nodes, format!("key={token}&muKey={token}&node_id={CLIENT}"))
    }

    /// How often the statements ran that begin with a name.
    pub async fn calls(&self, name: &str) -> i64 {
        let world = self.world();
        world
            .sql("create extension if not exists pg_stat_statements")
            .await;
        let calls = "select coalesce(sum(calls), 0)::bigint from pg_stat_statements s
            join pg_database d on d.oid = s.dbid
            where d.datname = current_database() and s.query like '/* ' || $1 || '%'
                and s.query not like '%pg_stat%' and s.query not like '/* db.connect%'";
        let calls = sqlx::query_scalar(calls).bind(name);
        calls.fetch_one(&world.pool).await.unwrap()
    }

    #[must_use]
    pub fn world(&self) -> &World {
        &self.api.world
    }

    /// Issues an access for the world's server, with more fields, and returns its id and token.
    pub async fn access(&self, protocol: &str, fields: Value) -> (i64, String) {
        let mut body = json!({ "protocol": protocol, "server_id": SERVER });
        if let (Some(all), Value::Object(fields)) = (body.as_object_mut(), fields) {
            all.extend(fields);
        }
        let key = format!("{body}");
        let key: String = key
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(60)
            .collect();
        let headers = [("idempotency-key", key.as_str())];
        let path = "/v1/admin/node-access";
        let (status, issued) = self.api.change("POST", path, &headers, &body).await;
        assert_eq!(status, 200, "{issued}");
        let token = issued["token"].as_str().unwrap().to_owned();
        (issued["access"]["id"].as_i64().unwrap(), token)
    }

    /// The secret of user `n`.
    pub async fn secret(&self, n: u128) -> String {
        let read = "select secret::text from telecom.node_user where user_id = $1";
        sqlx::query_scalar(read)
            .bind(user(n))
            .fetch_one(&self.world().pool)
            .await
            .unwrap()
    }

    /// Sends a request to the function that its path leads to.
    pub async fn send(&self, asked: &Asked) -> Response<Body> {
        match &asked.path {
            path if path.starts_with("/api/") => self.handle::<Uniproxy>(asked).await,
            path if path.starts_with("/mod_mu/") => self.handle::<ModMu>(asked).await,
            _ => self.handle::<UsageReports>(asked).await,
        }
    }

    async fn handle<P: NodeApi>(&self, asked: &Asked) -> Response<Body> {
        let request = lambda_http::request::from_str(&asked.event().to_string()).unwrap();
        node::handle::<P>(&self.service, request).await
    }

    /// The status and the text of the response to a request.
    pub async fn text(&self, asked: Asked) -> (u16, String) {
        let response = self.send(&asked).await;
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        (response.status().as_u16(), body)
    }

    /// The status and the JSON of the response to a request.
    pub async fn json(&self, asked: Asked) -> (u16, Value) {
        let (status, text) = self.text(asked).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The trace headers of the messages that the nodes sent.
    #[must_use]
    pub fn trace_headers(&self) -> Vec<String> {
        self.queue.trace_headers()
    }

    /// Delivers all messages that the nodes sent, and bills their usage.
    pub async fn deliver(&self) {
        let consumer = self.world().ingest_node_usage();
        crate::assert_all_accepted(&consumer, &self.queue.bodies()).await;
        self.world().deliver_all().await;
    }
}
