//! Tests of the simulator, its account file and the tokens, without a database.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;
use shared::auth::Authenticator;
use shared::clock::{Clock, Fixed};
use shared::config::{AuthConfig, JwksConfig};
use shared::events::usage_report::UsageReport;
use uuid::Uuid;

use super::harness::{Memory, account, now, options, simulate};
use crate::demo::account::{self as book, Account};
use crate::demo::fleet::{ADMIN, DEMO_USER, Fleet};
use crate::demo::script::{Load, Script};
use crate::demo::token::{AUDIENCE, ISSUER, Issuer, Role};

fn ids(bodies: &[String]) -> Vec<Uuid> {
    bodies
        .iter()
        .map(|body| UsageReport::parse(body, now()).unwrap().report_id)
        .collect()
}

#[test]
fn the_demo_fleet_is_large_and_varied() {
    let fleet = Fleet::plan(1);
    let countries: HashSet<&str> = fleet.servers.iter().map(|server| server.country).collect();
    let clients: usize = fleet
        .servers
        .iter()
        .map(|server| server.clients.len())
        .sum();
    let users: HashSet<&Uuid> = fleet.users.iter().collect();
    assert!(
        fleet.servers.len() >= 20 && countries.len() >= 8 && clients >= 40 && users.len() >= 500
    );
    assert_eq!(fleet.users.first(), Some(&DEMO_USER));
    assert!(fleet.servers.last().unwrap().clients.is_empty());
}

#[tokio::test]
async fn the_same_seed_repeats_a_run() {
    let run = async |seconds| {
        let folder = tempfile::tempdir().unwrap();
        simulate(
            &folder,
            &*Fixed::at(now()),
            Memory::default(),
            options(seconds),
        )
        .await
    };
    let (first, second) = (run(30).await, run(30).await);
    assert_eq!(first, second);
    assert_eq!(
        first.0.sent,
        u64::try_from(ids(&first.1).into_iter().collect::<HashSet<_>>().len()).unwrap()
    );
}

#[test]
fn planned_reports_have_distinct_ids_and_valid_periods() {
    let mut script = Script::new(&Fleet::plan(3), Load::default(), now());
    let planned: Vec<_> = (0..2_000).map(|_| script.next_report()).collect();
    assert!(
        planned.iter().any(|p| p.sends.len() == 3)
            && planned.iter().any(|p| p.sends[0] > Duration::ZERO)
    );
    for report in planned.iter().map(|planned| &planned.report) {
        assert!(report.start <= report.end && report.end <= now() + TimeDelta::seconds(200));
    }
    let distinct: HashSet<Uuid> = planned.iter().map(|planned| planned.report.id).collect();
    assert_eq!(distinct.len(), planned.len());
}

#[tokio::test]
async fn a_repeated_report_has_the_same_id_and_usage() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Memory {
        fail_every: Some(5),
        ..Memory::default()
    };
    let (totals, bodies) = simulate(&folder, &*Fixed::at(now()), sink, options(60)).await;
    let mut usage: HashMap<Uuid, Vec<u8>> = HashMap::new();
    for body in &bodies {
        let report = UsageReport::parse(body, now()).unwrap();
        let hash = report.payload_hash();
        assert_eq!(
            usage
                .entry(report.report_id)
                .or_insert_with(|| hash.clone()),
            &hash
        );
    }
    assert_eq!(u64::try_from(usage.len()).unwrap(), totals.sent);
    assert!(
        bodies.len() > usage.len() && totals.failed > 0 && totals.uncertain == 0,
        "{totals}"
    );
}

#[tokio::test]
async fn the_next_run_first_sends_what_the_last_could_not() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Fixed::at(now() - TimeDelta::minutes(5));
    let dead = Memory {
        dead: true,
        ..Memory::default()
    };
    let (lost, bodies) = simulate(&folder, &*clock, dead, options(5)).await;
    assert_eq!((lost.sent, bodies.len()), (0, 0));
    assert_eq!(lost.uncertain, 50);

    clock.set(now());
    let (totals, bodies) = simulate(&folder, &*clock, Memory::default(), options(5)).await;
    assert_eq!((totals.resent, totals.sent, totals.uncertain), (50, 100, 0));
    let book = book::read(&account(&folder)).unwrap();
    let before: HashSet<Uuid> = book
        .reports
        .iter()
        .take(50)
        .map(|report| report.id)
        .collect();
    assert_eq!(
        ids(&bodies).into_iter().take(50).collect::<HashSet<_>>(),
        before
    );
    assert_eq!(
        (book.runs, book.reports.len(), book.sent.len()),
        (2, 100, 100)
    );
}

#[test]
fn an_account_truncated_by_a_crash_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let path = account(&folder);
    let mut script = Script::new(&Fleet::plan(3), Load::default(), now());
    let [first, second] = [script.next_report().report, script.next_report().report];
    let (mut account, _) = Account::open(&path).unwrap();
    account.intend([&first]).unwrap();
    assert!(book::is_being_written(&path).unwrap());
    assert!(
        Account::open(&path).is_err(),
        "only one simulator may write an account"
    );
    drop(account);
    std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(b"{\"intent\":{\"id\":")
        .unwrap();

    let (mut account, uncertain) = Account::open(&path).unwrap();
    assert_eq!(uncertain, std::slice::from_ref(&first));
    account.intend([&second]).unwrap();
    account.sent(vec![first.id], now()).unwrap();
    drop(account);
    assert_eq!(Account::open(&path).unwrap().1, [second]);
}

#[test]
fn report_bodies_are_accepted_by_the_system() {
    let mut script = Script::new(
        &Fleet::plan(3),
        Load::default(),
        now() - TimeDelta::hours(1),
    );
    for planned in (0..200).map(|_| script.next_report()) {
        let body = planned.report.body(Some(&planned.metrics)).unwrap();
        let parsed = UsageReport::parse(&body, now()).unwrap();
        assert_eq!(
            (parsed.report_id, parsed.usage.len()),
            (planned.report.id, planned.report.lines.len())
        );
        assert_eq!(
            (parsed.period_start, parsed.period_end),
            (planned.report.start, planned.report.end)
        );
        assert!(parsed.metrics.is_some());
        let value: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value["type"], "usage.report.v1");
    }
}

#[tokio::test]
async fn tokens_are_accepted_until_they_expire() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let issuer = Issuer::open(&keys).unwrap();
    let again = Issuer::open(&keys).unwrap();
    assert_eq!(issuer.jwks().unwrap(), again.jwks().unwrap());
    for file in std::fs::read_dir(&keys).unwrap() {
        assert_eq!(
            file.unwrap().metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let clock = Fixed::at(now());
    let jwks = serde_json::from_str(&issuer.jwks().unwrap()).unwrap();
    let config = AuthConfig {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        jwks: JwksConfig::Inline(jwks),
        max_lifetime: AuthConfig::MAX_LIFETIME,
    };
    let authenticator = Authenticator::new(config, clock.clone()).unwrap();

    let hour = Duration::from_hours(1);
    let user = again.issue(DEMO_USER, Role::User, hour, now()).unwrap();
    let admin = again.issue(ADMIN, Role::Admin, hour, now()).unwrap();
    for (token, expected) in [(&user, (DEMO_USER, false)), (&admin, (ADMIN, true))] {
        let principal = authenticator.verify(token).await.unwrap();
        assert_eq!((principal.user_id, principal.admin), expected);
    }
    clock.set(clock.now() + TimeDelta::hours(2));
    assert_eq!(
        authenticator.verify(&user).await.unwrap_err().code(),
        "token_expired"
    );
}
