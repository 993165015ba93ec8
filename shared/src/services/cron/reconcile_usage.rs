//! `ReconcileUsageJob`: compares accepted, recorded and charged usage, and reports drifts
//! (differences between them). It does not change usage.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{Job, Run, TelecomCronExecutor};
use crate::config::Retention;
use crate::db::reconciliation::{self, Cursors};
use crate::db::{self, Connection, usage_drift};
use crate::deadline;
use crate::domain::bucket::hour_of;
use crate::domain::drift::{Drift, Keys};
use crate::domain::job_run::JobName;
use crate::error::{Error, ErrorKind};
use crate::events::facts::Fact;
use crate::events::outbox::OutboxMessage;
use crate::events::usage_report::MAX_AGE_DAYS;
use crate::services::Processor;
use crate::services::outbox::{self, Outbox};
use crate::telemetry;

/// Maximum age of the hours, items and runs that every run checks, wherever the rotation is.
const RECENT: TimeDelta = TimeDelta::hours(48);
/// How long messages of a billing run may be in transit before their usage counts as missing.
const MAX_TRANSIT: TimeDelta = TimeDelta::hours(1);
/// Maximum number of hours in one step.
const HOURS_PER_STEP: i32 = 24;
/// Maximum number of items in one step.
const ITEMS_PER_STEP: i64 = 500;
/// Maximum number of runs in one step.
const RUNS_PER_STEP: i64 = 5;
/// Maximum duration of a step, because a step holds a snapshot. A longer step is retried in halves.
const STEP: Duration = Duration::from_secs(30);
/// Maximum number of known drifts that every run checks again.
const MAX_KNOWN: i64 = 1_000;
/// A run ends when it has published this many drifts. By then it is clear that something is wrong.
const MAX_PUBLISHED: usize = 1_000;

/// Input of the job.
#[derive(Debug, Clone, Copy)]
pub struct ReconcileUsageJob(pub Run);

impl Job for ReconcileUsageJob {
    const NAME: JobName = JobName::ReconcileUsage;
}

/// Result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Number of hours checked.
    pub hours: usize,
    /// Number of package items checked.
    pub items: usize,
    /// Number of billing runs checked.
    pub runs: usize,
    /// Number of hours, items and runs that cannot be checked within the time limit of a step.
    pub unchecked: usize,
    /// Number of new or changed drifts, which were published.
    pub published: usize,
    /// Number of current drifts that no operator has accepted.
    pub drifts: i64,
    /// Whether all of the last 48 hours was checked.
    pub complete: bool,
    /// Whether the rotation reached its end.
    pub rotated: bool,
}

#[async_trait]
impl Processor<ReconcileUsageJob> for TelecomCronExecutor {
    type Output = Reconciled;

    #[tracing::instrument(name = "reconcile_usage", skip_all)]
    async fn process(
        &self,
        ReconcileUsageJob(run): ReconcileUsageJob,
    ) -> Result<Reconciled, Error> {
        let (checked_from, cursors) = db::on_connection(&self.pool, reconciliation::state).await?;
        let bounds = Bounds::at(self.context.now(), checked_from, &self.config.retention);
        let done = Reconciled::default();
        let mut reconciliation = Reconciliation {
            executor: self,
            run,
            bounds,
            done,
            has_drifts: false,
        };
        reconciliation.check_all(cursors).await?;
        let mut done = reconciliation.done;
        done.drifts = db::on_connection(&self.pool, usage_drift::count).await?;
        telemetry::measure("UsageDrifts", done.drifts);
        Ok(done)
    }
}

/// Time ranges that can be checked. They exclude data that may have been deleted in part and usage
/// that is still in transit.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    now: DateTime<Utc>,
    hours_from: DateTime<Utc>,
    /// The first hour that is not closed.
    hours_to: DateTime<Utc>,
    items_from: DateTime<Utc>,
    runs_from: DateTime<Utc>,
    applied_from: DateTime<Utc>,
    applied_to: DateTime<Utc>,
}

