//! Ninety days of a fleet to which everything happens that may (`tests/support/fleet.rs`): what was
//! recorded in the end is what happened, and nobody cried wolf.
//!
//! The rules alone take a few servers by the minute, with the default timeout, and 200 by the hour:
//! there an hour is what a minute is by default. The job on the database takes some hours by the
//! minute, and the same 200 by the hour.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::json;
use shared::config::{NodeHealthCheck, TelecomConfig};
use shared::domain::node::NodeServerStatus;
use shared::domain::node_log::{ByHand, ServerLog, Signs, Spell};
use shared::domain::node_status::{
    Heard, Judgement, Patience, Silence, Verdict, judge, own_silences,
};
use shared::domain::node_watch::{self, Logged, Watched};
use shared::services::Processor;
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
    patience: Patience,
    heard: Heard,
    servers: Vec<(Watched, ServerLog)>,
    /// What was heard of each server, to look back at.
    signs: BTreeMap<i32, BTreeSet<DateTime<Utc>>>,
    alarms: usize,
    collection_alarms: usize,
}

impl Rules {
    fn new(fleet: &Fleet) -> Self {
        let server = |node_server_id| {
            let (name, status) = (String::new(), NodeServerStatus::Offline);
            let server = Watched {
                node_server_id,
                name,
                status,
                last_online_at: None,
                logged: None,
            };
            (
                server,
                ServerLog {
                    node_server_id,
                    spells: Vec::new(),
                },
            )
        };
        let patience = Patience {
            offline_timeout: TimeDelta::seconds(fleet.timeout()),
        };
        let servers = (1..=fleet.life.servers).map(server).collect();
        Self {
            patience,
            heard: Heard::default(),
            servers,
            signs: BTreeMap::new(),
            alarms: 0,
            collection_alarms: 0,
        }
    }

    /// Takes reports; answers the late ones among them: signs of life within outages, by server.
    fn ingest(&mut self, reports: &[Report], late: &mut Vec<(i32, DateTime<Utc>)>) {
        for report in reports {
            let (server, log) = &mut self.servers[usize::try_from(report.server - 1).unwrap()];
            let seen_at = after(report.period_end.min(report.sent_at));
            let falls_into = |spell: &&Spell| {
                spell.since < seen_at && spell.until.is_none_or(|until| until > seen_at)
            };
            if log
                .spells
                .iter()
                .rev()
                .find(falls_into)
                .is_some_and(|spell| spell.to == NodeServerStatus::Offline)
            {
                late.push((report.server, seen_at));
            }
            let is_of_then =
                self.heard.unjudged_from <= Some(seen_at) && Some(seen_at) < self.heard.heard_from;
            self.heard.is_settled &= !is_of_then;
            self.signs.entry(report.server).or_default().insert(seen_at);
            server.last_online_at = server.last_online_at.max(Some(seen_at));
            self.heard.last = self.heard.last.max(Some(seen_at));
        }
    }

    fn refresh(&mut self, now: DateTime<Utc>, late: &mut Vec<(i32, DateTime<Utc>)>) {
        let is_online =
            |(server, _): &&(Watched, ServerLog)| server.status == NodeServerStatus::Online;
        self.heard.online = i64::try_from(self.servers.iter().filter(is_online).count()).unwrap();
        let judgement = self.judgement(now);
        late.sort_unstable();
        late.dedup();
        for (server, log) in &mut self.servers {
            let signs: Vec<Signs> = late
                .iter()
                .filter(|(id, _)| *id == server.node_server_id)
                .map(|(_, sign)| (*sign, *sign))
                .collect();
            let is_quiet = judgement.is_none_or(|judgement| server.judge(&judgement).is_none());
            if is_quiet && signs.is_empty() && !server.is_news_to_the_log() {
                continue;
            }
            let times = (self.patience.offline_timeout, now);
            if let Some(edge) = node_watch::refresh(server, log, judgement.as_ref(), &signs, times)
            {
                server.status = edge.to;
                self.alarms += usize::from(edge.to == NodeServerStatus::Offline);
            }
            server.logged = logged(log);
        }
        late.clear();
        self.heard.ran_at = Some(now);
        self.settle(judgement.as_ref(), now);
    }

