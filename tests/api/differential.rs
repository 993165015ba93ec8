//! HTTP and gRPC return the same, and this equals plain SQL that is written independently of the
//! code. The data are generated. The requests are chosen by hand or generated, valid and invalid.

mod analytics;
mod by_hand;
mod compare;
mod explanations;
mod generated;
mod given;
mod operation_manage;
mod table;
mod webhooks;

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::token::Issuer;
use telecom_tests::{NOW, World, at};
use uuid::Uuid;

use analytics::analytics_by_hand;
use by_hand::{admin_questions, user_questions};
use compare::compare;
use explanations::explanations_by_hand;
use generated::{Call, Caller, Known, calls};
use operation_manage::operations_by_hand;
use webhooks::webhooks_by_hand;

/// A fleet with every status and with gaps, users in every state, and a month of usage. The data
/// depend on `setseed`.
const DATA: &str = include_str!("differential.sql");

async fn api_over_data(pool: PgPool, seed: &str) -> Api {
    let world = World::new(pool).await;
    sqlx::raw_sql(&format!("select setseed({seed}); {DATA}"))
        .execute(&world.pool)
        .await
        .unwrap();
    world.summarize().await;
    Api::over_both(world, Issuer::default()).await
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn http_and_grpc_agree_with_plain_sql(pool: PgPool) {
    let api = api_over_data(pool, "0.42").await;
    let users: Vec<Uuid> = column(&api.world, "select user_id from oracle.users order by n").await;
    let (caller, now) = (Caller::Keeper, at(NOW));
    for user in users {
        for question in user_questions() {
            compare(
                &api,
                &Call {
                    caller,
                    user,
                    now,
                    question,
                },
            )
            .await;
        }
    }
    let questions = admin_questions(&api.world).await.into_iter();
    let questions = questions.chain(operations_by_hand());
    let questions = questions.chain(webhooks_by_hand());
    for question in questions
        .chain(analytics_by_hand())
        .chain(explanations_by_hand())
    {
        compare(
            &api,
            &Call {
                caller,
                user: Uuid::nil(),
                now,
                question,
            },
        )
        .await;
    }
}

/// Compares at least 700 requests over a data set per seed. A failure prints the request.
macro_rules! over_generated_questions {
    ($($name:ident: $seed:literal),+) => { $(
        #[sqlx::test(migrator = "shared::db::MIGRATOR")]
        async fn $name(pool: PgPool) {
            agree(pool, $seed).await;
        }
    )+ };
}
over_generated_questions! {
    generated_requests_agree_with_plain_sql_1: 1,
    generated_requests_agree_with_plain_sql_2: 2,
    generated_requests_agree_with_plain_sql_3: 3
}

async fn agree(pool: PgPool, seed: u8) {
    const LEAST: usize = 700;
    const MOST: usize = 3_000;
    let api = api_over_data(pool, &format!("0.{seed}")).await;
    let questions = calls(&known(&api.world).await);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut outcomes: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for asked in 0..MOST {
        if asked >= LEAST && covers_all(&outcomes) {
            break;
        }
        let call = questions.new_tree(&mut runner).unwrap().current();
        let [answered, refused] = outcomes.entry(call.question.oracle).or_default();
        let outcome = if compare(&api, &call).await {
            answered
        } else {
            refused
        };
        *outcome += 1;
    }
    assert!(covers_all(&outcomes), "{outcomes:?}");
}

/// Whether each operation was answered and refused. Otherwise the test would prove nothing.
fn covers_all(outcomes: &BTreeMap<&str, [usize; 2]>) -> bool {
    let covers = |(oracle, [answered, refused]): (&&str, &[usize; 2])| {
        let always = ["counts", "dead", "devices", "overview"];
        *answered > 0 && (*refused > 0 || always.contains(oracle))
    };
    outcomes.len() == 32 && outcomes.iter().all(covers)
}

async fn known(world: &World) -> Known {
    // PostgreSQL reads a name such as MET as an abbreviation, which has no summer time.
    let zones: Vec<String> = column(
        world,
        "select name from pg_timezone_names
        where name not in (select abbrev from pg_timezone_abbrevs) order by name",
    )
    .await;
    Known {
        users: column(world, "select user_id from oracle.users order by n").await,
        orders: column(
            world,
            "select distinct by_order from telecom.package_queue where by_order is not null \
             order by 1",
        )
        .await,
        zones: zones
            .into_iter()
            .filter(|name| name.parse::<chrono_tz::Tz>().is_ok())
            .collect(),
    }
}

/// A request over HTTP and gRPC, and its arguments for the SQL oracle.
#[derive(Debug, Clone)]
struct Question {
    path: String,
    query: String,
    method: &'static str,
    message: Value,
    oracle: &'static str,
    arguments: [String; 4],
    /// Parameters that the documentation does not accept, by their names over HTTP and gRPC.
    faults: Vec<(&'static str, &'static str)>,
    /// Whether the request reveals secrets.
    secrets: bool,
    /// `start` and `end`, which are not yet part of the request.
    range: Option<[Option<DateTime<FixedOffset>>; 2]>,
}

fn question(
    path: &str,
    query: &str,
    method: &'static str,
    message: Value,
    oracle: &'static str,
) -> Question {
    let (path, query) = (path.to_owned(), query.to_owned());
    let (arguments, faults) = (Default::default(), Vec::new());
    Question {
        path,
        query,
        method,
        message,
        oracle,
        arguments,
        faults,
        secrets: false,
        range: None,
    }
}

impl Question {
    fn with_arguments<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        for (slot, argument) in self.arguments.iter_mut().zip(arguments) {
            argument.clone_into(slot);
        }
        self
    }

    fn with_range(self, range: [Option<DateTime<FixedOffset>>; 2]) -> Self {
        Self {
            range: Some(range),
            ..self
        }
    }

    fn is_for_administrators(&self) -> bool {
        self.path.starts_with("/v1/admin/")
    }
}

async fn column<T>(world: &World, sql: &'static str) -> Vec<T>
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_scalar(sql)
        .fetch_all(&world.pool)
        .await
        .unwrap()
}
