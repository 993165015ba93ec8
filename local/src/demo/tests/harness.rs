//! The pipeline without its queues: the harness passes bodies from one processor to the next.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use chrono::{DateTime, Utc};
use shared::clock::{Clock, Context, Fixed};
use shared::config::{MessagingConfig, TelecomConfig};
use shared::events::publisher::Publisher;
use shared::services::cron::bill_traffic::BillTrafficJob;
use shared::services::cron::reconcile_usage::{ReconcileUsageJob, Reconciled};
use shared::services::cron::{Run, TelecomCronExecutor};
use shared::services::queue::apply_user_usage_billing::TelecomBillingHook;
use shared::services::queue::handle_package_expiring::HandlePackageExpiring;
use shared::services::queue::ingest_usage_report::IngestUsageReports;
use shared::services::{Consumer, Processor};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

use crate::demo::account::Account;
use crate::demo::collector::Sink;
use crate::demo::fleet::{self, Fleet};
use crate::demo::script::Load;
use crate::demo::simulator::{Options, Pace, Simulator, Totals};
use crate::demo::verify::{self, Api, Outcome, Settings};

pub const SEED: u64 = 7;

pub fn now() -> DateTime<Utc> {
    "2026-03-01T10:20:30.000001Z".parse().unwrap()
}

/// A sink that keeps the bodies and fails as configured.
#[derive(Default)]
pub struct Memory {
    pub bodies: Arc<std::sync::Mutex<Vec<String>>>,
    /// One request in this number fails although its bodies arrive. The next request has one
    /// message refused.
    pub fail_every: Option<usize>,
    pub requests: usize,
    pub dead: bool,
}

impl Sink for Memory {
    async fn send(&mut self, bodies: &[String]) -> Result<Vec<usize>> {
        self.requests += 1;
        let turn = self.fail_every.map(|every| self.requests % every);
        if self.dead {
            bail!("the endpoint is gone");
        }
        let refused = if turn == Some(1) { vec![0] } else { Vec::new() };
        let taken = bodies
            .iter()
            .enumerate()
            .filter(|(index, _)| !refused.contains(index));
        self.bodies
            .lock()
            .unwrap()
            .extend(taken.map(|(_, body)| body.clone()));
        if turn == Some(0) {
            bail!("the answer was lost");
        }
        Ok(refused)
    }
}

pub fn options(seconds: u64) -> Options {
    Options {
        load: Load::default(),
        duration: Some(Duration::from_secs(seconds)),
        pace: Pace::AtOnce,
    }
}

/// Runs the simulator over the account in `folder` at the time of `clock`.
pub async fn simulate(
    folder: &TempDir,
    clock: &dyn Clock,
    sink: Memory,
    options: Options,
) -> (Totals, Vec<String>) {
    let bodies = Arc::clone(&sink.bodies);
    let account = Account::open(&account(folder)).unwrap();
    let (_go, stop) = watch::channel(false);
    let simulator = Simulator::new(options, account, sink, clock, stop);
    let totals = simulator.run(&Fleet::plan(SEED)).await.unwrap();
    let bodies = bodies.lock().unwrap().clone();
    (totals, bodies)
}

pub fn account(folder: &TempDir) -> PathBuf {
    folder.path().join("account.jsonl")
}

pub struct Pipeline {
    pub pool: PgPool,
    pub clock: Arc<Fixed>,
    context: Context,
    publisher: Publisher,
}

impl Pipeline {
    /// A pipeline with the demo fleet, without a past.
    pub async fn new(pool: PgPool) -> Self {
        Self::with_past(pool, 0).await
    }

