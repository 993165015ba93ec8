//! The quota of an item is adjusted once by each call, and its time is extended once by each
//! extension that concerns it.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::moves::{Move, UNSEEN};
use crate::asked::{Asked, Extended};
use crate::ledger::Books;
use crate::run::Run;

/// Seconds of an hour.
const HOUR: i64 = 3_600;

/// An item with its package.
#[derive(Debug, FromRow)]
struct Item {
    id: i64,
    adjust_quota_bytes: i64,
    activated_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    extended_seconds: i64,
    series: Uuid,
    available_group: i32,
    expire_duration_seconds: i64,
}

/// An extension that a call requested.
#[derive(Debug)]
struct Extension {
    what: Extended,
    hours: i64,
    /// By the clock of the function that accepted it. Items that are active since then or longer
    /// are extended.
    requested_at: DateTime<Utc>,
    /// When the call began.
    began_at: DateTime<Utc>,
    /// When the last step of the job was committed.
    completed_at: Option<DateTime<Utc>>,
}

/// When an item was active.
#[derive(Debug, Clone, Copy)]
struct Activity {
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
}

/// Whether an extension concerns an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concerns {
    Yes,
    No,
    /// The item became active or ended while the extension was requested or applied.
    Perhaps,
}

/// Compares the items with the calls and the audit.
pub async fn check(run: &Run, moves: &[Move]) -> Result<()> {
    let items = items(run).await?;
    let extensions = extensions(run).await?;
    check_quotas(run, &items, moves);
    let activities = activities(moves);
    for item in &items {
        check_time(run, item, activities.get(&item.id).copied(), &extensions);
    }
    Ok(())
}

async fn items(run: &Run) -> Result<Vec<Item>> {
    run.operator
        .until_done(async |connection| {
            sqlx::query_as(
                "select q.id, adjust_quota_bytes, activated_at, expires_at, extended_seconds,
                series, available_group, expire_duration_seconds
                 from telecom.package_queue q join telecom.package p on p.id = q.package_id",
            )
            .fetch_all(connection)
            .await
        })
        .await
}

fn check_quotas(run: &Run, items: &[Item], moves: &[Move]) {
    let mut expected: HashMap<i64, i64> = HashMap::new();
    for step in moves.iter().filter(|step| step.is_by_hand()) {
        *expected.entry(step.item_id).or_default() += step.bytes.unwrap_or_default();
    }
    for call in run.ledger.open().accepted() {
        if let Asked::AdjustQuota { item, bytes } = call.asked {
            *expected.entry(item).or_default() += bytes;
        }
    }
    for item in items {
        let expected = expected.get(&item.id).copied().unwrap_or_default();
        if item.adjust_quota_bytes != expected {
            run.finding("an item's quota differs from its adjustments", || {
                format!("{item:?} instead of {expected}")
            });
        }
    }
}

/// The requested extensions. Each of them must be stored once, and no other one.
async fn extensions(run: &Run) -> Result<Vec<Extension>> {
    let stored: Vec<(Uuid, Option<DateTime<Utc>>)> = run
        .operator
        .until_done(async |connection| {
            sqlx::query_as(
                "select id, max(pg_xact_commit_timestamp(xid)) from telecom.package_extension
                 left join chaos.extension_event on extension_id = id group by id",
            )
            .fetch_all(connection)
            .await
        })
        .await?;
    let mut stored: HashMap<Uuid, Option<DateTime<Utc>>> = stored.into_iter().collect();
    let mut extensions = Vec::new();
    for (id, extension) in requested(&run.ledger.open()) {
        match stored.remove(&id) {
            Some(completed_at) => extensions.push(Extension {
                completed_at,
                ..extension
            }),
            None => run.finding("extensions lost", || format!("{id}: {extension:?}")),
        }
    }
    for id in stored.into_keys() {
        run.finding("extensions doubled", || format!("{id} was not requested"));
    }
    Ok(extensions)
}

fn requested(books: &Books) -> Vec<(Uuid, Extension)> {
    let requested = books.accepted().filter_map(|call| {
        let Asked::Extend { what, hours, .. } = call.asked else {
            return None;
        };
        let text = |field: &str| call.body.get(field)?.as_str();
        let extension = Extension {
            what,
            hours,
            requested_at: text("requested_at")?.parse().ok()?,
            began_at: call.began_at,
            completed_at: None,
        };
        // A dry run has no id.
        Some((text("extension_id")?.parse().ok()?, extension))
    });
    requested.collect()
}

fn activities(moves: &[Move]) -> HashMap<i64, Activity> {
    let mut activities: HashMap<i64, Activity> = HashMap::new();
    for step in moves.iter().filter(|step| step.is_step()) {
        if step.status == "active" {
            let activity = Activity {
                from: step.committed_at,
                until: None,
            };
            activities.insert(step.item_id, activity);
        } else if let Some(activity) = activities.get_mut(&step.item_id) {
            activity.until = Some(step.committed_at);
        }
    }
    activities
}

/// The end of an item must be its activation, plus the duration of its package, plus the hours of
/// the extensions that concern it.
fn check_time(run: &Run, item: &Item, activity: Option<Activity>, extensions: &[Extension]) {
    let extended = TimeDelta::seconds(item.extended_seconds);
    let duration = TimeDelta::seconds(item.expire_duration_seconds);
    let end = item
        .activated_at
        .map(|activated_at| activated_at + duration + extended);
    if item.expires_at != end {
        run.finding(
            "an item ends at another time than that of its package",
            || format!("{item:?}"),
        );
    }
    let mut possible = BTreeSet::from([0]);
    for extension in extensions {
        let seconds = extension.hours * HOUR;
        let added: BTreeSet<i64> = possible.iter().map(|sum| sum + seconds).collect();
        match extension.concerns(item, activity) {
            Concerns::Yes => possible = added,
            Concerns::Perhaps => possible.extend(added),
            Concerns::No => {}
        }
    }
    if !possible.contains(&item.extended_seconds) {
        run.finding("an item's time differs from its extensions", || {
            format!("{item:?}, {activity:?}, instead of {possible:?}")
        });
    }
}

impl Extension {
    fn concerns(&self, item: &Item, activity: Option<Activity>) -> Concerns {
        let is_named = match self.what {
            Extended::Group(group) => item.available_group == group,
            Extended::Series(series) => item.series == series,
        };
        let (Some(activity), Some(activated_at)) = (activity, item.activated_at) else {
            return Concerns::No;
        };
        let Activity { from, until } = activity;
        let is_later =
            activated_at > self.requested_at || self.completed_at.is_some_and(|done| from > done);
        let is_over = until.is_some_and(|until| until + UNSEEN < self.began_at);
        if !is_named || is_later || is_over {
            return Concerns::No;
        }
        let was_active = from + UNSEEN < self.began_at;
        let ended_before = |until| {
            self.completed_at
                .is_none_or(|completed_at| until <= completed_at)
        };
        if was_active && !until.is_some_and(ended_before) {
            Concerns::Yes
        } else {
            Concerns::Perhaps
        }
    }
}
