//! Deliveries to webhooks are read by index.

use sqlx::PgPool;
use telecom_tests::World;

use super::explain::plan;
use super::{check, vacuum};

/// 50 webhooks with 4,000 deliveries each, of which one in twenty is pending, and half of these are
/// due.
const DATA: &str = "
    insert into telecom.webhook (id, url, description, sealed_secret, created_at)
        select md5(n::text)::uuid, 'https://hooks.example.com/', 'a', '', now()
        from generate_series(1, 50) n;
    insert into telecom.webhook_delivery (webhook_id, event_id, event_type, body, created_at,
        status, due_at, retry_until)
        select md5((1 + n % 50)::text)::uuid, md5(n::text)::uuid, 'PackageExpired', '{}',
            timestamptz '2026-03-01Z' + n * interval '1 second',
            case when n / 50 % 20 > 0 then 'delivered' else 'pending'
            end::telecom.webhook_delivery_status,
            timestamptz '2026-03-01Z' + n * interval '1 second', '2026-03-04Z'
        from generate_series(0, 199999) n;";
const TABLES: [&str; 1] = ["webhook_delivery"];

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn deliveries_are_found_by_index(pool: PgPool) {
    let world = World {
        pool,
        ..World::offline()
    };
    sqlx::raw_sql(DATA).execute(&world.pool).await.unwrap();
    vacuum(&world).await;
    let hook = "md5('7')::uuid";
    let now = "'2026-03-02 04:00Z'";
    for (name, arguments, most_rows) in [
        (
            "webhook_delivery.claim",
            format!("'{{}}', '{{}}', 8, {now}, {now}"),
            1_000.0,
        ),
        ("webhook_delivery.oldest_due", String::new(), 100.0),
        (
            "webhook_delivery.find",
            format!("{hook}, null, 1000, 50, 100"),
            1_100.0,
        ),
        (
            "webhook_delivery.find",
            format!("{hook}, 'pending', 1000, 50, 100"),
            1_100.0,
        ),
        ("webhook_delivery.show", "'{1,2,3}'".to_owned(), 10.0),
        (
            "webhook_delivery.delete",
            "'2026-03-01 00:10Z', 5000".to_owned(),
            5_000.0,
        ),
    ] {
        let plan = plan(&world, name, &arguments).await;
        check(name, &arguments, &plan, most_rows, &TABLES);
    }
}
