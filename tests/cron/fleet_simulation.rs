//! Ninety days of a fleet to which everything happens that may (`tests/support/fleet.rs`): what was
//! recorded in the end is what happened, without false alarms.
//!
//! The rules alone take a few servers by the minute, with the default timeout, and 200 by the hour:
//! there an hour is what a minute is by default. The job on the database takes some hours by the
//! minute, and the same 200 by the hour.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::json;
use shared::config::TelecomConfig;
use shared::domain::node::NodeServerStatus;
use shared::domain::server_status::{
    CollectionHealth, Evaluation, FleetSnapshot, HeartbeatRun, ManualChange, OfflinePolicy,
    OpenInterval, ServerState, StatusChange, StatusInterval, StatusTimeline, WatchState, evaluate,
};
use shared::services::Processor;
use shared::services::change::Requested;
use shared::services::cron::refresh_server_status::{RefreshServerStatus, Refreshed};
use shared::services::cron::{Run, TelecomCronExecutor};
use shared::services::manage::{ManageService, SetNodeServerMaintenance};
use sqlx::PgPool;
use telecom_tests::fleet::{Fleet, Life, Report, Seconds, Span};
use telecom_tests::report::report_of;
use telecom_tests::watch::after;
use telecom_tests::{NOW, World, actor, at, unreachable_publisher};
use uuid::Uuid;

fn seconds(moment: DateTime<Utc>) -> Seconds {
    (moment - at(NOW)).num_seconds()
}

/// The rules, without a database: what the job does, in a few lines.
struct Rules {
    policy: OfflinePolicy,
    fleet: FleetSnapshot,
    state: WatchState,
    servers: Vec<(ServerState, StatusTimeline)>,
    alarms: usize,
    collection_alarms: usize,
}

/// A heartbeat that arrived late, and its server.
type LateHeartbeat = (i32, DateTime<Utc>);

impl Rules {
    fn new(fleet: &Fleet) -> Self {
        let server = |node_server_id| {
            let server = ServerState {
                node_server_id,
                name: String::new(),
                status: NodeServerStatus::Offline,
                last_heartbeat_at: None,
                open_interval: None,
            };
            (server, StatusTimeline::of(node_server_id))
        };
        Self {
            policy: OfflinePolicy {
                offline_timeout: TimeDelta::seconds(fleet.timeout()),
            },
            fleet: FleetSnapshot::default(),
            state: WatchState::default(),
            servers: (1..=fleet.life.servers).map(server).collect(),
            alarms: 0,
            collection_alarms: 0,
        }
    }

    /// Takes reports, and adds the heartbeats within outages among them to `late`.
    fn ingest(&mut self, reports: &[Report], late: &mut Vec<LateHeartbeat>) {
        for report in reports {
            let (server, timeline) = &mut self.servers[usize::try_from(report.server - 1).unwrap()];
            let seen_at = after(report.period_end.min(report.sent_at));
            let falls_into = |interval: &&StatusInterval| {
                interval.since < seen_at && interval.until.is_none_or(|until| until > seen_at)
            };
            let interval = timeline.intervals.iter().rev().find(falls_into);
            if interval.is_some_and(|interval| interval.to == NodeServerStatus::Offline) {
                late.push((report.server, seen_at));
            }
            server.last_heartbeat_at = server.last_heartbeat_at.max(Some(seen_at));
            self.fleet.last_heartbeat_at = self.fleet.last_heartbeat_at.max(Some(seen_at));
        }
    }

    fn refresh(&mut self, now: DateTime<Utc>, late: &mut Vec<LateHeartbeat>) {
        let online = self
            .servers
            .iter()
            .filter(|(server, _)| server.status == NodeServerStatus::Online);
        self.fleet.online_servers = i64::try_from(online.count()).unwrap();
        let by = self.evaluation(now);
        late.sort_unstable();
        late.dedup();
        for (server, timeline) in &mut self.servers {
            let runs: Vec<HeartbeatRun> = late
                .iter()
                .filter(|(id, _)| *id == server.node_server_id)
                .map(|&(_, at)| HeartbeatRun {
                    first: at,
                    last: at,
                })
                .collect();
            let stays = by
                .cutoffs
                .is_none_or(|cutoffs| server.next_status(&cutoffs).is_none());
            if stays && runs.is_empty() && !server.is_missing_from_timeline() {
                continue;
            }
            if let Some(change) = server.update(timeline, &runs, &by) {
                server.status = change.to;
                self.alarms += usize::from(change.to == NodeServerStatus::Offline);
            }
            server.open_interval = open_interval(timeline);
        }
        late.clear();
        self.state.last_run_at = Some(now);
    }

