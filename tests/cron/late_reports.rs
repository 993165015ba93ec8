//! Reports that arrive late correct the status log for the time that they cover.

use serde_json::json;
use shared::services::cron::refresh_server_status::Refreshed;
use sqlx::PgPool;
use telecom_tests::watch::{Watch, log_of};

/// Three servers. By the reports so far, server 1 was offline from second 0 to 1200.
async fn after_an_outage(pool: PgPool) -> Watch {
    let watch = Watch::online(pool, 3).await;
    for minute in 1..20 {
        watch.beat_at(&[2, 3], minute * 60).await;
        watch.refresh(minute * 60).await;
    }
    watch.beat_at(&[1, 2, 3], 1_200).await;
    assert_eq!(watch.refresh(1_200).await.online, 1);
    assert_eq!(
        watch.log(1).await,
        log_of(&[("online", 0), ("offline", 0), ("online", 1_200)])
    );
    watch
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn outage_that_late_reports_disprove_is_removed(pool: PgPool) {
    let watch = after_an_outage(pool).await;
    // The collector was disconnected. The reports that it kept arrive now, in any order.
    for end in [1_140, 240, 540, 780, 960] {
        watch.beat(&[1], end).await;
    }
    assert_eq!(
        watch.refresh(1_260).await,
        Refreshed {
            corrected: 1,
            complete: true,
            ..Refreshed::default()
        }
    );
    assert_eq!(watch.log(1).await, log_of(&[("online", 0)]));
    // Published facts are not withdrawn, and the correction publishes none.
    assert_eq!(
        watch.fact_kinds().await[3..],
        ["NodeServerWentOffline", "NodeServerCameOnline"]
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn outage_keeps_the_part_that_no_late_report_covers(pool: PgPool) {
    let watch = after_an_outage(pool).await;
    for end in [60, 120, 1_000, 1_100] {
        watch.beat(&[1], end).await;
    }
    watch.refresh(1_260).await;
    assert_eq!(
        watch.log(1).await,
        log_of(&[("online", 0), ("offline", 120), ("online", 1_000)])
    );
    assert_eq!(
        watch.refresh(1_320).await.corrected,
        0,
        "the correction is made once"
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn repeated_report_corrects_nothing(pool: PgPool) {
    let watch = after_an_outage(pool).await;
    watch.beat(&[1], 0).await;
    watch.beat(&[1], 1_200).await;
    assert_eq!(
        watch.refresh(1_260).await,
        Refreshed {
            complete: true,
            ..Refreshed::default()
        }
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn outage_ends_at_the_first_heartbeat_even_if_it_arrives_late(pool: PgPool) {
    let watch = Watch::online(pool, 3).await;
    watch.beat_at(&[2, 3], 310).await;
    watch.refresh(310).await;
    // Server 1 is back at 620, and its first reports arrive late.
    watch.beat_at(&[2, 3], 800).await;
    watch.refresh(800).await;
    watch.beat(&[1], 620).await;
    watch.beat(&[1], 680).await;
    watch.beat(&[1], 740).await;
    assert_eq!(watch.refresh(801).await.online, 1);
    assert_eq!(
        watch.log(1).await,
        log_of(&[("online", 0), ("offline", 0), ("online", 620)])
    );
    assert_eq!(
        watch.world.facts().await.pop().unwrap().1["since"],
        json!("2026-03-10T10:40:20Z")
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn log_older_than_two_days_is_no_longer_corrected(pool: PgPool) {
    let watch = after_an_outage(pool).await;
    watch.beat_at(&[1, 2, 3], 48 * 3_600 + 700).await;
    watch.beat(&[1], 600).await;
    watch.beat(&[1], 800).await;
    assert_eq!(watch.run(48 * 3_600 + 700).await.corrected, 1);
    let log = watch.log(1).await;
    assert_eq!(
        log[..4],
        log_of(&[
            ("online", 0),
            ("offline", 0),
            ("online", 800),
            ("offline", 800)
        ])
    );
}
