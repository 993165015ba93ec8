//! `GetRecentTrafficUsage`: boundaries, time zones and contents of buckets.

use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::report::{report_of, texts};
use telecom_tests::token::claims;
use telecom_tests::{NOW, World, at, user};

async fn ask(world: &World, query: &str) -> (u16, Value) {
    let api = Api::over_http(world.clone());
    api.get("/v1/traffic-usage", query, Some(&api.issuer.user(user(1))))
        .await
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_day_is_24_zero_filled_hours_up_to_the_current_one(pool: PgPool) {
    let world = World::new(pool).await;
    let bodies = [
        report_of(1, 1, at("2026-03-09T10:59:00Z"), &[(user(1), 1_000, 1_000)]),
        report_of(2, 1, at("2026-03-09T11:30:00Z"), &[(user(1), 1, 2)]),
        report_of(3, 1, at(NOW), &[(user(1), 3, 4), (user(2), 100, 100)]),
    ];
    world
        .sql("update telecom.node_client set traffic_factor = 2")
        .await;
    world.assert_reports_accepted(&texts(&bodies)).await;
    world.deliver_all().await;

    let (status, answer) = ask(&world, "range=day").await;
    assert_eq!(
        (status, &answer["range"], &answer["time_zone"]),
        (200, &json!("day"), &json!("UTC"))
    );
    let raw = answer["raw"].as_array().unwrap();
    let bucket = |start: &str, end: &str, upload, download| {
        json!({ "start": start, "end": end,
        "upload": upload, "download": download })
    };
    assert_eq!(raw.len(), 24);
    assert_eq!(
        raw[0],
        bucket("2026-03-09T11:00:00Z", "2026-03-09T12:00:00Z", 1, 2)
    );
    assert_eq!(
        raw[1],
        bucket("2026-03-09T12:00:00Z", "2026-03-09T13:00:00Z", 0, 0)
    );
    assert_eq!(
        raw[23],
        bucket("2026-03-10T10:00:00Z", "2026-03-10T11:00:00Z", 3, 4)
    );
    assert_eq!(
        answer["actually_billed"][23],
        bucket("2026-03-10T10:00:00Z", "2026-03-10T11:00:00Z", 6, 8)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_week_consists_of_days_in_the_requested_time_zone(pool: PgPool) {
    let world = World::new(pool).await;
    // 23:30 UTC is already the next day in Berlin.
    let bodies = [report_of(
        1,
        1,
        at("2026-03-09T23:30:00Z"),
        &[(user(1), 5, 0)],
    )];
    world.assert_reports_accepted(&texts(&bodies)).await;
    world.deliver_all().await;
    let uploads = |answer: &Value| -> Vec<i64> {
        answer["raw"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bucket| bucket["upload"].as_i64().unwrap())
            .collect()
    };
    let (_, utc) = ask(&world, "range=week").await;
    let (_, berlin) = ask(&world, "range=week&time_zone=Europe%2FBerlin").await;
    assert_eq!(
        (uploads(&utc), uploads(&berlin)),
        (vec![0, 0, 0, 0, 0, 5, 0], vec![0, 0, 0, 0, 0, 0, 5])
    );
    assert_eq!(berlin["raw"][6]["start"], json!("2026-03-09T23:00:00Z"));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_month_is_30_days(pool: PgPool) {
    let world = World::new(pool).await;
    let (status, answer) = ask(&world, "range=month").await;
    assert_eq!(
        (
            status,
            answer["raw"].as_array().unwrap().len(),
            answer["actually_billed"].as_array().unwrap().len()
        ),
        (200, 30, 30)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn bucket_boundaries_are_exact_at_hours_months_and_clock_changes(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let cases = [
        (
            "2026-03-10T10:59:59.999999Z",
            "range=day",
            23,
            "2026-03-10T10:00:00Z",
            "2026-03-10T11:00:00Z",
        ),
        (
            "2026-03-10T11:00:00Z",
            "range=day",
            23,
            "2026-03-10T11:00:00Z",
            "2026-03-10T12:00:00Z",
        ),
        (
            "2028-03-01T00:00:00Z",
            "range=week",
            5,
            "2028-02-29T00:00:00Z",
            "2028-03-01T00:00:00Z",
        ),
        (
            "2027-01-01T05:00:00Z",
            "range=month",
            29,
            "2027-01-01T00:00:00Z",
            "2027-01-02T00:00:00Z",
        ),
        // Start and end of daylight saving time.
        (
            "2026-03-29T12:00:00Z",
            "range=week&time_zone=Europe/Berlin",
            6,
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            "2026-10-25T12:00:00Z",
            "range=week&time_zone=Europe/Berlin",
            6,
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        ),
        // UTC+05:45.
        (
            "2026-03-10T18:20:00Z",
            "range=week&time_zone=Asia/Kathmandu",
            6,
            "2026-03-10T18:15:00Z",
            "2026-03-11T18:15:00Z",
        ),
    ];
    for (now, query, bucket, start, end) in cases {
        api.world.clock.set(at(now));
        let mut claims = claims(user(1), "");
        claims["exp"] = json!(at(now).timestamp() + 60);
        let (status, answer) = api
            .get("/v1/traffic-usage", query, Some(&api.issuer.sign(&claims)))
            .await;
        let bucket = &answer["raw"][bucket];
        assert_eq!(
            (status, &bucket["start"], &bucket["end"]),
            (200, &json!(start), &json!(end)),
            "{now} {query}"
        );
    }
}

/// An hour belongs to the day in which it begins. This includes a day of 25 hours, where the clocks
/// go back, and a zone whose days do not begin on a full UTC hour.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_hour_is_in_exactly_one_day_in_any_time_zone(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    // 48 hours from before the long day in Berlin. Hour h has 2^h bytes, so that a sum identifies
    // its hours.
    let hours = "insert into telecom.user_package_usage
         select 'USER', '2026-10-24T10:00Z'::timestamptz + h * interval '1 hour', 1, null, null,
         1::bigint << h, 0, 0, 0
         from generate_series(0, 47) h";
    api.world
        .sql(&hours.replace("USER", &user(1).to_string()))
        .await;
    let now = at("2026-10-26T12:00:00Z");
    api.world.clock.set(now);
    let mut claims = claims(user(1), "");
    claims["exp"] = json!(now.timestamp() + 60);
    // Number of whole hours in each of three days, from the first hour on.
    for (zone, lengths) in [
        ("UTC", [14, 24, 10]),
        ("Europe/Berlin", [12, 25, 11]),
        ("Asia/Kathmandu", [9, 24, 15]),
    ] {
        let query = format!("range=week&time_zone={zone}");
        let answer = api
            .get("/v1/traffic-usage", &query, Some(&api.issuer.sign(&claims)))
            .await
            .1;
        let uploads = answer["raw"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bucket| bucket["upload"].as_i64().unwrap());
        let uploads: Vec<i64> = uploads.filter(|upload| *upload > 0).collect();
        let mut first = 0;
        let expected = lengths.map(|length| {
            first += length;
            (0..length)
                .map(|back| 1_i64 << (first - 1 - back))
                .sum::<i64>()
        });
        assert_eq!(uploads, expected, "{zone}");
    }
}