    fn evaluation(&mut self, now: DateTime<Utc>) -> Evaluation {
        let health = evaluate(&self.fleet, &self.state, &self.policy, now);
        match health {
            CollectionHealth::Stopped { since, is_new } => {
                self.collection_alarms += usize::from(is_new);
                self.fleet.open_outage_since = self.fleet.open_outage_since.or(Some(since));
            }
            CollectionHealth::Working { cutoffs, .. } => {
                self.fleet.open_outage_since = None;
                self.state.silence_counts_from = cutoffs.silence_counts_from;
            }
        }
        Evaluation {
            cutoffs: health.cutoffs(),
            offline_timeout: self.policy.offline_timeout,
            now,
        }
    }

    fn set_maintenance(&mut self, id: i32, maintenance: bool, now: DateTime<Utc>) {
        let by = Evaluation {
            cutoffs: evaluate(&self.fleet, &self.state, &self.policy, now).cutoffs(),
            offline_timeout: self.policy.offline_timeout,
            now,
        };
        let (server, timeline) = &mut self.servers[usize::try_from(id - 1).unwrap()];
        let to = if maintenance {
            NodeServerStatus::Maintenance
        } else {
            server.status_after_maintenance(by.cutoffs.as_ref())
        };
        let author = ManualChange {
            actor: Uuid::nil(),
            reason: "a disk".to_owned(),
        };
        let changes = server.set_by_hand(timeline, to, &by, author);
        let offline = |change: &&StatusChange| change.to == NodeServerStatus::Offline;
        self.alarms += changes.iter().filter(offline).count();
        server.status = to;
        server.open_interval = open_interval(timeline);
    }
}

fn open_interval(timeline: &StatusTimeline) -> Option<OpenInterval> {
    let last = timeline.last()?;
    Some(OpenInterval {
        status: last.to,
        since: last.since,
        detected_at: last.detected_at,
    })
}

/// The maintenance that begins or ends in a step.
fn maintenance_of(fleet: &Fleet, step: i64) -> Vec<(i32, bool)> {
    let seconds = fleet.life.step_seconds;
    let step_of = |moment: Seconds| moment.div_euclid(seconds) + 1;
    let begins = fleet
        .events
        .maintenance
        .iter()
        .filter(|(span, _)| step_of(span.0) == step)
        .map(|(_, id)| (*id, true));
    let ends = fleet
        .events
        .maintenance
        .iter()
        .filter(|(span, _)| step_of(span.1) == step)
        .map(|(_, id)| (*id, false));
    begins.chain(ends).collect()
}

fn live_by_the_rules(life: Life) -> (Fleet, Rules) {
    let mut fleet = Fleet::new(life);
    let mut rules = Rules::new(&fleet);
    let mut late = Vec::new();
    for step in 1..=life.steps {
        let now = after(step * life.step_seconds);
        rules.ingest(&fleet.pass(step), &mut late);
        for (id, maintenance) in maintenance_of(&fleet, step) {
            rules.set_maintenance(id, maintenance, now);
        }
        if fleet.job_runs(step) {
            rules.refresh(now, &mut late);
        }
    }
    (fleet, rules)
}

fn check_rules(fleet: &Fleet, rules: &Rules) {
    for (server, timeline) in &rules.servers {
        let intervals = &timeline.intervals;
        let recorded: Vec<Span> = intervals
            .iter()
            .filter(|interval| interval.to == NodeServerStatus::Offline)
            .filter_map(|interval| Some((seconds(interval.since), seconds(interval.until?))))
            .collect();
        fleet.check(server.node_server_id, &recorded);
        let follows = |pair: &[StatusInterval]| pair[0].until == Some(pair[1].since);
        assert!(
            intervals.windows(2).all(follows),
            "a timeline without a gap"
        );
    }
    // Of a fleet that is mostly gone the last two may well go at once.
    assert!(
        rules.collection_alarms == fleet.events.collection.len() || fleet.life.longest_up < 300
    );
    assert!(
        rules.alarms <= fleet.most_alarms(),
        "{} alarms, in truth {}",
        rules.alarms,
        fleet.most_alarms()
    );
}

#[test]
fn by_the_rules_90_days_of_200_servers_by_the_hour_are_recorded_as_they_were() {
    let life = Life {
        seed: 2,
        servers: 200,
        steps: 90 * 24,
        step_seconds: 3_600,
        longest_up: 900,
    };
    let (fleet, rules) = live_by_the_rules(life);
    check_rules(&fleet, &rules);
}

#[test]
fn by_the_rules_90_days_by_the_minute_are_recorded_as_they_were() {
    let life = Life {
        seed: 4,
        servers: 12,
        steps: 90 * 24 * 60,
        step_seconds: 60,
        longest_up: 2_000,
    };
    let (fleet, rules) = live_by_the_rules(life);
    check_rules(&fleet, &rules);
    assert!(
        rules.alarms > 500,
        "{} outages are not worth a test",
        rules.alarms
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None,
        ..ProptestConfig::default() })]
    #[test]
    fn by_the_rules_any_days_are_recorded_as_they_were(seed: u64, longest_up in 60_i64..2_000) {
        let life = Life { seed, servers: 24, steps: 2 * 24 * 60, step_seconds: 60, longest_up };
        let (fleet, rules) = live_by_the_rules(life);
        check_rules(&fleet, &rules);
    }
}

