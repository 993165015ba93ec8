//! Passes the simulator's reports through the real processors and verifies the results.

use shared::auth::Authenticator;
use shared::clock::Context;
use shared::config::{AuthConfig, JwksConfig};
use shared::services::Processor;
use shared::services::analysis::{AnalysisService, GetRecentTrafficUsage};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::harness::{Memory, Pipeline, SEED, account, now, options, simulate};
use crate::demo::account::Account;
use crate::demo::fleet;
use crate::demo::token::{AUDIENCE, ISSUER, Issuer};
use crate::demo::verify::Api;

/// Sends for `seconds` and bills in three runs. The last reports arrive out of order.
async fn billed(pool: PgPool, seconds: u64) -> (Pipeline, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::new(pool).await;
    let sink = Memory {
        fail_every: Some(7),
        ..Memory::default()
    };
    let (totals, mut bodies) = simulate(&folder, &*pipeline.clock, sink, options(seconds)).await;
    assert!(
        totals.duplicates > 0 && totals.late > 0 && totals.failed > 0 && totals.heartbeats > 0,
        "{totals}"
    );
    let rest = bodies.split_off(bodies.len() / 2);
    pipeline.ingest(&bodies).await;
    pipeline.bill().await;
    let reversed: Vec<String> = rest.into_iter().rev().collect();
    let (third, fourth) = reversed.split_at(reversed.len() / 2);
    pipeline.ingest(third).await;
    pipeline.bill().await;
    pipeline.ingest(fourth).await;
    pipeline.bill().await;
    (pipeline, folder)
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_byte_that_collectors_send_is_billed(pool: PgPool) {
    let (pipeline, folder) = billed(pool, 300).await;
    let outcome = pipeline.verify(&folder, None).await;
    assert!(
        outcome.agrees() && !outcome.live && outcome.uncertain == 0,
        "{outcome}"
    );
    let ended: i64 = sqlx::query_scalar(
        "select count(*) from telecom.package_queue where end_reason = 'traffic'",
    )
    .fetch_one(&pipeline.pool)
    .await
    .unwrap();
    assert!(ended > 0, "no package ran out by traffic");
    println!("{outcome}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn verify_detects_a_difference_of_one_byte_in_any_sum(pool: PgPool) {
    let (pipeline, folder) = billed(pool, 60).await;
    let cases = [
        ("raw upload", "traffic_usage", "upload_bytes"),
        ("raw download", "traffic_usage", "download_bytes"),
        (
            "hourly raw upload",
            "user_package_usage",
            "raw_upload_bytes",
        ),
        (
            "hourly raw download",
            "user_package_usage",
            "raw_download_bytes",
        ),
        (
            "hourly billed upload",
            "user_package_usage",
            "billed_upload_bytes",
        ),
        (
            "hourly billed download",
            "user_package_usage",
            "billed_download_bytes",
        ),
        ("packages' upload counters", "package_queue", "upload_bytes"),
        (
            "packages' download counters",
            "package_queue",
            "download_bytes",
        ),
    ];
    for (what, table, column) in cases {
        let some = format!("(select max(ctid) from telecom.{table})");
        let row = pipeline.add_one(table, column, "+", &some).await;
        let outcome = pipeline.verify(&folder, None).await;
        let check = outcome
            .checks
            .iter()
            .find(|check| check.what == what)
            .unwrap();
        assert_eq!(
            (
                check.found - check.expected,
                check.differing,
                check.first.len()
            ),
            (1, 1, 1),
            "{what}\n{outcome}"
        );
        pipeline
            .add_one(table, column, "-", &format!("'{row}'::tid"))
            .await;
    }
    let outcome = pipeline.verify(&folder, None).await;
    assert!(outcome.agrees(), "{outcome}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn verify_detects_missing_altered_unbilled_and_unknown_reports(pool: PgPool) {
    let (pipeline, folder) = billed(pool, 20).await;
    let one = "where report_id = (select min(report_id::text)::uuid from telecom.usage_report \
        where line_count > 0)";
    let cases = [
        (
            format!("update telecom.usage_report set report_id = gen_random_uuid() {one}"),
            "reports recorded",
        ),
        (
            format!(
                "update telecom.usage_report set node_server_id = node_server_id % 24 + 1 {one}"
            ),
            "… with server, period and lines as sent",
        ),
        (
            format!("update telecom.usage_report set billing_run_id = null {one}"),
            "reports billed",
        ),
    ];
    for (change, what) in cases {
        pipeline.execute(&change).await;
        let outcome = pipeline.verify(&folder, None).await;
        assert!(
            outcome
                .checks
                .iter()
                .any(|check| check.what == what && !check.agrees()),
            "{what}\n{outcome}"
        );
        let foreign = outcome
            .checks
            .iter()
            .find(|check| check.what == "reports that are not in the account")
            .unwrap();
        assert_eq!(foreign.found, 1);
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn verify_compares_only_billed_usage_while_the_simulator_runs(pool: PgPool) {
    let (pipeline, folder) = billed(pool, 20).await;
    let (_, bodies) = simulate(&folder, &*pipeline.clock, Memory::default(), options(10)).await;
    let (arrived, _) = bodies.split_at(bodies.len() / 2);
    pipeline.ingest(arrived).await;
    let outcome = pipeline.verify(&folder, None).await;
    assert!(!outcome.live && !outcome.agrees(), "{outcome}");
    let _writer = Account::open(&account(&folder)).unwrap();
    let outcome = pipeline.verify(&folder, None).await;
    assert!(outcome.live && outcome.agrees(), "{outcome}");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn verify_compares_the_responses_of_the_api(pool: PgPool) {
    let (pipeline, folder) = billed(pool, 60).await;
    let address = serve(&pipeline, &folder).await;
    let api = || Api {
        base_url: format!("http://{address}"),
        issuer: Issuer::open(folder.path()).unwrap(),
        users: 5,
    };
    let outcome = pipeline.verify(&folder, Some(api())).await;
    assert!(outcome.agrees(), "{outcome}");
    assert!(
        outcome
            .checks
            .iter()
            .any(|check| check.what == "API billed download" && check.expected > 0),
        "{outcome}"
    );
    let wrong = Api {
        base_url: "http://127.0.0.1:9".to_owned(),
        ..api()
    };
    assert!(!pipeline.verify(&folder, Some(wrong)).await.agrees());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn seeding_again_changes_nothing(pool: PgPool) {
    let fleet = fleet::seed(&pool, SEED, now(), 0).await.unwrap();
    let before = contents(&pool).await;
    let [servers, clients, packages, items, ..] = before[..] else {
        panic!("{before:?}");
    };
    assert_eq!([servers, clients], [24, 46]);
    assert!(packages >= 6 && items > 600, "{before:?}");
    let later = now() + chrono::TimeDelta::hours(3);
    assert_eq!(fleet::seed(&pool, SEED, later, 0).await.unwrap(), fleet);
    assert_eq!(contents(&pool).await, before);
    let next: i32 = sqlx::query_scalar(
        "insert into telecom.node_server (name, compatibility) values ('x', 'ssp') returning id",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(next, 25);
}

/// The number of rows of each table, then a checksum of each.
async fn contents(pool: &PgPool) -> Vec<i64> {
    let mut contents = Vec::new();
    for what in [
        "count(*)",
        "sum(hashtextextended(t::text, 0) % 1000000007)::bigint",
    ] {
        for table in ["node_server", "node_client", "package", "package_queue"] {
            let statement = format!("select {what} from telecom.{table} t");
            contents.push(
                sqlx::query_scalar(&statement)
                    .fetch_one(pool)
                    .await
                    .unwrap(),
            );
        }
    }
    contents
}

/// Serves `GET /v1/traffic-usage` on a free port with the real service and authenticator.
async fn serve(pipeline: &Pipeline, folder: &TempDir) -> String {
    let jwks = serde_json::from_str(&Issuer::open(folder.path()).unwrap().jwks().unwrap()).unwrap();
    let config = AuthConfig {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        jwks: JwksConfig::Inline(jwks),
        max_lifetime: AuthConfig::MAX_LIFETIME,
    };
    let context = Context::fixed(&pipeline.clock);
    let authenticator = Authenticator::new(config, context.clock.clone()).unwrap();
    let service = AnalysisService::new(pipeline.pool.clone(), context);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            answer(stream, &service, &authenticator).await;
        }
    });
    address
}

async fn answer(stream: TcpStream, service: &AnalysisService, authenticator: &Authenticator) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while stream.read_line(&mut head).await.unwrap() > 2 {}
    let between = |before: &str, after: &str| {
        head.split_once(before)
            .unwrap()
            .1
            .split_once(after)
            .unwrap()
            .0
            .to_owned()
    };
    let user_id = authenticator
        .verify(&between("Bearer ", "\r\n"))
        .await
        .unwrap()
        .user_id;
    let input = GetRecentTrafficUsage {
        user_id,
        range: between("range=", " ").parse().unwrap(),
        time_zone: "UTC".parse().unwrap(),
    };
    let body = serde_json::to_string(&service.process(input).await.unwrap()).unwrap();
    let length = body.len();
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: \
         {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.get_mut().write_all(text.as_bytes()).await.unwrap();
}
