//! Transactions write the tables that `docs/ARCHITECTURE.md` lists, in the listed order.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use shared::config::TelecomConfig;
use shared::domain::parked_usage::Selection;
use shared::services::Processor;
use shared::services::change::Requested;
use shared::services::cron::Run;
use shared::services::cron::apply_package_extensions::ApplyPackageExtensionsJob;
use shared::services::manage::{
    CorrectUsage, DecideDoubtfulPush, ExtendPackages, ManageService, PushRemedy,
    ReleaseQuarantinedReport, RetryParkedEvents, SetNodeServerMaintenance,
};
use sqlx::PgPool;
use telecom_tests::push::push;
use telecom_tests::receiver::{Answer, Receiver};
use telecom_tests::report::texts;
use telecom_tests::watch::Watch;
use telecom_tests::{CLIENT, GIB, SERVER, World, actor, assert_all_accepted, user};
use uuid::Uuid;

/// Adds triggers that record which tables each transaction writes.
async fn record_writes(world: &World) {
    let note = "
        create table public.written (seq bigint generated always as identity,
        tx bigint default txid_current(), relation text);
        create function public.note() returns trigger language plpgsql security definer as $$
            begin
                insert into public.written (relation) select relname from pg_class
                where oid = coalesce(pg_partition_root(tg_relid), tg_relid);
                return null;
            end $$;
        do $$ declare relation regclass; begin
            for relation in select oid from pg_class
                where relnamespace = 'telecom'::regnamespace and relkind in ('r', 'p')
                and not relispartition
            loop
                execute format('create trigger note after insert or update or delete on %s
                    for each row execute function public.note()', relation);
            end loop;
        end $$";
    sqlx::raw_sql(note).execute(&world.pool).await.unwrap();
}

/// The tables that each transaction wrote, in the order of their first write.
async fn written(world: &World) -> Vec<Vec<String>> {
    let orders = "select array_agg(relation order by first) from (
            select tx, relation, min(seq) as first from public.written group by 1, 2
        ) w group by tx";
    sqlx::query_scalar(orders)
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

/// The cells of the table row in `section` that begins with `first`.
fn row(section: &str, first: &str) -> Vec<&'static str> {
    let page = include_str!("../../docs/ARCHITECTURE.md");
    let (_, section) = page.split_once(&format!("\n## {section}\n")).unwrap();
    let mut rows = section
        .split("\n## ")
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| "));
    rows.find(|row| row.starts_with(&format!("{first} |")))
        .unwrap()
        .split(" | ")
        .collect()
}

