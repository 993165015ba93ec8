//! What the operations of the table change.

use serde_json::json;
use telecom_tests::placeholders::Placeholders;
use telecom_tests::{CLIENT, NOW, SERVER, World, assert_all_accepted, user};
use uuid::Uuid;

const SERIES: Uuid = Uuid::from_u128(0x5e);
const ORDER: Uuid = Uuid::from_u128(0x01);
const NEW_ORDER: Uuid = Uuid::from_u128(0x02);
const WEBHOOK: Uuid = Uuid::from_u128(0x3e_b400);
const NEW_SECRET: Uuid = Uuid::from_u128(0x8a2b_1a52_43f1_4c53_9f0d_3f8f_5f0c_2a11);

/// Deletes what the operations write. This is several times as fast as to truncate the tables.
const EMPTY: &str = "
    delete from telecom.package_queue;
    delete from telecom.package_queue_count;
    delete from telecom.package_order;
    delete from telecom.package_extension;
    delete from telecom.package;
    delete from telecom.node_access;
    delete from telecom.node_user;
    delete from telecom.user_list_change;
    delete from telecom.node_client;
    delete from telecom.node_server;
    delete from telecom.node_status_transition;
    delete from telecom.parked_event;
    delete from telecom.doubtful_push;
    delete from telecom.quarantined_report;
    delete from telecom.usage_report;
    delete from telecom.traffic_usage;
    delete from telecom.usage_correction;
    delete from telecom.user_package_usage;
    delete from telecom.node_usage_delta;
    delete from telecom.late_user_usage;
    delete from telecom.webhook_delivery;
    delete from telecom.webhook;
    delete from telecom.answered_call;
    delete from telecom.audit_entry;
    delete from telecom.outbox;
    alter table telecom.node_user alter column number restart;
    alter table telecom.usage_report alter column seq restart;
    select setval(pg_get_serial_sequence(name, 'id'), 1, false)
    from unnest(array['telecom.package', 'telecom.package_queue', 'telecom.parked_event',
        'telecom.node_access', 'telecom.doubtful_push', 'telecom.usage_correction',
        'telecom.webhook_delivery']) name";

/// The targets of all operations: a server with a client, a series with its master and a second
/// version, an order with an active and a waiting item, a parked event, an access, a doubtful push,
/// a report in quarantine, and a webhook with a failed delivery.
#[derive(Debug)]
pub struct Targets(Placeholders);

impl Default for Targets {
    fn default() -> Self {
        let mut targets = Placeholders::default();
        targets.set("SERVER", SERVER);
        targets.set("CLIENT", CLIENT);
        targets.set("SERIES", json!(SERIES));
        targets.set("ORDER", json!(ORDER));
        targets.set("NEW_ORDER", json!(NEW_ORDER));
        targets.set("NEW_USER", json!(user(2)));
        // The first ids of their tables.
        targets.set("MASTER", 1);
        targets.set("PACKAGE", 2);
        targets.set("ITEM", 1);
        targets.set("EVENT", 1);
        targets.set("ACCESS", 1);
        targets.set("DOUBT", 1);
        targets.set("QUARANTINED", 7);
        targets.set("DELIVERY", 1);
        targets.set("WEBHOOK", json!(WEBHOOK));
        targets.set("USER", json!(user(1)));
        targets.set("SECRET", json!(NEW_SECRET));
        Self(targets)
    }
}

impl Targets {
    pub fn fill(&self, text: &str) -> String {
        self.0.fill(text)
    }

    /// Deletes everything and creates the targets, with the same ids each time.
    pub async fn reset(&self, world: &World) {
        sqlx::raw_sql(EMPTY).execute(&world.pool).await.unwrap();
        world.server(SERVER, &[(CLIENT, "1")]).await;
        world
            .sql(&format!(
                "insert into telecom.package (series, version, is_master, name, available_group,
                    max_client_number, expire_duration_seconds, traffic_limit_bytes)
                values ('{SERIES}', 1, true, 'p', 1, 3, 86400, 1000),
                    ('{SERIES}', 2, false, 'p', 1, 3, 86400, 2000)"
            ))
            .await;
        // Secrets are random, and must be the same each time.
        world
            .sql(&format!(
                "insert into telecom.node_user (user_id, secret)
                select user_id, md5(user_id::text)::uuid
                from unnest(array['{}', '{}', '{}']::uuid[]) user_id",
                user(1),
                user(2),
                Uuid::from_u128(1)
            ))
            .await;
        let order = json!({ "type": "package.order.v1", "order_id": ORDER, "user": user(1),
            "series": SERIES, "amount": 2 });
        assert_all_accepted(&world.orders(), &[order.to_string()]).await;
        world
            .sql(&format!(
                "insert into telecom.parked_event (user_id, bucket_start, node_server_id,
                    raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
                    billed_download_bytes, reason, parked_at, retry_at)
                values ('{}', '2026-03-10T10:00:00Z', 1, 1, 2, 1, 2, 'locked: ', '{NOW}',
                    '2026-03-10T11:00:00Z')",
                user(1)
            ))
            .await;
        world
            .sql(&format!(
                "insert into telecom.node_access (token_hash, protocol, software, node_server_id,
                    interval_seconds, client_timeout_seconds, created_at)
                values (sha256(''), 'uniproxy', 'xrayr', {SERVER}, 60, 30, '{NOW}')"
            ))
            .await;
        world
            .sql(&format!(
                "insert into telecom.doubtful_push (push_id, doubt, node_access_id, node_server_id,
                    node_client_id, arrived_at, user_numbers, upload_bytes, download_bytes,
                    total_bytes, traffic_factor)
                select '{ORDER}', 'contains_previous', 1, {SERVER}, {CLIENT}, '{NOW}',
                    array[number], '{{10}}', '{{20}}', 30, 1
                from telecom.node_user where user_id = '{}'",
                user(1)
            ))
            .await;
        quarantine(world).await;
        world
            .sql(&format!(
                "with hook as (
                    insert into telecom.webhook (id, url, description, sealed_secret, created_at)
                    values ('{WEBHOOK}', 'https://hooks.example.com/', 'shop', '', '{NOW}')
                    returning id
                )
                insert into telecom.webhook_delivery (webhook_id, event_id, event_type, body,
                    created_at, status, attempts, due_at, retry_until, failure)
                select id, '{ORDER}', 'PackageExpired', '{{}}', '{NOW}', 'failed', 9, '{NOW}',
                    '{NOW}', 'timed_out' from hook"
            ))
            .await;
    }
}

/// Adds a report with a line of an unknown client to the quarantine.
async fn quarantine(world: &World) {
    world
        .sql(&format!(
            "with report as (
                insert into telecom.quarantined_report (usage_report_seq, report_id,
                    node_server_id, period_start, period_end, received_at, reason)
                values (7, '{ORDER}', {SERVER}, '2026-03-10T10:00:00Z', '{NOW}', '{NOW}',
                    'unknown_node_client')
                returning usage_report_seq
            )
            insert into telecom.quarantined_usage
            select usage_report_seq, 10, 20, '{}', 99, null from report",
            user(1)
        ))
        .await;
}
