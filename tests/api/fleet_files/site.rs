//! The API behind an HTTP server that counts, loses and refuses requests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use local::fleet::{self, Archived, Document, Fields, Fleet, Options, Report};
use local::loopback::http_server::{Answer, Server, serve};
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::World;
use telecom_tests::api::{Api, event};

/// The functions behind an HTTP server that records the writes and can lose answers.
pub struct Site {
    pub api: Arc<Api>,
    /// Method and body of each write that reached the functions.
    writes: Mutex<Vec<(String, Value)>>,
    /// Number of writes that are answered. Later ones take effect, and their answers are lost.
    pub answered: AtomicI64,
    /// Number of requests that are refused with 429 first.
    pub throttled: AtomicI64,
}

/// The server outlives the test and must not keep the connections of its database open.
#[derive(Clone)]
struct Served(Weak<Site>);

impl Server for Served {
    async fn answer(&self, request: Request<Bytes>) -> Result<Answer> {
        let site = self.0.upgrade().context("the test has ended")?;
        site.answer(request).await
    }
}

impl Site {
    async fn answer(&self, request: Request<Bytes>) -> Result<Answer> {
        if self.throttled.fetch_sub(1, Ordering::SeqCst) > 0 {
            let busy = Response::builder().status(429).header("retry-after", "7");
            return Ok(busy.body(Bytes::new().into())?);
        }
        let (head, body) = request.into_parts();
        let headers: Vec<(&str, &str)> = ["idempotency-key", "if-match", "content-type"]
            .into_iter()
            .filter_map(|name| Some((name, head.headers.get(name)?.to_str().ok()?)))
            .collect();
        let token = head.headers["authorization"].to_str()?;
        let mut event = event(
            head.method.as_str(),
            head.uri.path(),
            head.uri.query().unwrap_or_default(),
            token.strip_prefix("Bearer "),
            &headers,
        );
        let body = String::from_utf8(body.to_vec())?;
        event["body"] = json!(body);
        let response = self.api.send(event).await;
        if head.method != Method::GET {
            let body = serde_json::from_str(&body)?;
            self.writes
                .lock()
                .unwrap()
                .push((head.method.to_string(), body));
            if self.answered.fetch_sub(1, Ordering::SeqCst) <= 0 {
                bail!("the answer is lost");
            }
        }
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(
            head,
            Bytes::from(body.to_vec()).into(),
        ))
    }
}

impl Site {
    /// An API without a server or a client.
    pub async fn empty(pool: &PgPool) -> Arc<Self> {
        let world = World::new(pool.clone()).await;
        let site = Arc::new(Self {
            api: Arc::new(Api::over_http(world)),
            writes: Mutex::default(),
            answered: AtomicI64::new(i64::MAX),
            throttled: AtomicI64::default(),
        });
        site.clear().await;
        site
    }

    /// Deletes all servers, clients and answers.
    pub async fn clear(&self) {
        sqlx::query("truncate telecom.node_server, telecom.answered_call cascade")
            .execute(&self.api.world.pool)
            .await
            .unwrap();
    }

    /// Runs `work` with a client of this site, and returns the pauses of the client, too.
    pub async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&fleet::api::Api) -> T + Send + 'static,
    ) -> (T, Vec<Duration>) {
        let address = serve(Served(Arc::downgrade(self)), 0).await.unwrap();
        let token = self.api.issuer.admin();
        let pauses = Arc::<Mutex<Vec<Duration>>>::default();
        let kept = Arc::clone(&pauses);
        let work = tokio::task::spawn_blocking(move || {
            let url = format!("http://{address}");
            let pause = move |pause| kept.lock().unwrap().push(pause);
            work(&fleet::api::Api::new(&url, &token, pause).unwrap())
        });
        let result = work.await.unwrap();
        let pauses = pauses.lock().unwrap().clone();
        (result, pauses)
    }

    pub async fn import(self: &Arc<Self>, document: &Document, options: Options) -> Report {
        let document = document.clone();
        let import = move |api: &fleet::api::Api| {
            fleet::import(api, &document, &options, &mut |_| {}).unwrap()
        };
        self.with(import).await.0
    }

    pub async fn export(self: &Arc<Self>) -> Fleet {
        self.with(|api| Fleet::read(api, Archived::LeftOut).unwrap())
            .await
            .0
    }

    /// The exported rows by name, without ids.
    pub async fn content(self: &Arc<Self>) -> BTreeMap<String, Fields> {
        let fleet = self.export().await;
        let all = fleet.servers.into_iter().chain(fleet.clients);
        let named = all.map(|item| {
            let mut fields = item.fields;
            fields.retain(|name, _| !["id", "server_id"].contains(&name.as_str()));
            (item.name, fields)
        });
        named.collect()
    }

    pub fn take_writes(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.writes.lock().unwrap())
    }
}
