//! `docs/GUIDE.md`, executed over both transports. All numbers are those that an oracle computes,
//! and each step leaves the audit entries that it must.

mod answer;
mod document;
mod oracle;

use serde_json::{Value, json};
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::apply_package_extensions::ApplyPackageExtensionsJob;
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::placeholders::Placeholders;
use telecom_tests::plain::plain;
use telecom_tests::snapshot::Snapshot;
use telecom_tests::token::Issuer;
use telecom_tests::transport::{Request, Transport};
use telecom_tests::{NOW, World, at, user};
use uuid::Uuid;

use document::{Action, Step};
use oracle::{Entry, Oracle};

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/GUIDE.md");

/// A reader who follows the guide on an empty database.
struct Reader {
    api: Api,
    transport: Transport,
    values: Placeholders,
    oracle: Oracle,
    /// Number of audit entries that were checked.
    audited: usize,
}

impl Reader {
    async fn new(pool: PgPool, transport: Transport) -> Self {
        let world = World::new(pool).await;
        // A world has a server and a client, which an empty database has not.
        world
            .sql("truncate telecom.node_server restart identity cascade")
            .await;
        let mut values = Placeholders::default();
        values.set("USER_ID", json!(user(1)));
        values.set("ORDER", json!(Uuid::from_u128(1)));
        values.set("REPORT", json!(Uuid::from_u128(2)));
        values.set("PERIOD_START", "2026-03-10T10:29:00Z");
        values.set("PERIOD_END", NOW);
        Self {
            api: Api::over_both(world, Issuer::default()).await,
            transport,
            values,
            oracle: Oracle::new(at(NOW)),
            audited: 0,
        }
    }

    /// Does what a step says, and compares everything with the guide and with the oracle.
    async fn follow(&mut self, step: &Step) {
        match step.action(&self.values) {
            Action::Call(token, request) => self.call(step, &token, &request).await,
            Action::Report(body) => {
                let report = serde_json::from_str(&body).unwrap();
                self.api.world.assert_reports_accepted(&[body]).await;
                self.oracle.report(&report);
            }
        }
        self.run_jobs().await;
        assert_eq!(self.state().await, self.oracle.state(), "{step:#?}");
    }

    async fn call(&mut self, step: &Step, token: &str, request: &Request) {
        let token = match token {
            "$ADMIN" => self.api.issuer.admin(),
            "$ME" => self.api.issuer.user(user(1)),
            other => panic!("no token is {other}"),
        };
        let before = self.snapshot().await;
        let answer = self.api.request(self.transport, request, &token).await;
        let answer = answer.unwrap_or_else(|refused| panic!("{refused:?}: {step:#?}"));
        self.compare(step, &answer);
        let body = request.body.clone().unwrap_or_default();
        let rpc = request.endpoint().rpc;
        let entry = self.oracle.call(rpc, request.id(), &body, &answer);
        if entry.is_none() {
            let after = self.snapshot().await;
            let mut changed = before.changed_tables(&after);
            changed.retain(|table| *table != "answered_call");
            assert_eq!(changed, [""; 0], "{step:#?}");
        }
        self.assert_audited(entry).await;
    }

    /// Compares an answer with the guide, and checks that each wrong number in the guide would be
    /// found.
    fn compare(&mut self, step: &Step, answer: &Value) {
        let shown = step.answer.as_ref();
        let shown = answer::parse(shown.unwrap_or_else(|| panic!("no answer: {step:#?}")));
        answer::compare(&shown, answer, &mut self.values)
            .unwrap_or_else(|error| panic!("{error}, of {answer:#} to {step:#?}"));
        for wrong in answer::with_one_mistake(&shown) {
            let compared = answer::compare(&wrong, answer, &mut self.values);
            assert!(compared.is_err(), "a mistake is not found: {wrong:#}");
        }
    }

    async fn run_jobs(&mut self) {
        self.api.world.deliver_all().await;
        let job = ApplyPackageExtensionsJob(Run::default());
        self.api.world.cron().process(job).await.unwrap();
        let entry = self.oracle.run_jobs();
        self.assert_audited(entry).await;
    }

    async fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.api.world.pool).await
    }

    /// Asserts that one audit entry was added, or none if `expected` is `None`.
    async fn assert_audited(&mut self, expected: Option<Entry>) {
        let entries = self.api.world.audited().await;
        let added = &entries[self.audited..];
        self.audited = entries.len();
        let Some(expected) = expected else {
            assert_eq!(added, [json!(null); 0]);
            return;
        };
        let [entry] = added else {
            panic!("{expected:?} is not the only one of {added:?}");
        };
        // The target is checked by the entries that the guide shows.
        assert_eq!(entry[0], expected.action);
        assert_eq!(plain(entry[2].clone()), plain(expected.before));
        assert_eq!(entry[4], expected.reason);
        let after = plain(expected.after);
        let recorded = plain(entry[3].clone());
        if entry[2].is_null() {
            answer::compare(&after, &recorded, &mut self.values).unwrap();
        } else {
            assert_eq!(recorded, after);
        }
    }

    /// What the database has of what the oracle computes.
    async fn state(&self) -> Value {
        let state = "select jsonb_build_object(
            'items', (select coalesce(jsonb_agg(jsonb_build_array(q.id, q.status, q.upload_bytes,
                q.download_bytes, p.traffic_limit_bytes + q.adjust_quota_bytes,
                q.extended_seconds, extract(epoch from q.activated_at)::bigint,
                extract(epoch from q.expires_at)::bigint, extract(epoch from q.ended_at)::bigint)
                order by q.id), '[]')
                from telecom.package_queue q join telecom.package p on p.id = q.package_id),
            'hours', (select coalesce(jsonb_agg(jsonb_build_array(
                extract(epoch from bucket_start)::bigint, package_queue_id, raw_upload_bytes,
                raw_download_bytes, billed_upload_bytes, billed_download_bytes)), '[]')
                from telecom.user_package_usage),
            'recorded', (select coalesce(jsonb_agg(jsonb_build_array(upload_bytes, download_bytes,
                (traffic_factor * 10000)::bigint)), '[]') from telecom.traffic_usage))";
        sqlx::query_scalar(state)
            .fetch_one(&self.api.world.pool)
            .await
            .unwrap()
    }
}

async fn read(pool: PgPool, transport: Transport) {
    let mut reader = Reader::new(pool, transport).await;
    let steps = document::steps(&std::fs::read_to_string(GUIDE).unwrap());
    assert!(steps.len() > 15, "{steps:#?}");
    for step in &steps {
        reader.follow(step).await;
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_numbers_of_the_guide_are_right_over_http(pool: PgPool) {
    read(pool, Transport::Http).await;
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_numbers_of_the_guide_are_right_over_grpc(pool: PgPool) {
    read(pool, Transport::Grpc).await;
}