impl Bounds {
    fn at(now: DateTime<Utc>, checked_from: DateTime<Utc>, retention: &Retention) -> Self {
        let usage_from = now - TimeDelta::days(i64::from(retention.usage_days) - 1);
        let raw_days = retention.traffic_usage_days.min(retention.dedup_days);
        Self {
            now,
            hours_from: checked_from.max(usage_from),
            hours_to: hour_of(now),
            // An item is also charged for reports that are older than its activation.
            items_from: usage_from + TimeDelta::days(MAX_AGE_DAYS + 1),
            // A run may have billed reports that had been waiting for up to half of the retention.
            runs_from: now - TimeDelta::days(raw_days.into()) / 2,
            applied_from: checked_from,
            applied_to: now - MAX_TRANSIT,
        }
    }
}

/// Kind of the keys that a sweep checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Hours,
    Runs,
    Items,
}

/// Range of the keys that a sweep checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Recent,
    All,
}

/// A run of the job.
struct Reconciliation<'e> {
    executor: &'e TelecomCronExecutor,
    run: Run,
    bounds: Bounds,
    done: Reconciled,
    /// Whether rows of drifts may exist. If not, a check that finds nothing need not be recorded.
    has_drifts: bool,
}

impl Reconciliation<'_> {
    async fn check_all(&mut self, mut rotation: Cursors) -> Result<(), Error> {
        let recent_until = self.run.first_half();
        let known = db::on_connection(&self.executor.pool, async |c| {
            usage_drift::drifting(c, MAX_KNOWN).await
        })
        .await?;
        self.has_drifts = known.iter().any(|keys| !keys.is_empty());
        for keys in known {
            self.check(keys, recent_until).await?;
        }
        let swept = self
            .sweep(Scope::Recent, &mut Cursors::default(), recent_until)
            .await?;
        self.done.rotated = self.sweep(Scope::All, &mut rotation, self.run).await?;
        self.done.complete = swept && self.done.unchecked == 0;
        Ok(())
    }

    /// Checks one page of each subject in turn, newest first. Returns whether all subjects were
    /// checked to the end.
    async fn sweep(
        &mut self,
        scope: Scope,
        cursors: &mut Cursors,
        until: Run,
    ) -> Result<bool, Error> {
        let mut left = vec![Subject::Hours, Subject::Runs, Subject::Items];
        while !left.is_empty() {
            for subject in left.clone() {
                let keys = self.page(subject, scope, cursors).await?;
                if keys.is_empty() {
                    left.retain(|other| *other != subject);
                }
                let next = after(&keys, *cursors);
                if !self.check(keys, until).await? {
                    return Ok(false);
                }
                *cursors = next;
            }
            if scope == Scope::All {
                db::on_connection(&self.executor.pool, async |c| {
                    reconciliation::set_cursors(c, cursors).await
                })
                .await?;
            }
        }
        Ok(true)
    }

    async fn page(&self, subject: Subject, scope: Scope, cursors: &Cursors) -> Result<Keys, Error> {
        let Bounds {
            now,
            hours_from,
            hours_to,
            runs_from,
            ..
        } = self.bounds;
        let recent = now - RECENT;
        let since = |from: DateTime<Utc>| match scope {
            Scope::Recent => recent.max(from),
            Scope::All => from,
        };
        let item = cursors.item.unwrap_or(i64::MAX);
        let run = cursors.run.unwrap_or(Uuid::max());
        db::on_connection(&self.executor.pool, async |c| {
            Ok(match subject {
                Subject::Hours => hours_below(cursors.hour, since(hours_from), hours_to),
                Subject::Runs => Keys::Runs(
                    reconciliation::billing_runs(c, since(runs_from), now, run, RUNS_PER_STEP)
                        .await?,
                ),
                Subject::Items if scope == Scope::Recent => Keys::Items(
                    reconciliation::recent_items(c, recent, now, item, ITEMS_PER_STEP).await?,
                ),
                Subject::Items => {
                    Keys::Items(reconciliation::all_items(c, item, ITEMS_PER_STEP).await?)
                }
            })
        })
        .await
    }

    /// Checks `keys`, and splits them in halves if a check takes too long. Returns `false` if the
    /// run must end before all are checked.
    async fn check(&mut self, keys: Keys, until: Run) -> Result<bool, Error> {
        let mut parts = vec![keys];
        while let Some(keys) = parts.pop() {
            if keys.is_empty() {
                continue;
            }
            if until.deadline_is_near() || self.done.published >= MAX_PUBLISHED {
                return Ok(false);
            }
            match until
                .within_a_third(deadline::within(Some(STEP), self.find(&keys)))
                .await
            {
                Ok(found) => self.report(&keys, &found).await?,
                Err(error) if error.kind() == ErrorKind::DeadlineExceeded => {
                    match keys.clone().halves() {
                        Some((first, second)) => parts.extend([second, first]),
                        None if until.deadline_is_near() => return Ok(false),
                        None => {
                            tracing::error!(
                                ?keys,
                                "cannot be checked within the time limit of a step"
                            );
                            self.done.unchecked += 1;
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Returns the drifts of `keys`, all read from one snapshot.
    async fn find(&self, keys: &Keys) -> Result<Vec<Drift>, Error> {
        let bounds = self.bounds;
        db::read_tx(&self.executor.pool, async |tx| match keys {
            Keys::Hours(hours) => {
                let hours: Vec<DateTime<Utc>> = hours
                    .iter()
                    .copied()
                    .filter(|hour| *hour >= bounds.hours_from)
                    .collect();
                let mut found = reconciliation::hours(tx, &hours).await?;
                found.extend(reconciliation::uncharged(tx, &hours).await?);
                found.extend(reconciliation::node_hours(tx, &hours).await?);
                found.extend(reconciliation::node_days(tx, &hours).await?);
                found.extend(reconciliation::user_days(tx, &hours).await?);
                Ok(found)
            }
            Keys::Items(items) => reconciliation::items(tx, items, bounds.items_from).await,
            Keys::Runs(runs) => {
                let mut found = reconciliation::runs(tx, runs, bounds.runs_from).await?;
                found.extend(
                    reconciliation::applied(tx, runs, bounds.applied_from, bounds.applied_to)
                        .await?,
                );
                Ok(found)
            }
        })
        .await
    }

    /// Records the drifts that the check of `keys` found, and publishes the new or changed ones.
    async fn report(&mut self, keys: &Keys, found: &[Drift]) -> Result<(), Error> {
        let TelecomCronExecutor {
            pool, publisher, ..
        } = self.executor;
        self.has_drifts |= !found.is_empty();
        if self.has_drifts {
            let work = async |tx: &mut Connection| self.record(tx, keys, found).await;
            let messages = db::write_tx(pool, "reconcile_usage", work).await?;
            self.done.published += messages.len();
            outbox::send(pool, publisher, messages).await;
        }
        let checked = match keys {
            Keys::Hours(_) => &mut self.done.hours,
            Keys::Items(_) => &mut self.done.items,
            Keys::Runs(_) => &mut self.done.runs,
        };
        *checked += keys.len();
        Ok(())
    }

    async fn record(
        &self,
        tx: &mut Connection,
        keys: &Keys,
        found: &[Drift],
    ) -> Result<Vec<OutboxMessage>, Error> {
        let now = self.bounds.now;
        let changed = usage_drift::record(tx, keys, found, now).await?;
        let mut outbox = Outbox::new(&self.executor.context, now);
        for drift in &changed {
            tracing::error!(kind = %drift.kind, key = ?drift.key, difference = ?drift.difference,
                "usage drifted");
            outbox.fact(&Fact::UsageDrifted(*drift))?;
        }
        outbox.write(tx).await
    }
}

/// Returns at most one page of the hours from `from` to below `cursor`, or to below `to` if there
/// is no cursor, newest first.
fn hours_below(cursor: Option<DateTime<Utc>>, from: DateTime<Utc>, to: DateTime<Utc>) -> Keys {
    let newest = cursor.unwrap_or(to).min(to);
    let hours = (1..=HOURS_PER_STEP).map(|hours| newest - TimeDelta::hours(hours.into()));
    Keys::Hours(hours.filter(|hour| *hour >= from).collect())
}

/// Returns the cursors after `keys`. The cursor of their subject is reset if `keys` is empty.
fn after(keys: &Keys, mut cursors: Cursors) -> Cursors {
    match keys {
        Keys::Hours(hours) => cursors.hour = hours.last().copied(),
        Keys::Items(items) => cursors.item = items.last().copied(),
        Keys::Runs(runs) => cursors.run = runs.last().copied(),
    }
    cursors
}
