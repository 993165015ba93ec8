//! Servers are marked by their silence: quick to see an outage, slow to raise false alarms.
//!
//! Where a test has cases, `#[ignore]` on the pool says that it is no value of theirs: sqlx gives
//! it.

use serde_json::{Value, json};
use shared::services::cron::refresh_server_status::Refreshed;
use sqlx::PgPool;
use telecom_tests::watch::{Watch, after, log_of};

const NOTHING: Refreshed = Refreshed {
    online: 0,
    offline: 0,
    corrected: 0,
    collection_stopped: false,
    complete: true,
};

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_server_is_offline_after_the_timeout_and_online_when_heard_again(pool: PgPool) {
    let watch = Watch::over(pool, 3).await;
    watch.beat(&[1, 2, 3], 0).await;
    assert_eq!(
        watch.refresh(0).await,
        Refreshed {
            online: 3,
            ..NOTHING
        }
    );
    watch.beat_at(&[2, 3], 300).await;
    assert_eq!(
        watch.refresh(300).await,
        NOTHING,
        "at the limit it is not longer"
    );
    watch.beat_at(&[2], 301).await;
    assert_eq!(
        watch.refresh(301).await,
        Refreshed {
            offline: 1,
            ..NOTHING
        }
    );
    assert_eq!(watch.statuses().await, ["offline", "online", "online"]);
    assert_eq!(watch.refresh(330).await, NOTHING);
    watch.beat(&[1], 325).await;
    assert_eq!(
        watch.refresh(330).await,
        Refreshed {
            online: 1,
            ..NOTHING
        }
    );
    // The corrected outage began with the last sign of life, and ended with the next.
    assert_eq!(
        watch.log(1).await,
        log_of(&[("online", 0), ("offline", 0), ("online", 325)])
    );
    assert_eq!(
        watch
            .fact_kinds()
            .await
            .iter()
            .filter(|kind| *kind == "NodeServerWentOffline")
            .count(),
        1
    );
    let (_, fact) = watch.world.facts().await.pop().unwrap();
    let told: Value = json!([
        fact["node_server_id"],
        fact["from"],
        fact["since"],
        fact["version"]
    ]);
    assert_eq!(told, json!([1, "offline", "2026-03-10T10:35:25Z", 1]));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_report_from_before_a_server_was_marked_does_not_bring_it_back(pool: PgPool) {
    let watch = Watch::online(pool, 3).await;
    watch.beat_at(&[2, 3], 310).await;
    assert_eq!(watch.refresh(310).await.offline, 1);
    // Each within the timeout when it comes.
    for end in [60, 200, 309] {
        watch.beat(&[1], end).await;
        assert_eq!(
            watch.run(310).await,
            Refreshed {
                corrected: 1,
                ..NOTHING
            }
        );
        assert_eq!(watch.statuses().await[0], "offline");
    }
    // It was alive until then, says the log now.
    assert_eq!(
        watch.log(1).await,
        log_of(&[("online", 0), ("offline", 309)])
    );
    watch.beat(&[1], 310).await;
    assert_eq!(watch.run(311).await.online, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_report_from_the_future_keeps_no_server_alive_longer(pool: PgPool) {
    let watch = Watch::over(pool, 3).await;
    watch.beat(&[1], 299).await;
    watch.beat(&[2, 3], 0).await;
    watch.refresh(0).await;
    watch.beat_at(&[2, 3], 301).await;
    // One that is late besides: what counts is when it was sent.
    watch.beat_sent(1, 290, 0).await;
    assert_eq!(watch.refresh(301).await.offline, 1);
    watch.beat_sent(1, 400, 290).await;
    assert_eq!(watch.refresh(302).await.online, 0);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_server_with_late_reports_comes_back_with_two_after_the_mark(pool: PgPool) {
    let watch = Watch::online(pool, 3).await;
    watch.beat_at(&[2, 3], 310).await;
    assert_eq!(watch.refresh(310).await.offline, 1);
    let mut back = Vec::new();
    // Each report is four minutes old when it arrives.
    for minute in 6..=11 {
        watch.beat_at(&[2, 3], minute * 60).await;
        watch.beat(&[1], (minute - 4) * 60).await;
        if watch.refresh(minute * 60).await.online == 1 {
            back.push(minute);
        }
    }
    assert_eq!(
        (back, watch.statuses().await[0].as_str()),
        (vec![11], "online")
    );
    // It was never gone.
    assert_eq!(watch.log(1).await, log_of(&[("online", 0)]));
}

/// A report from after the server was marked, and older than half the timeout when it comes.
#[rstest::rstest]
#[case::by_a_little(420, 600)]
#[case::by_a_lot(360, 630)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_single_late_report_does_not_flap(
    #[ignore] pool: PgPool,
    #[case] end: i64,
    #[case] comes: i64,
) {
    let watch = Watch::online(pool, 3).await;
    watch.beat_at(&[2, 3], 330).await;
    assert_eq!(watch.refresh(330).await.offline, 1);
    for seconds in (360..=960).step_by(30) {
        watch.beat_at(&[2, 3], seconds).await;
        if seconds == comes {
            watch.beat(&[1], end).await;
        }
        watch.run(seconds).await;
        assert_eq!(watch.statuses().await[0], "offline", "{seconds}");
    }
    assert_eq!(watch.fact_kinds().await[3..], ["NodeServerWentOffline"]);
    // One that is on time brings it back.
    watch.beat_at(&[1, 2, 3], 980).await;
    assert_eq!(watch.run(990).await.online, 1);
}

/// Servers report once a minute, each at its own second; at 600 the collection breaks.
#[rstest::rstest]
#[case::two(2)]
#[case::three(3)]
#[case::many(30)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn no_server_is_marked_while_the_collection_breaks(
    #[ignore] pool: PgPool,
    #[case] servers: i32,
) {
    let watch = Watch::over(pool, servers).await;
    for minute in 0..10 {
        for server in 1..=servers {
            watch
                .beat_at(&[server], minute * 60 + i64::from(server * 59 / servers))
                .await;
        }
        watch.run(minute * 60 + 59).await;
    }
    for seconds in (659..1_500).step_by(60) {
        watch.run(seconds).await;
    }
    let facts = watch.fact_kinds().await;
    assert_eq!(
        facts[usize::try_from(servers).unwrap()..],
        ["CollectionStopped"]
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_outage_of_the_database_is_not_one_of_the_collection(pool: PgPool) {
    let watch = Watch::online(pool, 3).await;
    // The job is the first that reaches the database again.
    assert_eq!(watch.run(3_600).await, NOTHING);
    watch.beat_at(&[1, 2, 3], 3_610).await;
    assert_eq!(watch.refresh(3_660).await, NOTHING);
    assert_eq!(watch.fact_kinds().await, ["NodeServerCameOnline"; 3]);
}

/// The job does not run from 60 to 3600, and the third server is silent from 600 to 3000. What was
/// sent meanwhile arrives when the job runs again, or long after that.
#[rstest::rstest]
#[case::at_once(3_600)]
#[case::an_hour_later(7_200)]
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn time_in_which_the_job_did_not_run_is_unknown_and_stays_so(
    #[ignore] pool: PgPool,
    #[case] arrives: i64,
) {
    let watch = Watch::online(pool, 3).await;
    watch.refresh(60).await;
    for minute in 60..=125 {
        watch.beat_at(&[1, 2, 3], minute * 60).await;
        if minute * 60 == arrives {
            for minute in 1..=60 {
                let alive: &[i32] = if (11..50).contains(&minute) {
                    &[1, 2]
                } else {
                    &[1, 2, 3]
                };
                watch.beat(alive, minute * 60).await;
            }
        }
        watch.run(minute * 60).await;
    }
    for server in 1..=3 {
        assert_eq!(watch.log(server).await, log_of(&[("online", 0)]));
    }
    assert_eq!(watch.collection_outages().await, [(60, 3_600)]);
    assert_eq!(watch.fact_kinds().await, ["NodeServerCameOnline"; 3]);
    let end = 125 * 60;
    let (online, unknown) = watch.online_and_unknown_seconds(3, 0, end).await;
    assert_eq!((online, unknown), (end - 3_540, 3_540));
}

/// Nothing arrives from 60 to 1200. The reports of that time arrive afterwards.
#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn time_in_which_no_server_was_heard_is_unknown_and_stays_so(pool: PgPool) {
    let watch = Watch::online(pool, 3).await;
    watch.beat_at(&[1, 2, 3], 60).await;
    assert!(watch.refresh(1_200).await.collection_stopped);
    watch.world.clock.set(after(1_230));
    for minute in 2..=20 {
        watch.beat(&[1, 2, 3], minute * 60).await;
    }
    for minute in 21..=27 {
        watch.beat_at(&[1, 2, 3], minute * 60).await;
        watch.refresh(minute * 60).await;
    }
    assert_eq!(watch.collection_outages().await, [(60, 1_260)]);
    for server in 1..=3 {
        assert_eq!(watch.log(server).await, log_of(&[("online", 0)]));
    }
    let (online, unknown) = watch.online_and_unknown_seconds(1, 0, 1_620).await;
    assert_eq!((online, unknown), (420, 1_200));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn silence_of_all_servers_is_an_outage_of_the_collection(pool: PgPool) {
    let watch = Watch::online(pool, 3).await;
    for seconds in [301, 361, 900] {
        assert!(watch.refresh(seconds).await.collection_stopped);
    }
    assert_eq!(watch.statuses().await, ["online", "online", "online"]);
    // It comes back, one server first: the others get their time.
    watch.beat(&[2], 895).await;
    assert_eq!(watch.refresh(905).await, NOTHING);
    watch.beat_at(&[2, 3], 1_000).await;
    watch.beat_at(&[2, 3], 1_205).await;
    assert_eq!(watch.refresh(1_205).await, NOTHING);
    watch.beat_at(&[2, 3], 1_206).await;
    assert_eq!(
        watch.refresh(1_206).await,
        Refreshed {
            offline: 1,
            ..NOTHING
        }
    );
    let facts = watch.fact_kinds().await;
    assert_eq!(
        facts[3..],
        [
            "CollectionStopped",
            "CollectionResumed",
            "NodeServerWentOffline"
        ]
    );
    assert_eq!(watch.collection_outages().await, [(0, 895)]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn after_a_pause_of_the_job_silence_counts_from_its_next_run(pool: PgPool) {
    let watch = Watch::online(pool, 3).await;
    // The database was out of reach for an hour; of what waits in the queue one server's reports
    // come first.
    watch.beat_at(&[2], 3_600).await;
    assert_eq!(watch.run(3_600).await, NOTHING);
    watch.beat_at(&[2, 3], 3_900).await;
    assert_eq!(watch.refresh(3_900).await, NOTHING);
    watch.beat_at(&[2, 3], 3_901).await;
    assert_eq!(
        watch.refresh(3_901).await,
        Refreshed {
            offline: 1,
            ..NOTHING
        }
    );
    assert_eq!(watch.log(1).await, log_of(&[("online", 0), ("offline", 0)]));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_missed_run_delays_nothing(pool: PgPool) {
    let watch = Watch::online(pool, 3).await;
    watch.refresh(180).await;
    watch.beat_at(&[2, 3], 301).await;
    assert_eq!(watch.run(301).await.offline, 1);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_last_server_that_could_be_heard_has_outages_of_its_own(pool: PgPool) {
    let watch = Watch::online(pool, 3).await;
    // Of the others one is offline, one in maintenance, and one was put down as online and never
    // heard.
    watch.world.server(4, &[]).await;
    watch
        .world
        .sql("update telecom.node_server set status = 'maintenance' where id = 3")
        .await;
    watch.beat_at(&[1], 301).await;
    assert_eq!(watch.refresh(301).await.offline, 1);
    watch
        .world
        .sql("update telecom.node_server set status = 'online' where id = 4")
        .await;
    let last = watch.refresh(602).await;
    assert_eq!((last.offline, last.collection_stopped), (1, false));
    assert_eq!(
        watch.statuses().await,
        ["offline", "offline", "maintenance", "online"]
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_server_set_to_online_that_never_reports_is_marked(pool: PgPool) {
    let watch = Watch::online(pool, 2).await;
    watch.world.server(3, &[]).await;
    watch
        .world
        .sql("update telecom.node_server set status = 'online' where id = 3")
        .await;
    assert_eq!(watch.refresh(60).await, NOTHING);
    watch.beat_at(&[1, 2], 360).await;
    assert_eq!(watch.refresh(360).await, NOTHING);
    watch.beat_at(&[1, 2], 361).await;
    assert_eq!(
        watch.refresh(361).await,
        Refreshed {
            offline: 1,
            ..NOTHING
        }
    );
    assert_eq!(
        watch.log(3).await,
        log_of(&[("online", 60), ("offline", 60)])
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn of_a_server_that_was_never_heard_nothing_is_logged(pool: PgPool) {
    let watch = Watch::over(pool, 2).await;
    watch.beat(&[1], 0).await;
    watch.refresh(60).await;
    assert!(watch.log(2).await.is_empty());
    watch.beat_at(&[2], 90).await;
    watch.refresh(120).await;
    assert_eq!(watch.log(2).await, log_of(&[("online", 90)]));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn jobs_at_once_and_again_publish_each_change_once(pool: PgPool) {
    let watch = Watch::over(pool, 3).await;
    watch.beat(&[1, 2, 3], 0).await;
    let all = futures::future::join_all((0..8).map(|_| watch.run(1))).await;
    assert_eq!(
        all.iter().map(|refreshed| refreshed.online).sum::<usize>(),
        3
    );
    watch.run(1).await;
    assert_eq!(watch.fact_kinds().await, ["NodeServerCameOnline"; 3]);
    assert_eq!(
        watch
            .world
            .number("select count(*) from telecom.node_status_transition where until is null")
            .await,
        3
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_status_changed_past_the_timeline_is_added_to_it(pool: PgPool) {
    let watch = Watch::online(pool, 3).await;
    watch
        .world
        .sql("update telecom.node_server set status = 'offline' where id = 1")
        .await;
    watch
        .world
        .sql("update telecom.node_server set status = 'maintenance' where id = 2")
        .await;
    watch.beat_at(&[1, 2, 3], 50).await;
    assert_eq!(
        watch.refresh(60).await,
        Refreshed {
            online: 1,
            ..NOTHING
        }
    );
    assert_eq!(watch.statuses().await, ["online", "maintenance", "online"]);
    assert_eq!(
        watch.log(2).await,
        log_of(&[("online", 0), ("maintenance", 60)])
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_heartbeat_does_not_write_the_servers_row(pool: PgPool) {
    let watch = Watch::online(pool, 2).await;
    // Where the row is, who wrote it, and who locked it last.
    let rows = async || -> Vec<(String, String, String)> {
        let rows = "select ctid::text, xmin::text, xmax::text from telecom.node_server order by id";
        sqlx::query_as(rows)
            .fetch_all(&watch.world.pool)
            .await
            .unwrap()
    };
    let before = rows().await;
    for minute in 1..4 {
        watch.beat_at(&[1, 2], minute * 60).await;
    }
    assert_eq!(rows().await, before);
}
