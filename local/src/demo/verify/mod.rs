//! Compares, to the byte, the simulator's accounts with the recorded usage, the bills and the API's
//! responses.
//!
//! The expected values are computed here, from the account and from plain rows. Nothing is shared
//! with the code under test. While a simulator is running, only billed reports are compared, and
//! reports of the last minutes may be missing. Otherwise every report must have arrived.

mod api;
mod billing;
mod check;
mod database;
mod past;
mod pushes;
mod raw;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use shared::clock::Clock;
use sqlx::{PgPool, Postgres, Transaction};

pub use api::Api;
pub use check::Check;
pub use pushes::Moved;

use super::account::{self, Book};
use super::node;
use billing::Billing;
use database::Snapshot;

/// How long the processing of a report may take while a simulator is running: some runs of the
/// billing job, and a retry.
const GRACE: TimeDelta = TimeDelta::minutes(4);
/// Minimum pause between two comparisons.
const PAUSE: Duration = Duration::from_secs(2);

pub struct Settings {
    pub account: PathBuf,
    /// The account of nodes.
    pub node_account: PathBuf,
    /// Maximum time to wait until everything is equal.
    pub wait: Duration,
    /// Whether reports that are not in the account are accepted as recorded, because another client
    /// may have sent them. Otherwise they are a difference.
    pub others_allowed: bool,
    /// The API to compare with, if any.
    pub api: Option<Api>,
}

/// The result of a comparison. `Display` writes it as a table.
#[derive(Debug)]
pub struct Outcome {
    pub checks: Vec<Check>,
    /// Whether a simulator was running.
    pub live: bool,
    /// Number of reports in the account that may or may not have arrived.
    pub uncertain: usize,
    /// What users moved through nodes, and what the protocols made of it.
    pub moved: Moved,
}

impl Outcome {
    /// Whether everything is equal.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.checks.iter().all(Check::agrees)
    }

    fn first_difference(&self) -> String {
        let differs = self.checks.iter().find(|check| !check.agrees());
        differs
            .map(|check| format!("{}: {} of {}", check.what, check.found, check.expected))
            .unwrap_or_default()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        check::table(f, &self.checks)?;
        if self.moved.moved > 0 {
            write!(f, "{}", self.moved)?;
        }
        if self.live {
            writeln!(
                f,
                "A simulator is running: only billed reports are compared, and reports of the \
                 last minutes may be missing."
            )?;
        }
        if self.uncertain > 0 {
            writeln!(
                f,
                "{} reports may or may not have arrived. The simulator's next run sends them \
                 again.",
                self.uncertain
            )?;
        }
        let conclusion = if self.agrees() {
            "Everything agrees to the byte."
        } else {
            "There are differences."
        };
        writeln!(f, "{conclusion}")
    }
}

/// Compares until everything is equal or the time is up. `progress` receives the difference that it
/// waits for.
pub async fn verify(
    pool: &PgPool,
    settings: &Settings,
    clock: &dyn Clock,
    mut progress: impl FnMut(&str),
) -> Result<Outcome> {
    let began = Instant::now();
    loop {
        let compared_at = Instant::now();
        let outcome = compare(pool, settings, clock.now()).await?;
        if outcome.agrees() || began.elapsed() >= settings.wait {
            return Ok(outcome);
        }
        progress(&format!(
            "Not equal yet ({} s): {}",
            began.elapsed().as_secs(),
            outcome.first_difference()
        ));
        // At most half of the time is spent comparing, because the pipeline needs the processors.
        tokio::time::sleep(PAUSE.max(compared_at.elapsed())).await;
    }
}

