//! Each change of an item, each order and each notice was published once.

use std::collections::BTreeMap;

use super::moves::Move;
use super::text;
use crate::asked::Asked;
use crate::cloud::bus::Fact;
use crate::run::Run;

/// Compares the published facts with the audit and with the answers of calls.
pub fn check(run: &Run, moves: &[Move]) {
    let facts = run.cloud.bus.facts();
    for id in run.cloud.bus.ambiguous_ids() {
        run.finding("an event id has two contents", || id);
    }
    let by_item = |status: &str| {
        let steps = moves.iter().filter(|step| step.status == status);
        count(steps.map(|step| step.item_id.to_string()))
    };
    for (kind, expected) in [
        ("PackageActivated", by_item("active")),
        ("PackageExpired", by_item("consumed")),
        ("PackageCancelled", cancelled(moves)),
        ("QuotaAdjusted", adjusted(run)),
    ] {
        compare(run, &facts, kind, "package_queue_id", &expected);
    }
    compare(
        run,
        &facts,
        "PackageDelivered",
        "order_id",
        &delivered(moves),
    );
    check_thresholds(run, &facts, &raised(moves));
    check_expiry_notices(run, &facts);
}

/// Items that were cancelled, except by hand.
fn cancelled(moves: &[Move]) -> BTreeMap<String, u64> {
    let cancelled = moves.iter().filter(|step| step.status == "cancelled");
    count(
        cancelled
            .filter(|step| !step.is_by_hand())
            .map(|step| step.item_id.to_string()),
    )
}

/// Items whose quota was raised.
fn raised(moves: &[Move]) -> BTreeMap<String, u64> {
    let raised = moves
        .iter()
        .filter(|step| step.bytes.is_some_and(|bytes| bytes > 0));
    count(raised.map(|step| step.item_id.to_string()))
}

/// The accepted calls that adjusted the quota of each item.
fn adjusted(run: &Run) -> BTreeMap<String, u64> {
    let books = run.ledger.open();
    count(books.accepted().filter_map(|call| match call.asked {
        Asked::AdjustQuota { item, .. } => Some(item.to_string()),
        _ => None,
    }))
}

/// The orders whose items were added. Each of them was delivered once.
fn delivered(moves: &[Move]) -> BTreeMap<String, u64> {
    let orders = moves.iter().filter(|step| step.is_new());
    let orders: BTreeMap<String, u64> = orders
        .filter_map(|step| Some((step.by_order?.to_string(), 1)))
        .collect();
    orders
}

fn count(keys: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
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