    /// A pipeline with the demo fleet and a past of `days`.
    pub async fn with_past(pool: PgPool, days: u16) -> Self {
        sqlx::query("select telecom.create_traffic_usage_partitions($1, 3)")
            .bind(now().date_naive())
            .execute(&pool)
            .await
            .unwrap();
        fleet::seed(&pool, SEED, now(), days).await.unwrap();
        let clock = Fixed::at(now());
        let aws = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .build();
        // Without a queue no message is sent. The outbox keeps it for `pump`.
        let publisher = Publisher::new(&aws, MessagingConfig::default());
        Self {
            pool,
            context: Context::fixed(&clock),
            clock,
            publisher,
        }
    }

    /// Delivers reports in batches of ten and asserts that none fails.
    pub async fn ingest(&self, bodies: &[String]) {
        let consumer = IngestUsageReports::new(self.pool.clone(), self.context.clone());
        for bodies in bodies.chunks(10) {
            deliver(&consumer, bodies).await;
        }
    }

    /// Runs the billing job, then processes the outbox until it is empty.
    pub async fn bill(&self) {
        let job = BillTrafficJob(Run::default());
        self.jobs().process(job).await.unwrap();
        while self.pump().await > 0 {}
    }

    /// Runs the reconciliation until it has checked everything. Returns what the last run did.
    pub async fn reconcile(&self) -> Reconciled {
        loop {
            let job = ReconcileUsageJob(Run::default());
            let done = self.jobs().process(job).await.unwrap();
            if done.rotated {
                return done;
            }
        }
    }

    fn jobs(&self) -> TelecomCronExecutor {
        let (pool, context, publisher) = (
            self.pool.clone(),
            self.context.clone(),
            self.publisher.clone(),
        );
        TelecomCronExecutor::new(pool, publisher, context, TelecomConfig::default())
    }

    /// Takes the messages from the outbox and delivers each twice to its consumer.
    async fn pump(&self) -> usize {
        let rows: Vec<(Uuid, String, String)> =
            sqlx::query_as("delete from telecom.outbox returning id, destination::text, body")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        let of = |destination: &str| -> Vec<String> {
            rows.iter()
                .filter(|row| row.1 == destination)
                .map(|row| row.2.clone())
                .collect()
        };
        let (pool, publisher, context) = (
            self.pool.clone(),
            self.publisher.clone(),
            self.context.clone(),
        );
        let hook = TelecomBillingHook::new(pool.clone(), publisher.clone(), context.clone());
        let expiry = HandlePackageExpiring::new(pool, publisher, context);
        for _ in 0..2 {
            deliver(&hook, &of("user_usage_billing")).await;
            deliver(&expiry, &of("package_expiring")).await;
        }
        rows.len()
    }

    pub async fn verify(&self, folder: &TempDir, api: Option<Api>) -> Outcome {
        let settings = Settings {
            account: account(folder),
            node_account: folder.path().join("nodes.jsonl"),
            wait: Duration::ZERO,
            others_allowed: false,
            api,
        };
        verify::verify(&self.pool, &settings, &*self.clock, |_| {})
            .await
            .unwrap()
    }

    /// Adds a byte to a row or subtracts one, and returns the row's new `ctid`.
    pub async fn add_one(&self, table: &str, column: &str, sign: &str, row: &str) -> String {
        let statement = format!(
            "update telecom.{table} set {column} = {column} {sign} 1 where ctid = {row} \
             returning ctid::text"
        );
        sqlx::query_scalar(&statement)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    pub async fn execute(&self, statement: &str) {
        assert_eq!(
            sqlx::query(statement)
                .execute(&self.pool)
                .await
                .unwrap()
                .rows_affected(),
            1,
            "{statement}"
        );
    }
}

async fn deliver<C: Consumer>(consumer: &C, bodies: &[String]) {
    let mut event = SqsEvent::default();
    for body in bodies {
        let mut message = SqsMessage::default();
        message.message_id = Some(Uuid::new_v4().to_string());
        message.body = Some(body.clone());
        event.records.push(message);
    }
    let response =
        shared::lambda::sqs::handle(consumer, event, &lambda_runtime::Context::default())
            .await
            .unwrap();
    assert!(response.batch_item_failures.is_empty(), "{response:?}");
}
