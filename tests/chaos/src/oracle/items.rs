//! Items change their status only as allowed, usage is charged to an item as long as its user has
//! one, and each change was published once.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use crate::cloud::bus::Fact;
use crate::run::Run;

/// How long a committed transaction may be invisible to others while it waits for the standby.
const UNSEEN: TimeDelta = TimeDelta::seconds(1);

/// A change of an item's status or quota.
#[derive(Debug, FromRow)]
struct Move {
    item_id: i64,
    user_id: Uuid,
    status: String,
    previous: Option<String>,
    xid: String,
    committed_at: DateTime<Utc>,
}

/// Usage that was charged to no item.
#[derive(Debug, FromRow)]
struct Unpaid {
    user_id: Uuid,
    bytes: i64,
    started_at: DateTime<Utc>,
    committed_at: DateTime<Utc>,
}

/// The time during which an item was active or waiting.
#[derive(Debug)]
struct Life {
    item: i64,
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
}

/// Compares the audit with the rules and the published facts with the audit.
pub async fn check(run: &Run) -> Result<()> {
    let moves: Vec<Move> = run
        .operator
        .until_done(async |connection| {
            sqlx::query_as(
                "select item_id, user_id, status, previous, xid::text as xid,
                pg_xact_commit_timestamp(xid) as committed_at
                 from chaos.item_event order by seq",
            )
            .fetch_all(connection)
            .await
        })
        .await?;
    check_moves(run, &moves);
    check_unpaid(run, &lives(&moves)).await?;
    check_facts(run, &moves);
    Ok(())
}

fn check_moves(run: &Run, moves: &[Move]) {
    for step in moves.iter().filter(|step| step.status != "raised") {
        let known = matches!(
            (step.previous.as_deref(), step.status.as_str()),
            (None, "in_queue")
                | (Some("in_queue"), "active" | "cancelled" | "deleted")
                | (Some("active"), "consumed" | "cancelled")
        );
        if !known {
            run.finding("an item moves as none may", || format!("{step:?}"));
        }
    }
}

fn lives(moves: &[Move]) -> HashMap<Uuid, Vec<Life>> {
    let mut lives: HashMap<Uuid, Vec<Life>> = HashMap::new();
    for step in moves {
        let of_user = lives.entry(step.user_id).or_default();
        match step.status.as_str() {
            "in_queue" => of_user.push(Life {
                item: step.item_id,
                from: step.committed_at,
                until: None,
            }),
            "consumed" | "cancelled" | "deleted" => {
                for life in of_user.iter_mut().filter(|life| life.item == step.item_id) {
                    life.until = Some(step.committed_at);
                }
            }
            _ => {}
        }
    }
    lives
}

/// Usage must not be charged to no item if one of the user's items was active or waiting during the
/// whole transaction.
async fn check_unpaid(run: &Run, lives: &HashMap<Uuid, Vec<Life>>) -> Result<()> {
    let unpaid: Vec<Unpaid> = run
        .operator
        .until_done(async |connection| {
            sqlx::query_as(
                "select user_id, bytes, started_at, pg_xact_commit_timestamp(xid) as committed_at \
                 from chaos.unpaid",
            )
            .fetch_all(connection)
            .await
        })
        .await?;
    for charge in unpaid.iter().filter(|charge| charge.bytes > 0) {
        let alive = |life: &&Life| {
            life.from + UNSEEN < charge.started_at
                && life.until.is_none_or(|until| until > charge.committed_at)
        };
        if let Some(life) = lives
            .get(&charge.user_id)
            .and_then(|lives| lives.iter().find(alive))
        {
            let bytes = u64::try_from(charge.bytes).unwrap_or_default();
            run.findings_of("bytes charged to no item", bytes, || {
                format!("{charge:?} although there is {life:?}")
            });
        } else {
            run.count("charges of users without an item");
        }
    }
    Ok(())
}

