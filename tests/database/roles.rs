//! Each function uses a database role that may do what the function needs and no more. That the
//! rights suffice is covered by all other tests, which run the functions as these roles.

use std::collections::BTreeSet;

use shared::db;
use sqlx::PgPool;
use telecom_tests::World;

const DENIED: &str = "42501";

/// The SQLSTATE with which `sql` fails, or an empty string if it succeeds.
async fn sqlstate(pool: &PgPool, sql: &str) -> String {
    let done = sqlx::raw_sql(sql).execute(pool).await;
    done.err()
        .map(|error| {
            error
                .as_database_error()
                .unwrap()
                .code()
                .unwrap()
                .into_owned()
        })
        .unwrap_or_default()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn reader_role_reads_every_table_and_writes_none(pool: PgPool) {
    let world = World::new(pool).await;
    let relations = async |kinds: &str| -> Vec<String> {
        let relations = "select format('telecom.%I', relname) from pg_class
            where relnamespace = 'telecom'::regnamespace and not relispartition
            and relkind::text = any(string_to_array($1, ','))";
        sqlx::query_scalar(relations)
            .bind(kinds)
            .fetch_all(&world.pool)
            .await
            .unwrap()
    };
    for relation in relations("r,p,v,m").await {
        let read = format!("select from {relation} limit 1");
        assert_eq!(sqlstate(&world.reader, &read).await, "", "{relation}");
    }
    for table in relations("r,p").await {
        for write in [
            format!("delete from {table}"),
            format!("insert into {table} default values"),
        ] {
            assert_eq!(sqlstate(&world.reader, &write).await, DENIED, "{write}");
        }
    }
    for call in [
        "refresh_node_status_view()",
        "drop_traffic_usage_partitions('2100-01-01')",
    ] {
        assert_eq!(
            sqlstate(&world.reader, &format!("select telecom.{call}")).await,
            DENIED,
            "{call}"
        );
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn writer_role_cannot_write_what_the_operator_owns(pool: PgPool) {
    let world = World::new(pool).await;
    let refused = [
        "update telecom.package set traffic_limit_bytes = 0",
        "update telecom.package_queue set user_id = gen_random_uuid()",
        "update telecom.package_queue set adjust_quota_bytes = 1",
        "update telecom.package_queue_count set items = 0",
        "update telecom.usage_report set line_count = 0",
        "update telecom.traffic_usage set upload_bytes = 0",
        "delete from telecom.traffic_usage",
        "update telecom.billing_batch set payload_hash = ''",
        "update telecom.outbox set body = ''",
        "update telecom.node_server set server_config = '{}'",
        "update telecom.node_client set traffic_factor = 0",
        "delete from telecom.node_server",
        "insert into telecom.package_queue (user_id, package_id, adjust_quota_bytes)
            values (gen_random_uuid(), 1, 1)",
        "update telecom.package_order set amount = 1",
        "delete from telecom.package_order",
        "delete from telecom.package_queue",
        "create table telecom.mine (id integer)",
        "drop table telecom.usage_report",
        "update telecom.webhook set url = ''",
        "delete from telecom.webhook",
        "update telecom.webhook_delivery set body = ''",
        "refresh materialized view telecom.node_status_hourly_mv",
        "alter role telecom_writer superuser",
        "copy telecom.package to '/tmp/packages'",
    ];
    for sql in refused {
        assert_eq!(sqlstate(&world.writer, sql).await, DENIED, "{sql}");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn only_roles_that_sign_or_create_read_the_secrets_of_webhooks(pool: PgPool) {
    let world = World::new(pool).await;
    for (role, expected) in [
        (&world.reader, DENIED),
        (&world.secret_reader, DENIED),
        (&world.node, DENIED),
        (&world.writer, ""),
        (&world.api, ""),
    ] {
        for secret in ["sealed_secret", "sealed_previous_secret"] {
            let read = format!("select {secret} from telecom.webhook");
            assert_eq!(sqlstate(role, &read).await, expected, "{secret}");
        }
        assert_eq!(sqlstate(role, "select url from telecom.webhook").await, "");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn only_secret_reader_and_api_roles_read_configurations(pool: PgPool) {
    let world = World::new(pool).await;
    for (role, sqlstate_of_secrets) in [
        (&world.reader, DENIED),
        (&world.writer, DENIED),
        (&world.secret_reader, ""),
        (&world.api, ""),
    ] {
        for secret in [
            "server_config from telecom.node_server",
            "client_config from telecom.node_client",
        ] {
            assert_eq!(
                sqlstate(role, &format!("select {secret}")).await,
                sqlstate_of_secrets,
                "{secret}"
            );
        }
        assert_eq!(
            sqlstate(role, "select count(*) from telecom.node_client").await,
            ""
        );
    }
    for whole_row in [
        "* from telecom.node_server",
        "to_jsonb(s) from telecom.node_server s",
    ] {
        assert_eq!(
            sqlstate(&world.reader, &format!("select {whole_row}")).await,
            DENIED,
            "{whole_row}"
        );
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn only_the_roles_of_api_functions_read_the_audit_log_and_none_changes_it(pool: PgPool) {
    let world = World::new(pool).await;
    // The rights as the previous version leaves them.
    world
        .sql("grant select on telecom.audit_entry to telecom_writer")
        .await;
    db::grant(&mut world.pool.acquire().await.unwrap())
        .await
        .unwrap();
    for (role, reads) in [
        (&world.reader, ""),
        (&world.secret_reader, ""),
        (&world.api, ""),
        (&world.writer, DENIED),
    ] {
        let read = "select from telecom.audit_entry";
        assert_eq!(sqlstate(role, read).await, reads);
        for change in [
            "update telecom.audit_entry set reason = 'other'",
            "delete from telecom.audit_entry",
        ] {
            assert_eq!(sqlstate(role, change).await, DENIED, "{change}");
        }
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn previous_version_reads_configurations_until_the_next_migration(pool: PgPool) {
    let world = World::new(pool).await;
    // The rights as the previous version leaves them.
    world
        .sql("revoke select (server_config) on telecom.node_server from telecom_secret_reader")
        .await;
    world
        .sql("grant select on all tables in schema telecom to telecom_reader")
        .await;
    for reads in ["", DENIED] {
        db::grant(&mut world.pool.acquire().await.unwrap())
            .await
            .unwrap();
        assert_eq!(
            sqlstate(
                &world.reader,
                "select server_config from telecom.node_server"
            )
            .await,
            reads
        );
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn new_server_column_is_hidden_until_it_is_granted(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .sql("alter table telecom.node_server add column token text")
        .await;
    db::grant(&mut world.pool.acquire().await.unwrap())
        .await
        .unwrap();
    assert_eq!(
        sqlstate(&world.reader, "select token from telecom.node_server").await,
        DENIED
    );
}

/// `table.column` of every column on which `role` has `privilege`.
async fn writable(world: &World, role: &str, privilege: &str) -> BTreeSet<String> {
    let columns = "select format('%s.%s', c.relname, a.attname) from pg_class c join pg_attribute a
        on a.attrelid = c.oid
        where c.relnamespace = 'telecom'::regnamespace and c.relkind in ('r', 'p')
        and not c.relispartition
            and a.attnum > 0 and not a.attisdropped and has_column_privilege($1, c.oid, a.attnum,
            $2)";
    let columns = sqlx::query_scalar::<_, String>(columns)
        .bind(role)
        .bind(privilege);
    columns
        .fetch_all(&world.pool)
        .await
        .unwrap()
        .into_iter()
        .collect()
}

/// The columns that consumers and jobs update.
const UPDATED_BY_WRITER: &str = "billing: usage_report.billing_run_id package_queue.upload_bytes
            package_queue.download_bytes
             package_queue.announced_percent package_queue.expiring_event_at package_queue.status
             package_queue.activated_at package_queue.expires_at package_queue.ended_at
             package_queue.end_reason package_order.cancelled_at
             package_queue.notice_due_at package_queue.noticed_hours
             package_queue.noticed_expires_at
             package_queue.extended_seconds
             package_extension.last_package_id package_extension.last_item_id
             package_extension.extended_count package_extension.completed_at
             user_package_usage.raw_upload_bytes user_package_usage.raw_download_bytes
             user_package_usage.billed_upload_bytes user_package_usage.billed_download_bytes
             user_package_usage.uncharged_at parked_event.reason parked_event.attempts
             parked_event.retry_at
             sums: node_usage_hourly.raw_upload_bytes node_usage_hourly.raw_download_bytes
             node_usage_hourly.billed_upload_bytes node_usage_hourly.billed_download_bytes
             node_usage_daily.raw_upload_bytes node_usage_daily.raw_download_bytes
             node_usage_daily.billed_upload_bytes node_usage_daily.billed_download_bytes
             user_usage_daily.raw_upload_bytes user_usage_daily.raw_download_bytes
             user_usage_daily.billed_upload_bytes user_usage_daily.billed_download_bytes
             usage_summary.only_row usage_summary.days_closed_before
             usage_summary.days_summed_before top_user_refresh.period_start
             top_user_refresh.refreshed_at top_user_refresh.seconds top_user_refresh.users
             reconciliation: reconciliation.hour_cursor reconciliation.item_cursor
             reconciliation.run_cursor
             usage_drift.raw_upload_bytes usage_drift.raw_download_bytes
             usage_drift.billed_upload_bytes usage_drift.billed_download_bytes
             usage_drift.found_at usage_drift.accepted_reason
             fleet: node_server.status node_status_watch.ran_at node_status_watch.heard_from
             node_status_watch.unjudged_from node_status_watch.is_settled node_status_seal.open_from
             node_status_seal.kept_from collection_outage.until
             outbox: outbox.send_after outbox.attempts outbox.last_error
             pushes: node_push.first_arrived_at node_push.last_arrived_at node_push.arrivals
             last_node_push.push_id last_node_push.arrived_at last_node_push.was_late
             last_node_push.was_repeated last_node_push.traffic_factor
             last_node_push.user_numbers last_node_push.upload_bytes
             last_node_push.download_bytes
             operation: job_run.ended_at job_run.outcome job_run.error_code job_run.counts
             job_run.lag_seconds rejected_message.error_code rejected_message.reason
             rejected_message.attempts rejected_message.last_failed_at
             dead_letter_queue.message_count dead_letter_queue.counted_at
             webhooks: webhook.disabled_at webhook.disabled_by webhook_delivery.status
             webhook_delivery.attempts webhook_delivery.last_attempt_at webhook_delivery.due_at
             webhook_delivery.claimed_until webhook_delivery.response_status
             webhook_delivery.failure";

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn roles_may_write_only_the_columns_that_functions_write(pool: PgPool) {
    let world = World::new(pool).await;
    for (role, privilege, columns) in [
        ("telecom_writer", "update", UPDATED_BY_WRITER),
        (
            "telecom_api",
            "update",
            "answered_call.answer package.is_master package.retired_at package_order.cancelled_at
             package_queue.status package_queue.adjust_quota_bytes package_queue.activated_at
             package_queue.upload_bytes package_queue.download_bytes
             user_package_usage.billed_upload_bytes user_package_usage.billed_download_bytes
             package_queue.expires_at package_queue.ended_at package_queue.end_reason
             package_queue.extended_seconds node_server.status parked_event.retry_at
             node_server.name node_server.compatibility
             node_server.server_config node_server.archived_at node_client.node_server_id
             node_client.name node_client.traffic_factor node_client.display_order
             node_client.speed_limit_bits_per_second node_client.country node_client.location
             node_client.route_class node_client.access_groups node_client.client_config
             node_client.archived_at
             node_user.secret node_user.updated_at node_access.revoked_at
             doubtful_push.decision doubtful_push.decided_at
             quarantined_report.released_at quarantined_report.released_by
             quarantined_report.release_reason
             webhook.sealed_secret webhook.sealed_previous_secret webhook.previous_secret_until
             webhook.disabled_at webhook.disabled_by webhook_delivery.status
             webhook_delivery.attempts webhook_delivery.due_at webhook_delivery.retry_until",
        ),
        ("telecom_reader", "update", ""),
        (
            "telecom_secret_reader",
            "insert",
            "audit_entry.created_at audit_entry.actor_user_id audit_entry.request_id
            audit_entry.action
             audit_entry.target_kind audit_entry.target_id audit_entry.before audit_entry.after
             audit_entry.reason",
        ),
    ] {
        let wanted: BTreeSet<_> = columns
            .split_whitespace()
            .filter(|word| !word.ends_with(':'))
            .map(str::to_owned)
            .collect();
        let heartbeat = |column: &String| {
            column.starts_with("node_server_heartbeat.")
                || column.starts_with("node_server_metrics_hourly.")
        };
        let (measured, found): (BTreeSet<_>, BTreeSet<_>) = writable(&world, role, privilege)
            .await
            .into_iter()
            .partition(heartbeat);
        assert_eq!(found, wanted, "{role} {privilege}");
        assert!(
            !measured.contains("node_server_heartbeat.node_server_id"),
            "{measured:?}"
        );
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn repeated_grant_covers_new_tables(pool: PgPool) {
    let world = World::new(pool).await;
    world.sql("create table telecom.news (id integer)").await;
    assert_eq!(
        sqlstate(&world.reader, "select from telecom.news").await,
        DENIED
    );
    db::grant(&mut world.pool.acquire().await.unwrap())
        .await
        .unwrap();
    assert_eq!(
        sqlstate(&world.reader, "select from telecom.news").await,
        ""
    );
}