    fn judgement(&mut self, now: DateTime<Utc>) -> Option<Judgement> {
        match judge(&self.heard, &self.patience, now) {
            Verdict::CollectionStopped { since, begins } => {
                self.collection_alarms += usize::from(begins);
                self.heard.outage_since = self.heard.outage_since.or(Some(since));
                None
            }
            Verdict::Judge { judgement, .. } => {
                self.heard.outage_since = None;
                self.heard.heard_from = judgement.heard_from;
                self.heard.unjudged_from = judgement.unjudged_from;
                self.heard.is_settled &= judgement.heard_from != Some(now);
                Some(judgement)
            }
        }
    }

    /// Adds servers' own silences in the time that nobody judged.
    fn settle(&mut self, judgement: Option<&Judgement>, now: DateTime<Utc>) {
        let Some((since, until)) = judgement
            .and_then(Judgement::unjudged)
            .filter(|_| !self.heard.is_settled)
        else {
            return;
        };
        self.heard.is_settled = true;
        let timeout = self.patience.offline_timeout;
        let silences = |signs: &BTreeSet<DateTime<Utc>>| -> Vec<Silence> {
            let signs: Vec<_> = signs.range(since - timeout * 2..).copied().collect();
            let silences = signs.windows(2).map(|pair| (pair[0], pair[1]));
            silences
                .filter(|(from, to)| *to - *from > timeout && *to > since && *from < until)
                .collect()
        };
        let of_then = self
            .signs
            .values()
            .flat_map(|signs| signs.range(since - timeout * 2..));
        let of_all = silences(&of_then.copied().collect());
        for (server, log) in &mut self.servers {
            if let Some(signs) = self.signs.get(&server.node_server_id) {
                log.add_outages(
                    &own_silences(&silences(signs), &of_all, timeout),
                    timeout,
                    now,
                );
                server.logged = logged(log);
            }
        }
    }

    fn set_maintenance(&mut self, id: i32, maintenance: bool, now: DateTime<Utc>) {
        let judgement = judge(&self.heard, &self.patience, now).judgement();
        let (server, log) = &mut self.servers[usize::try_from(id - 1).unwrap()];
        let to = if maintenance {
            NodeServerStatus::Maintenance
        } else {
            server.after_maintenance(judgement.as_ref())
        };
        let by = ByHand {
            actor: Uuid::nil(),
            reason: "a disk".to_owned(),
        };
        let edges = node_watch::set_by_hand(server, log, judgement.as_ref(), (to, now), by);
        self.alarms += edges
            .iter()
            .filter(|edge| edge.to == NodeServerStatus::Offline)
            .count();
        server.status = to;
        server.logged = logged(log);
    }
}

fn logged(log: &ServerLog) -> Option<Logged> {
    let &Spell {
        to: status,
        since,
        detected_at,
        ..
    } = log.last()?;
    Some(Logged {
        status,
        since,
        detected_at,
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
    for (server, log) in &rules.servers {
        let offline = log
            .spells
            .iter()
            .filter(|spell| spell.to == NodeServerStatus::Offline);
        let recorded: Vec<Span> = offline
            .filter_map(|spell| Some((seconds(spell.since), seconds(spell.until?))))
            .collect();
        fleet.check(server.node_server_id, &recorded);
        assert!(
            log.spells
                .windows(2)
                .all(|pair| pair[0].until == Some(pair[1].since)),
            "a log without a gap"
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
    let offline_timeout = Duration::from_secs(fleet.timeout().try_into().unwrap());
    let config = TelecomConfig {
        node_health_check: NodeHealthCheck { offline_timeout },
        ..TelecomConfig::default()
    };
    let admin = ManageService::new(world.writer.clone(), world.context(), config);
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
                .process(SetNodeServerMaintenance {
                    id,
                    maintenance,
                    reason,
                    actor: actor(0),
                })
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