/// Compares the written tables with the documented row of the transaction, and the function with
/// the documented rows of these tables.
fn assert_documented(orders: &[Vec<String>], transaction: &str, function: &str) {
    let locks = row("Transactions and locks", transaction)[1];
    let locked: Vec<&str> = locks.split('`').skip(1).step_by(2).collect();
    // Triggers add rows to these tables, which are only inserted.
    let counts =
        |table: &&str| ["package_queue_count", "user_list_change", "node_user"].contains(table);
    let tables = orders.iter().flatten().map(String::as_str);
    let all: BTreeSet<&str> = tables.filter(|table| !counts(table)).collect();
    assert_eq!(all, locked.iter().copied().collect(), "{transaction}");
    for order in orders {
        // `node_server` is locked before the status logs are read and written after them, so the
        // order of its writes is not compared.
        let place = |table: &String| locked.iter().position(|locked| locked == table);
        let places: Vec<_> = order
            .iter()
            .filter(|table| *table != "node_server" && !counts(&table.as_str()))
            .map(place)
            .collect();
        assert!(
            places.is_sorted(),
            "{transaction}: {order:?} is not in the order of {locks}"
        );
    }
    for table in all {
        let by = row("Tables", &format!("`{table}`"))[2];
        assert!(
            by.contains(function),
            "{function} writes {table} but is missing from its row: {by}"
        );
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn status_refresh_writes_the_documented_tables_in_order(pool: PgPool) {
    let watch = Watch::online(pool, 3).await;
    watch.world.server(4, &[]).await;
    record_writes(&watch.world).await;
    assert!(watch.refresh(301).await.collection_stopped);
    // The collection resumes with a server that has no status log yet.
    watch.beat_at(&[4], 360).await;
    sqlx::query("truncate public.written")
        .execute(&watch.world.pool)
        .await
        .unwrap();
    assert_eq!(watch.run(361).await.online, 1);
    let orders = written(&watch.world).await;
    assert!(orders.iter().any(|order| order.len() == 5), "{orders:?}");
    assert_documented(&orders, "refresh server status", "refresh-server-status");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn setting_maintenance_writes_the_documented_tables_in_order(pool: PgPool) {
    let watch = Watch::online(pool, 2).await;
    record_writes(&watch.world).await;
    let service = ManageService::new(
        watch.world.api.clone(),
        watch.world.context(),
        TelecomConfig::default(),
    );
    for maintenance in [true, false] {
        let set = Requested::by(
            actor(1),
            SetNodeServerMaintenance {
                id: 1,
                maintenance,
                reason: "a new disk".to_owned(),
            },
        );
        assert!(service.process(set).await.unwrap().changed);
    }
    assert_documented(
        &written(&watch.world).await,
        "set maintenance",
        "set-node-server-maintenance",
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn delivering_orders_writes_the_documented_tables_in_order(pool: PgPool) {
    let world = World::new(pool).await;
    let series = Uuid::from_u128(7);
    world.package(GIB, 30).await;
    world
        .sql(&format!(
            "update telecom.package set is_master = true, series = '{series}'"
        ))
        .await;
    record_writes(&world).await;
    let order = |id: u128| {
        json!({ "type": "package.order.v1", "order_id": Uuid::from_u128(id), "user": user(id),
            "series": series, "amount": 2 })
    };
    let cancelled = json!({ "type": "package.order_cancelled.v1", "order_id": Uuid::from_u128(1) });
    for messages in [vec![order(1)], vec![cancelled, order(2)]] {
        assert_all_accepted(&world.orders(), &texts(&messages)).await;
    }
    // A transaction of its own counts the failed attempts to send the messages.
    let mut orders = written(&world).await;
    orders.retain(|order| *order != ["outbox"]);
    assert_documented(&orders, "deliver orders", "deliver-package-order");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn applying_extensions_writes_the_documented_tables_in_order(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    world.active_item(user(1), package).await;
    let service = ManageService::new(world.api.clone(), world.context(), TelecomConfig::default());
    let extension = ExtendPackages {
        available_group: Some(1),
        series: None,
        hours: 1,
        reason: "outage".to_owned(),
        dry_run: false,
    };
    let requested = service.process(Requested::by(actor(1), extension)).await;
    assert_eq!(requested.unwrap().items, 1);
    record_writes(&world).await;
    let job = ApplyPackageExtensionsJob(Run::default());
    assert!(world.cron().process(job).await.unwrap().complete);
    let orders = written(&world).await;
    assert_eq!(orders.len(), 1);
    assert_documented(&orders, "apply extensions", "apply-package-extensions");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn pushes_write_the_documented_tables_in_order(pool: PgPool) {
    let world = World::new(pool).await;
    world.number_users(1).await;
    record_writes(&world).await;
    let pushes = [(1, 0.0), (2, 60.0)].map(|(id, at)| {
        let metrics = json!({ "cpu_percent": 1.5 });
        push(id, at, &[(1, 2, 3)]).with("/content/push/metrics", metrics)
    });
    assert_eq!(world.push(&pushes).await, [""; 0]);
    assert_documented(&written(&world).await, "ingest node usage", "ingest");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_correction_writes_the_documented_tables_in_order(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    world.active_item(user(1), package).await;
    let pushes = [push(1, 0.0, &[(1, 2, 3)]), push(2, 60.0, &[(1, 2, 3)])];
    assert_eq!(world.push(&pushes).await, [""; 0]);
    record_writes(&world).await;
    let service = ManageService::new(world.api.clone(), world.context(), TelecomConfig::default());
    let decide = DecideDoubtfulPush {
        id: 1,
        decision: PushRemedy::Correct,
        reason: "the answer was lost".to_owned(),
    };
    let decided = service.process(Requested::by(actor(1), decide)).await;
    assert_eq!(decided.unwrap().corrected_bytes, 5);
    assert_documented(
        &written(&world).await,
        "decide a doubtful push",
        "decide-doubtful-push",
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_release_from_quarantine_writes_the_documented_tables_in_order(pool: PgPool) {
    let world = World::new(pool).await;
    let quarantine = "with report as (
            insert into telecom.quarantined_report (usage_report_seq, report_id, node_server_id,
                period_start, period_end, received_at, reason)
            values (7, gen_random_uuid(), 1, '2026-03-10Z', '2026-03-10Z', '2026-03-10Z',
                'implausible_bytes')
            returning usage_report_seq
        )
        insert into telecom.quarantined_usage
        select usage_report_seq, 1, 2, gen_random_uuid(), 11, 1 from report";
    world.sql(quarantine).await;
    record_writes(&world).await;
    let service = ManageService::new(world.api.clone(), world.context(), TelecomConfig::default());
    let release = ReleaseQuarantinedReport {
        id: 7,
        factor: None,
        reason: "the provider counted the same".to_owned(),
    };
    let released = service.process(Requested::by(actor(1), release)).await;
    assert!(released.unwrap().report.released_at.is_some());
    assert_documented(
        &written(&world).await,
        "release a report in quarantine",
        "release-quarantined-report",
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_correction_of_usage_writes_the_documented_tables_in_order(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(GIB, 30).await;
    let item = world.active_item(user(1), package).await;
    world.waiting_item(user(1), package).await;
    // The day is closed, so that the correction is late. The item is used up.
    world
        .sql("update telecom.usage_summary set days_closed_before = '2026-03-11'")
        .await;
    record_writes(&world).await;
    let service = ManageService::new(world.api.clone(), world.context(), TelecomConfig::default());
    let correct = CorrectUsage {
        user: user(1),
        hour: world.context().now(),
        server_id: SERVER,
        node_client_id: Some(CLIENT),
        package_queue_id: Some(item),
        billed_upload: GIB,
        billed_download: 0,
        reason: "never reported".to_owned(),
    };
    let corrected = service.process(Requested::by(actor(1), correct)).await;
    assert_eq!(corrected.unwrap().usage.traffic.billed_upload, GIB);
    assert_documented(&written(&world).await, "correct usage", "correct-usage");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn retrying_parked_usage_writes_the_documented_tables_in_order(pool: PgPool) {
    let world = World::new(pool).await;
    let park = "insert into telecom.parked_event (user_id, bucket_start, node_server_id,
            raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes,
            reason, parked_at, retry_at)
        values (gen_random_uuid(), '2026-03-10Z', 1, 1, 1, 1, 1, 'locked: ', '2026-03-10Z',
            '2026-03-11Z')";
    world.sql(park).await;
    record_writes(&world).await;
    let service = ManageService::new(world.api.clone(), world.context(), TelecomConfig::default());
    let retry = RetryParkedEvents {
        selection: Selection::All,
        reason: "the lock is gone".to_owned(),
    };
    let retried = service.process(Requested::by(actor(1), retry)).await;
    assert_eq!(retried.unwrap().retried, 1);
    assert_documented(
        &written(&world).await,
        "retry parked usage",
        "retry-parked-events",
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn webhooks_write_the_documented_tables_in_order(pool: PgPool) {
    let world = World::new(pool).await;
    let receiver = Receiver::start(|_| Answer::Status(410, "")).await;
    record_writes(&world).await;
    world.webhook(&receiver.url(), &[]).await;
    assert_documented(&written(&world).await, "create a webhook", "create-webhook");

    world.sql("truncate public.written").await;
    world.publish("PackageExpired", [1]).await;
    let recorded = written(&world).await;
    assert_documented(&recorded, "record deliveries", "record-webhook-deliveries");

    world.sql("truncate public.written").await;
    let done = world.deliver_webhooks(Duration::from_secs(10)).await;
    assert_eq!(done.failed, 1);
    let [claim, result]: [Vec<String>; 2] = written(&world).await.try_into().unwrap();
    let of = |order| vec![order];
    assert_documented(&of(claim), "deliver webhooks, claim", "deliver-webhooks");
    assert_documented(&of(result), "deliver webhooks, result", "deliver-webhooks");
}