fn check_facts(run: &Run, moves: &[Move]) {
    let facts = run.cloud.bus.facts();
    for id in run.cloud.bus.ambiguous_ids() {
        run.finding("an event id has two contents", || id);
    }
    let by_item = |status: &str| -> BTreeMap<String, u64> {
        let mut expected = BTreeMap::new();
        for step in moves.iter().filter(|step| step.status == status) {
            *expected.entry(step.item_id.to_string()).or_default() += 1;
        }
        expected
    };
    compare(
        run,
        &facts,
        "PackageActivated",
        "package_queue_id",
        &by_item("active"),
    );
    compare(
        run,
        &facts,
        "PackageExpired",
        "package_queue_id",
        &by_item("consumed"),
    );
    compare(run, &facts, "PackageQueueEmptied", "user", &emptied(moves));
    check_thresholds(run, &facts, &by_item("raised"));
    check_expiry_notices(run, &facts);
}

/// How often each user's last item was consumed. In that case, the same transaction activated no
/// other item.
fn emptied(moves: &[Move]) -> BTreeMap<String, u64> {
    let of_status = |status: &'static str| moves.iter().filter(move |step| step.status == status);
    let followed: HashSet<(&str, Uuid)> = of_status("active")
        .map(|step| (step.xid.as_str(), step.user_id))
        .collect();
    let mut expected = BTreeMap::new();
    for step in
        of_status("consumed").filter(|step| !followed.contains(&(step.xid.as_str(), step.user_id)))
    {
        *expected.entry(step.user_id.to_string()).or_default() += 1;
    }
    expected
}

/// There must be as many facts of `kind` as changes, each with its own id.
fn compare(run: &Run, facts: &[Fact], kind: &str, subject: &str, expected: &BTreeMap<String, u64>) {
    let mut there: BTreeMap<String, u64> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.kind == kind) {
        *there.entry(text(fact.detail.get(subject))).or_default() += 1;
    }
    for key in expected
        .keys()
        .chain(there.keys().filter(|key| !expected.contains_key(*key)))
    {
        let (wanted, found) = (
            expected.get(key).copied().unwrap_or(0),
            there.get(key).copied().unwrap_or(0),
        );
        if found < wanted {
            run.findings_of("facts lost", wanted - found, || {
                format!("{kind} of {subject} {key}: {found} of {wanted}")
            });
        }
        if found > wanted {
            run.findings_of("facts doubled", found - wanted, || {
                format!("{kind} of {subject} {key}: {found}, not {wanted}")
            });
        }
    }
}

/// A threshold may be reached once, and once more after each raise of the quota.
fn check_thresholds(run: &Run, facts: &[Fact], raises: &BTreeMap<String, u64>) {
    let mut reached: BTreeMap<(String, String), u64> = BTreeMap::new();
    for fact in facts
        .iter()
        .filter(|fact| fact.kind == "QuotaThresholdReached")
    {
        let key = (
            text(fact.detail.get("package_queue_id")),
            text(fact.detail.get("percent")),
        );
        *reached.entry(key).or_default() += 1;
    }
    for ((item, percent), count) in reached {
        if count > 1 + raises.get(&item).copied().unwrap_or_default() {
            run.finding("facts doubled", || {
                format!("QuotaThresholdReached of item {item}, {percent} %: {count}")
            });
        }
    }
}

/// A level before the end of an item may be published once per end.
fn check_expiry_notices(run: &Run, facts: &[Fact]) {
    let mut published: BTreeMap<[String; 3], u64> = BTreeMap::new();
    for fact in facts
        .iter()
        .filter(|fact| fact.kind == "PackageExpiringSoon")
    {
        run.count("notices of items that end soon");
        let key = ["package_queue_id", "hours", "expires_at"];
        let key = key.map(|field| text(fact.detail.get(field)));
        *published.entry(key).or_default() += 1;
    }
    for ([item, hours, end], count) in published.into_iter().filter(|(_, count)| *count > 1) {
        run.findings_of("facts doubled", count - 1, || {
            format!("PackageExpiringSoon of item {item}, {hours} h before {end}: {count}")
        });
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