fn body(report: &Report) -> (String, DateTime<Utc>) {
    let mut body = report_of(report.id, report.server, after(report.period_end), &[]);
    // The period's beginning is not what the rules go by.
    body["period_start"] = json!(after(report.period_end - 1));
    (body.to_string(), after(report.sent_at))
}

async fn live_on_the_database(pool: PgPool, life: Life) {
    let world = World::new(pool).await;
    let servers = "insert into telecom.node_server (id, name, compatibility) select n, 's', 'ssp' \
        from generate_series(2, $1) n";
    sqlx::query(servers)
        .bind(life.servers)
        .execute(&world.pool)
        .await
        .unwrap();
    let mut fleet = Fleet::new(life);
    let offline_timeout = TimeDelta::seconds(fleet.timeout());
    let config = TelecomConfig {
        node_health_check: OfflinePolicy { offline_timeout },
        ..TelecomConfig::default()
    };
    let admin = ManageService::new(world.api.clone(), world.context(), config);
    let job = TelecomCronExecutor::new(
        world.writer.clone(),
        unreachable_publisher(),
        world.context(),
        config,
    );
    let run = || async {
        job.process(RefreshServerStatus(Run::default()))
            .await
            .unwrap()
    };
    for step in 1..=life.steps {
        world.clock.set(after(step * life.step_seconds));
        let messages: Vec<_> = fleet.pass(step).iter().map(body).collect();
        if !messages.is_empty() {
            assert_eq!(world.report_sent(&messages).await, Vec::<String>::new());
        }
        for (id, maintenance) in maintenance_of(&fleet, step) {
            let reason = "a disk".to_owned();
            admin
                .process(Requested::by(
                    actor(0),
                    SetNodeServerMaintenance {
                        id,
                        maintenance,
                        reason,
                    },
                ))
                .await
                .unwrap();
        }
        // Now and then two run at once.
        let twice = || async {
            if step % 50 == 0 {
                run().await
            } else {
                Refreshed::default()
            }
        };
        if fleet.job_runs(step) {
            tokio::join!(run(), twice());
        }
    }
    check_database(&world, &fleet).await;
}

async fn check_database(world: &World, fleet: &Fleet) {
    for server in 1..=fleet.life.servers {
        let log: Vec<(String, DateTime<Utc>, Option<DateTime<Utc>>)> = sqlx::query_as(
            "select to_status::text, since, until from telecom.node_status_transition
            where node_server_id = $1
             order by since, until nulls last",
        )
        .bind(server)
        .fetch_all(&world.pool)
        .await
        .unwrap();
        assert!(
            log.windows(2).all(|pair| pair[0].2 == Some(pair[1].1)),
            "a log without a gap: {log:?}"
        );
        let offline = log.iter().filter(|(to, ..)| to == "offline");
        let recorded: Vec<Span> = offline
            .filter_map(|(_, since, until)| Some((seconds(*since), seconds((*until)?))))
            .collect();
        fleet.check(server, &recorded);
    }
    // Each edge is said once: of each server by turns that it went and that it came.
    let kinds: Vec<(String, i32)> = sqlx::query_as(
        "select detail_type, (body::jsonb ->> 'node_server_id')::int from telecom.outbox
        where detail_type like 'NodeServer%'
         order by 2, created_at, id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let maintained: Vec<i32> = fleet.events.maintenance.iter().map(|(_, id)| *id).collect();
    let repeats = kinds
        .windows(2)
        .filter(|pair| pair[0] == pair[1] && !maintained.contains(&pair[0].1))
        .count();
    assert_eq!(repeats, 0, "each edge is said once");
    let collection = "select count(*) from telecom.outbox where detail_type = 'CollectionStopped'";
    assert_eq!(
        usize::try_from(world.number(collection).await).unwrap(),
        fleet.events.collection.len()
    );
    let alarms = kinds
        .iter()
        .filter(|(kind, _)| kind == "NodeServerWentOffline")
        .count();
    assert!(
        alarms <= fleet.most_alarms(),
        "{alarms} alarms, in truth {}",
        fleet.most_alarms()
    );
    assert!(alarms > 40, "{alarms} outages are not worth a test");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn on_the_database_hours_by_the_minute_are_recorded_as_they_were(pool: PgPool) {
    let life = Life {
        seed: 1,
        servers: 40,
        steps: 12 * 60,
        step_seconds: 60,
        longest_up: 200,
    };
    live_on_the_database(pool, life).await;
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn on_the_database_90_days_by_the_hour_are_recorded_as_they_were(pool: PgPool) {
    let life = Life {
        seed: 2,
        servers: 200,
        steps: 90 * 24,
        step_seconds: 3_600,
        longest_up: 900,
    };
    live_on_the_database(pool, life).await;
}
