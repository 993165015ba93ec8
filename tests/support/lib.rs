//! Shared test support: a small world with a fixed clock, on a database of its own.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::indexing_slicing
)]

pub mod api;
mod audit;
pub mod bus;
mod delivery;
pub mod fleet;
pub mod grpc;
pub mod log;
pub mod metrics;
pub mod node;
pub mod placeholders;
pub mod plain;
mod pools;
mod publisher;
pub mod push;
pub mod queue;
pub mod receiver;
pub mod report;
pub mod repository;
pub mod snapshot;
pub mod spans;
mod stored;
pub mod token;
pub mod transport;
mod wait;
pub mod watch;
pub mod web;
pub mod webhook;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::clock::{Context, Fixed};
use shared::config::{DatabaseRole, TelecomConfig};
use shared::db::{self, maintenance};
use shared::domain::audit::Actor;
use shared::events::publisher::Publisher;
use shared::services::Processor;
use shared::services::cron::bill_traffic::{BillTrafficJob, Billed};
use shared::services::cron::reconcile_usage::{ReconcileUsageJob, Reconciled};
use shared::services::cron::summarize_usage::{SummarizeUsageJob, Summarized};
use shared::services::cron::{Run, TelecomCronExecutor};
use shared::services::queue::apply_user_usage_billing::TelecomBillingHook;
use shared::services::queue::deliver_package_order::DeliverPackageOrder;
use shared::services::queue::handle_package_expiring::HandlePackageExpiring;
use shared::services::queue::ingest_node_usage::IngestNodeUsage;
use shared::services::queue::ingest_usage_report::IngestUsageReports;
use sqlx::PgPool;
use uuid::Uuid;

pub use delivery::{assert_all_accepted, deliver, deliver_event, event_of, failures, message_id};
pub use pools::{pool_as, unreachable_pool};
pub use publisher::{
    aws_at, publisher_to, publisher_with_dead_letter_queues, unreachable_publisher,
};
pub use wait::until;

/// Start time of a world: half past ten.
pub const NOW: &str = "2026-03-10T10:30:00Z";
/// A server with one client ([`CLIENT`]) of factor 1.
pub const SERVER: i32 = 1;
/// The client of [`SERVER`].
pub const CLIENT: i32 = 11;
pub const GIB: i64 = 1 << 30;

#[must_use]
pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a timestamp")
}

/// Id of user `n`.
#[must_use]
pub fn user(n: u128) -> Uuid {
    Uuid::from_u128(0x0fff_0000_0000_0000_0000_0000_0000_0000 + n)
}

/// Administrator `n`, as operations record the caller.
#[must_use]
pub fn actor(n: u128) -> Actor {
    Actor {
        user_id: user(n),
        request_id: None,
    }
}

/// Removes the schema from a test's database, which the test server's template may have migrated.
pub async fn remove_schema(pool: &PgPool) {
    let remove = "drop schema if exists telecom cascade; drop table if exists _sqlx_migrations";
    sqlx::raw_sql(remove).execute(pool).await.unwrap();
}

/// The system under test.
#[derive(Debug, Clone)]
pub struct World {
    /// Connects as the owner of the database.
    pub pool: PgPool,
    /// Connects as the role of consumers and jobs.
    pub writer: PgPool,
    /// Connects as the role of most APIs.
    pub reader: PgPool,
    /// Connects as the role of the APIs that show configurations.
    pub secret_reader: PgPool,
    /// Connects as the role of the functions for nodes.
    pub node: PgPool,
    /// Connects as the role of the gRPC server.
    pub api: PgPool,
    pub clock: Arc<Fixed>,
}

impl World {
    /// A world at [`NOW`] with [`SERVER`] and [`CLIENT`].
    pub async fn new(pool: PgPool) -> Self {
        let mut connection = pool.acquire().await.unwrap();
        db::grant(&mut connection).await.unwrap();
        maintenance::create_partitions(&mut connection, at(NOW).date_naive(), 2)
            .await
            .unwrap();
        drop(connection);
        // Migrations set these columns from the real clock, not from the world's.
        sqlx::query("update telecom.reconciliation set checked_from = $1")
            .bind(at("2026-03-01T00:00:00Z"))
            .execute(&pool)
            .await
            .unwrap();
        sqlx::query(
            "update telecom.usage_summary
            set days_closed_before = '2026-03-01', days_summed_before = '2026-03-01'",
        )
        .execute(&pool)
        .await
        .unwrap();
        let [writer, reader, secret_reader, node, api] = [
            DatabaseRole::Writer,
            DatabaseRole::Reader,
            DatabaseRole::SecretReader,
            DatabaseRole::Node,
            DatabaseRole::Api,
        ]
        .map(|role| pool_as(&pool, role));
        let world = Self {
            pool,
            writer,
            reader,
            secret_reader,
            node,
            api,
            clock: Fixed::at(at(NOW)),
        };
        world.server(SERVER, &[(CLIENT, "1")]).await;
        world
    }

