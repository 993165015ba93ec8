//! A user's queue empties when the active item ends, except by hand, and no other item is there.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::moves::{Life, Move, UNSEEN, lives};
use super::text;
use crate::run::Run;

/// How often a user's queue must and may have emptied.
#[derive(Debug, Clone, Copy, Default)]
struct Expected {
    must: u64,
    may: u64,
}

/// Compares the facts with the audit.
pub fn check(run: &Run, moves: &[Move]) {
    let facts = run.cloud.bus.facts();
    let mut published: BTreeMap<String, u64> = BTreeMap::new();
    for fact in facts
        .iter()
        .filter(|fact| fact.kind == "PackageQueueEmptied")
    {
        *published.entry(text(fact.detail.get("user"))).or_default() += 1;
    }
    let mut expected = expected(moves);
    for user in published.keys() {
        expected.entry(user.clone()).or_default();
    }
    for (user, Expected { must, may }) in expected {
        let found = published.get(&user).copied().unwrap_or_default();
        let example = || format!("PackageQueueEmptied of {user}: {found} of {must} to {may}");
        if found < must {
            run.findings_of("facts lost", must - found, example);
        } else if found > may {
            run.findings_of("facts doubled", found - may, example);
        }
    }
}

fn expected(moves: &[Move]) -> BTreeMap<String, Expected> {
    let mut transactions: HashMap<(&str, Uuid), Vec<&Move>> = HashMap::new();
    for step in moves.iter().filter(|step| step.is_step()) {
        let key = (step.xid.as_str(), step.user_id);
        transactions.entry(key).or_default().push(step);
    }
    let lives = lives(moves);
    let mut expected: BTreeMap<String, Expected> = BTreeMap::new();
    for ((_, user), steps) in transactions {
        let ended = |step: &&&Move| step.previous.as_deref() == Some("active") && step.is_end();
        let is_followed = steps.iter().any(|step| step.status == "active");
        let Some(end) = steps.iter().find(ended).filter(|end| !end.is_by_hand()) else {
            continue;
        };
        if is_followed {
            continue;
        }
        let ended_here = |life: &&Life| steps.iter().any(|step| step.item_id == life.item);
        let others = || {
            lives
                .get(&user)
                .into_iter()
                .flatten()
                .filter(|one| !ended_here(one))
        };
        let of_user = expected.entry(user.to_string()).or_default();
        // Another item is there, but another transaction had locked it.
        if others().any(|life| is_there_throughout(life, end)) {
            continue;
        }
        of_user.may += 1;
        of_user.must += u64::from(!others().any(|life| may_be_there(life, end)));
    }
    expected
}

fn is_there_throughout(life: &Life, end: &Move) -> bool {
    let until = life.until;
    life.from + UNSEEN < end.started_at && until.is_none_or(|until| until > end.committed_at)
}

fn may_be_there(life: &Life, end: &Move) -> bool {
    let until = life.until;
    life.from <= end.committed_at && until.is_none_or(|until| until + UNSEEN > end.started_at)
}