async fn compare(pool: &PgPool, settings: &Settings, now: DateTime<Utc>) -> Result<Outcome> {
    let live = account::is_being_written(&settings.account)?;
    let mut tx = pool.begin().await?;
    sqlx::query("/* verify.begin */ set transaction isolation level repeatable read, read only")
        .execute(&mut *tx)
        .await?;
    let snapshot = database::read(&mut tx).await?;
    let nodes = pushes::read(&mut tx).await?;
    // The accounts are read after the rows, because a report is in the account before it can be in
    // the database.
    let book = account::read(&settings.account)?;
    let node_book = node::account::read(&settings.node_account)?;
    let due_before = if live {
        now - GRACE
    } else {
        DateTime::<Utc>::MAX_UTC
    };
    let mut comparison = Comparison {
        snapshot,
        nodes,
        book,
        node_book,
        due_before,
        checks: Vec::new(),
        billing: Billing::default(),
        moved: Moved::default(),
    };
    comparison.compare(&mut tx, settings.others_allowed).await?;
    tx.rollback().await?;
    let Comparison {
        snapshot,
        book,
        mut checks,
        billing,
        moved,
        ..
    } = comparison;
    if !live {
        let what = "messages left in the outbox";
        checks.push(Check::equal(what, 0, snapshot.outbox));
    }
    if let Some(api) = &settings.api
        && checks.iter().all(Check::agrees)
    {
        checks.extend(api.compare(pool, &billing.hours(), now).await?);
    }
    Ok(Outcome {
        checks,
        live,
        uncertain: book.reports.len().saturating_sub(book.sent.len()),
        moved,
    })
}

struct Comparison {
    snapshot: Snapshot,
    nodes: pushes::Nodes,
    book: Book,
    node_book: node::account::Book,
    /// Reports sent before this time must have been received, and reports received before it must
    /// have been billed.
    due_before: DateTime<Utc>,
    checks: Vec<Check>,
    billing: Billing,
    moved: Moved,
}

impl Comparison {
    async fn compare(
        &mut self,
        tx: &mut Transaction<'static, Postgres>,
        others_allowed: bool,
    ) -> Result<()> {
        self.reports();
        let raw = raw::compare(tx, &self.snapshot, &self.book, &mut self.billing).await?;
        let (book, due_before) = (&self.node_book, self.due_before);
        let pushes = pushes::compare(book, &self.nodes, &raw.others, raw.contents, due_before);
        if !others_allowed {
            let with_lines = raw.others.values().filter(|report| report.line_count > 0);
            let others = check::count(with_lines.count()) - pushes.matched;
            let what = "reports that are not in the account";
            self.checks.push(Check::equal(what, 0, others));
        }
        self.checks.extend(raw.checks);
        self.checks.extend(pushes.checks);
        self.moved = pushes.moved;
        self.billed_reports();
        let hours = self.billing.hours();
        self.checks.extend(self.snapshot.compare_hours(&hours));
        self.checks.extend(self.snapshot.compare_items(&hours));
        let what = "hourly rows without a package though the user had one";
        self.checks
            .push(Check::equal(what, 0, self.snapshot.uncharged));
        Ok(())
    }

    /// Checks that every acknowledged report is recorded, as it was sent.
    fn reports(&mut self) {
        let (mut recorded, mut missing, mut altered) = (0_i128, Vec::new(), Vec::new());
        for report in &self.book.reports {
            let sent = self.book.sent.get(&report.id);
            if let Some(row) = self.snapshot.reports.get(&report.id) {
                recorded += 1;
                if !row.is_of(report) {
                    altered.push(format!("report {}", report.id));
                }
            } else if sent.is_some_and(|at| *at < self.due_before) {
                // Other reports are uncertain or not due yet.
                missing.push(format!("report {}", report.id));
            }
        }
        let as_sent = "… with server, period and lines as sent";
        self.checks.extend([
            Check::some_missing("reports recorded", recorded, missing),
            Check::some_missing(as_sent, recorded, altered).out_of_found(),
        ]);
    }

    fn billed_reports(&mut self) {
        let usage = self
            .snapshot
            .reports
            .iter()
            .filter(|(_, row)| row.line_count > 0);
        let (billed, unbilled): (Vec<_>, Vec<_>) = usage.partition(|(_, row)| row.run.is_some());
        let due = unbilled
            .iter()
            .filter(|(_, row)| row.received_at < self.due_before);
        let missing = due.map(|(id, _)| format!("report {id}")).collect();
        self.checks.push(Check::some_missing(
            "reports billed",
            check::count(billed.len()),
            missing,
        ));
    }
}