    /// A world whose database is unreachable.
    #[must_use]
    pub fn offline() -> Self {
        let pool = unreachable_pool();
        let [writer, reader, secret_reader, node, api] = [(); 5].map(|()| pool.clone());
        Self {
            pool,
            writer,
            reader,
            secret_reader,
            node,
            api,
            clock: Fixed::at(at(NOW)),
        }
    }

    /// Clock and id source of the world.
    #[must_use]
    pub fn context(&self) -> Context {
        // The clock is fixed, but ids must differ between worlds that share a database.
        Context {
            clock: Arc::<Fixed>::clone(&self.clock),
            ids: Arc::new(shared::clock::System),
        }
    }

    /// Adds a server with clients `(id, factor)`.
    pub async fn server(&self, id: i32, clients: &[(i32, &str)]) {
        self.sql(&format!(
            "insert into telecom.node_server (id, name, compatibility) values ({id}, 's{id}', \
             'new_v2b')"
        ))
        .await;
        for (client, factor) in clients {
            self.sql(&format!(
                "insert into telecom.node_client (id, node_server_id, name, traffic_factor, country)
                 values ({client}, {id}, 'c{client}', {factor}, 'DE')"
            ))
            .await;
        }
    }

    /// Adds a package and returns its id. `None` means no traffic limit.
    pub async fn package(&self, traffic_limit_bytes: impl Into<Option<i64>>, days: i64) -> i64 {
        sqlx::query_scalar(
            "insert into telecom.package
                (series, version, name, available_group, max_client_number,
                expire_duration_seconds, traffic_limit_bytes)
             values (gen_random_uuid(), 1, 'p', 1, 3, $1, $2) returning id",
        )
        .bind(days * 86_400)
        .bind(traffic_limit_bytes.into())
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// Adds a package to the end of a user's queue and returns the item's id.
    pub async fn waiting_item(&self, user: Uuid, package: i64) -> i64 {
        sqlx::query_scalar(
            "insert into telecom.package_queue (user_id, package_id, created_at)
             select $1, $2, $3 + make_interval(secs => count(*)) from telecom.package_queue
             where user_id = $1 returning id",
        )
        .bind(user)
        .bind(package)
        .bind(self.clock_now())
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// Like [`Self::waiting_item`], but active from now on.
    pub async fn active_item(&self, user: Uuid, package: i64) -> i64 {
        let item = self.waiting_item(user, package).await;
        sqlx::query(
            "update telecom.package_queue q set status = 'active', activated_at = $2,
                expires_at = $2 + make_interval(secs => p.expire_duration_seconds)
             from telecom.package p where p.id = q.package_id and q.id = $1",
        )
        .bind(item)
        .bind(self.clock_now())
        .execute(&self.pool)
        .await
        .unwrap();
        item
    }

    fn clock_now(&self) -> DateTime<Utc> {
        self.context().now()
    }

    /// The consumer of usage reports.
    #[must_use]
    pub fn ingest(&self) -> IngestUsageReports {
        IngestUsageReports::new(self.writer.clone(), self.context())
    }

    /// The consumer of what nodes report over HTTPS.
    #[must_use]
    pub fn ingest_node_usage(&self) -> IngestNodeUsage {
        IngestNodeUsage::new(self.writer.clone(), self.context())
    }

    /// The consumer of billing events. Its messages stay in the outbox.
    #[must_use]
    pub fn hook(&self) -> TelecomBillingHook {
        TelecomBillingHook::new(self.writer.clone(), unreachable_publisher(), self.context())
    }

    /// The consumer of expiring packages. Its messages stay in the outbox.
    #[must_use]
    pub fn expiring(&self) -> HandlePackageExpiring {
        HandlePackageExpiring::new(self.writer.clone(), unreachable_publisher(), self.context())
    }

    /// The consumer of orders. Its messages stay in the outbox.
    #[must_use]
    pub fn orders(&self) -> DeliverPackageOrder {
        DeliverPackageOrder::new(self.writer.clone(), unreachable_publisher(), self.context())
    }

    /// The jobs. Their messages stay in the outbox.
    #[must_use]
    pub fn cron(&self) -> TelecomCronExecutor {
        self.cron_to(unreachable_publisher())
    }

    /// The jobs with a given publisher.
    #[must_use]
    pub fn cron_to(&self, publisher: Publisher) -> TelecomCronExecutor {
        TelecomCronExecutor::new(
            self.writer.clone(),
            publisher,
            self.context(),
            TelecomConfig::default(),
        )
    }

    /// Delivers report bodies and returns the ids (by position) of the messages that failed.
    pub async fn report(&self, bodies: &[String]) -> Vec<String> {
        failures(&deliver(&self.ingest(), bodies).await)
    }

    /// Delivers report bodies and asserts that no message fails.
    pub async fn assert_reports_accepted(&self, bodies: &[String]) {
        assert_all_accepted(&self.ingest(), bodies).await;
    }

    /// Like [`Self::report`], with the time at which the queue received each message.
    pub async fn report_sent(&self, messages: &[(String, DateTime<Utc>)]) -> Vec<String> {
        let sent = |sent_at: &DateTime<Utc>| {
            json!({
            "SentTimestamp": sent_at.timestamp_millis().to_string() })
        };
        self.report_with(
            messages
                .iter()
                .map(|(body, sent_at)| (body.clone(), sent(sent_at))),
        )
        .await
    }

    /// Like [`Self::report`], for messages of one sender.
    pub async fn report_from(&self, sender_id: &str, bodies: &[String]) -> Vec<String> {
        self.report_with(
            bodies
                .iter()
                .map(|body| (body.clone(), json!({ "SenderId": sender_id }))),
        )
        .await
    }

    /// Delivers report bodies, each with its queue attributes.
    async fn report_with(&self, messages: impl Iterator<Item = (String, Value)>) -> Vec<String> {
        let record = |(index, (body, attributes)): (usize, (String, Value))| {
            json!({
            "messageId": message_id(index), "receiptHandle": "r", "body": body,
                "attributes": attributes })
        };
        let records: Vec<Value> = messages.enumerate().map(record).collect();
        failures(&deliver_event(&self.ingest(), json!({ "Records": records })).await)
    }

    /// Runs the billing job.
    pub async fn bill(&self) -> Billed {
        self.cron()
            .process(BillTrafficJob(Run::default()))
            .await
            .unwrap()
    }

    /// Runs the job that sums usage.
    pub async fn summarize(&self) -> Summarized {
        self.cron()
            .process(SummarizeUsageJob(Run::default()))
            .await
            .unwrap()
    }

    pub async fn reconcile(&self) -> Reconciled {
        self.cron()
            .process(ReconcileUsageJob(Run::default()))
            .await
            .unwrap()
    }

    /// Deletes the messages for `destination` from the outbox. Returns their bodies, oldest first.
    pub async fn take_outbox(&self, destination: &str) -> Vec<String> {
        sqlx::query_scalar(
            "with taken as (delete from telecom.outbox
            where destination = $1::telecom.outbox_destination
                returning id, created_at, body)
             select body from taken order by created_at, id",
        )
        .bind(destination)
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// Bills, applies and expires until no work is left. Published facts stay in the outbox.
    pub async fn deliver_all(&self) {
        loop {
            self.bill().await;
            let billing = self.take_outbox("user_usage_billing").await;
            let expiring = self.take_outbox("package_expiring").await;
            assert_eq!(self.wrongly_uncharged().await, 0);
            if billing.is_empty() && expiring.is_empty() {
                return;
            }
            assert_all_accepted(&self.hook(), &billing).await;
            assert_all_accepted(&self.expiring(), &expiring).await;
        }
    }

    /// Number of usage rows without an item although the user had an active or a waiting package
    /// at the time.
    pub async fn wrongly_uncharged(&self) -> i64 {
        self.number(
            "select count(*) from telecom.user_package_usage u
             where u.package_queue_id is null and exists (
                select from telecom.package_queue q
                where q.user_id = u.user_id and q.created_at < u.uncharged_at
                    and (q.ended_at is null or q.ended_at > u.uncharged_at))",
        )
        .await
    }

    /// The number that a query returns.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    pub async fn sql(&self, sql: &str) {
        sqlx::query(sql).execute(&self.pool).await.unwrap();
    }
}
