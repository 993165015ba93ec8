//! Every byte is recorded and billed exactly once, whatever is repeated and in whatever order.

use std::collections::HashMap;

use chrono::TimeDelta;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::json;
use sqlx::PgPool;
use telecom_tests::report::{report_of, with};
use telecom_tests::{GIB, NOW, World, assert_all_accepted, at, user};

const FACTORS: [&str; 4] = ["0", "0.5", "1.5", "2"];

/// A report of one line, with its user, client and `[upload, download]` bytes.
struct Sent {
    user: u128,
    client: i32,
    bytes: [i64; 2],
    body: String,
}

fn sent(random: &mut ChaCha8Rng, id: u128) -> Sent {
    let (n, client) = (random.random_range(0..20), random.random_range(0..4));
    let bytes = [
        random.random_range(0..1_000_001),
        random.random_range(0..1_000_001),
    ];
    let report = report_of(id, 2, at(NOW), &[(user(n), bytes[0], bytes[1])]);
    Sent {
        user: n,
        client,
        bytes,
        body: with(report, "/usage/0/node_client_id", json!(20 + client)).to_string(),
    }
}

/// `[upload, download]` to be billed per user and client.
fn billed(run: &[Sent]) -> HashMap<(u128, i32), [i64; 2]> {
    let mut sums: HashMap<(u128, i32), [i64; 2]> = HashMap::new();
    for sent in run {
        let sum = sums.entry((sent.user, sent.client)).or_default();
        *sum = [sum[0] + sent.bytes[0], sum[1] + sent.bytes[1]];
    }
    for ((_, client), sum) in &mut sums {
        let factor: Decimal = FACTORS[usize::try_from(*client).unwrap()].parse().unwrap();
        *sum = sum.map(|bytes| {
            let exact = Decimal::from(bytes) * factor;
            exact
                .round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero)
                .to_i64()
                .unwrap()
        });
    }
    sums
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_byte_is_billed_exactly_once_under_repeats_and_disorder(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .server(2, &[(20, "0"), (21, "0.5"), (22, "1.5"), (23, "2")])
        .await;
    let package = world.package(GIB, 30).await;
    for n in 0..20 {
        world.active_item(user(n), package).await;
    }
    let mut random = ChaCha8Rng::seed_from_u64(42);
    // `[raw upload, raw download, billed upload, billed download]` per user.
    let mut expected: HashMap<u128, [i64; 4]> = HashMap::new();
    let mut seen: Vec<String> = Vec::new();
    for run in 0..12_u128 {
        let reports: Vec<Sent> = (0..40)
            .map(|n| sent(&mut random, run * 1_000 + n + 1))
            .collect();
        for sent in &reports {
            let sum = expected.entry(sent.user).or_default();
            (sum[0], sum[1]) = (sum[0] + sent.bytes[0], sum[1] + sent.bytes[1]);
        }
        for ((n, _), bytes) in billed(&reports) {
            let sum = expected.entry(n).or_default();
            (sum[2], sum[3]) = (sum[2] + bytes[0], sum[3] + bytes[1]);
        }
        // Every body twice and some bodies of earlier runs, in random order.
        let mut bodies: Vec<String> = reports
            .iter()
            .flat_map(|sent| [sent.body.clone(), sent.body.clone()])
            .collect();
        bodies.extend(seen.iter().step_by(7).cloned());
        bodies.shuffle(&mut random);
        seen.extend(reports.into_iter().map(|sent| sent.body));
        for delivery in bodies.chunks(25) {
            assert_all_accepted(&world.ingest(), delivery).await;
        }
        world.bill().await;
        let mut messages = world.take_outbox("user_usage_billing").await;
        messages.extend(messages.clone());
        assert_all_accepted(&world.hook(), &messages).await;
    }
    world.clock.set(at(NOW) + TimeDelta::hours(2));
    let reconciled = world.reconcile().await;
    assert_eq!(
        (reconciled.runs > 10, reconciled.drifts, reconciled.rotated),
        (true, 0, true),
        "{reconciled:?}"
    );
    for n in 0..20 {
        let expected = expected.get(&n).copied().unwrap_or_default();
        assert_eq!(world.usage(user(n)).await, expected, "user {n}");
        let [_, _, billed_upload, billed_download] = expected;
        assert_eq!(
            world.items(user(n)).await,
            [("active".into(), billed_upload, billed_download)],
            "user {n}"
        );
    }
}
