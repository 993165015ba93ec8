//! Alarms on webhooks.

use sqlx::PgPool;

use super::{firing, names, replaced, run, working};

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_delivery_that_is_given_up_triggers_its_alarm(pool: PgPool) {
    let (world, functions, seen) = working(pool).await;
    for sql in [
        "insert into telecom.webhook (id, url, description, sealed_secret, created_at)
        values (gen_random_uuid(), 'https://hooks.example.com/', 'unreadable', '', now())",
        "insert into telecom.webhook_delivery (webhook_id, event_id, event_type, body, created_at,
            due_at, retry_until)
        select id, id, 'PackageExpired', '{}', now() - interval '1 day', now(), now()
        from telecom.webhook",
    ] {
        world.sql(sql).await;
    }
    let seen = replaced(seen, run(&functions, &["deliver-webhooks"]).await);
    assert_eq!(firing(&seen), names(&[&["WebhookFailures"]]), "{seen:#?}");
}
