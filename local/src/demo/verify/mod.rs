//! Compares, to the byte, the simulator's account with what was recorded and billed and with what
//! users are shown.
//!
//! What is expected is computed here, from the account and from plain rows; nothing of it is shared
//! with the code under test. While a simulator is at work, only what has been billed is compared,
//! and what was sent in the last minutes may be missing; otherwise everything must have arrived.

mod api;
mod billing;
mod check;
mod database;
mod raw;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use shared::clock::Clock;
use sqlx::{PgPool, Postgres, Transaction};

pub use api::Api;
pub use check::Check;

use super::account::{self, Book};
use billing::Billing;
use database::Snapshot;

/// How long a report may be on its way while a simulator is at work: some runs of the billing job,
/// and a retry.
const GRACE: TimeDelta = TimeDelta::minutes(4);
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// What to compare.
#[derive(Debug)]
pub struct Settings {
    /// The simulator's account.
    pub account: PathBuf,
    /// How long to wait until all is equal.
    pub wait: Duration,
    /// Reports that are not in the account are taken as recorded instead of being a difference:
    /// somebody else may have sent some.
    pub others_allowed: bool,
    /// The API to ask, if any.
    pub api: Option<Api>,
}

/// What came of it. Prints as a table.
#[derive(Debug)]
pub struct Outcome {
    /// A line each.
    pub checks: Vec<Check>,
    /// A simulator was at work.
    pub live: bool,
    /// Reports in the account that may or may not have arrived.
    pub uncertain: usize,
}

impl Outcome {
    /// Whether all is equal.
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
        if self.live {
            writeln!(
                f,
                "The simulator is at work: compared is what is billed; the last minutes may still \
                 be on their way."
            )?;
        }
        if self.uncertain > 0 {
            writeln!(
                f,
                "{} reports may or may not have arrived; the simulator's next run sends them \
                 again.",
                self.uncertain
            )?;
        }
        let verdict = if self.agrees() {
            "All of it agrees to the byte."
        } else {
            "There are differences."
        };
        writeln!(f, "{verdict}")
    }
}

/// Compares until all is equal or the time is up; `progress` is told what it waits for.
pub async fn verify(
    pool: &PgPool,
    settings: &Settings,
    clock: &dyn Clock,
    mut progress: impl FnMut(&str),
) -> Result<Outcome> {
    let began = Instant::now();
    loop {
        let looked = Instant::now();
        let outcome = look(pool, settings, clock.now()).await?;
        if outcome.agrees() || began.elapsed() >= settings.wait {
            return Ok(outcome);
        }
        progress(&format!(
            "not equal yet ({} s): {}",
            began.elapsed().as_secs(),
            outcome.first_difference()
        ));
        // No busier than idle: the pipeline needs the processors that it is waited for on.
        tokio::time::sleep(PAUSE.max(looked.elapsed())).await;
    }
}

async fn look(pool: &PgPool, settings: &Settings, now: DateTime<Utc>) -> Result<Outcome> {
    let live = account::is_being_written(&settings.account)?;
    let mut tx = pool.begin().await?;
    sqlx::query("/* verify.begin */ set transaction isolation level repeatable read, read only")
        .execute(&mut *tx)
        .await?;
    let snapshot = database::read(&mut tx).await?;
    // After the rows: a report is in the account before it can be in the database.
    let book = account::read(&settings.account)?;
    let settled = if live {
        now - GRACE
    } else {
        DateTime::<Utc>::MAX_UTC
    };
    let mut look = Look {
        snapshot,
        book,
        settled,
        checks: Vec::new(),
        billing: Billing::default(),
    };
    look.compare(&mut tx, settings.others_allowed).await?;
    tx.rollback().await?;
    if !live {
        look.checks.push(Check::equal(
            "outbox messages not sent",
            0,
            look.snapshot.outbox,
        ));
    }
    if let Some(api) = settings
        .api
        .as_ref()
        .filter(|_| look.checks.iter().all(Check::agrees))
    {
        look.checks
            .extend(api.compare(&look.billing.hours(), now).await?);
    }
    let uncertain = look.book.reports.len().saturating_sub(look.book.sent.len());
    Ok(Outcome {
        checks: look.checks,
        live,
        uncertain,
    })
}

/// One look at everything.
struct Look {
    snapshot: Snapshot,
    book: Book,
    /// What was sent or received before this must have arrived.
    settled: DateTime<Utc>,
    checks: Vec<Check>,
    billing: Billing,
}

impl Look {
    async fn compare(
        &mut self,
        tx: &mut Transaction<'static, Postgres>,
        others_allowed: bool,
    ) -> Result<()> {
        self.reports();
        let raw = raw::compare(tx, &self.snapshot, &self.book, &mut self.billing).await?;
        if !others_allowed {
            self.checks
                .push(Check::equal("reports that nobody sent", 0, raw.others));
        }
        self.checks.extend(raw.checks);
        self.billed_reports();
        let hours = self.billing.hours();
        self.checks.extend(self.snapshot.compare_hours(&hours));
        self.checks.extend(self.snapshot.compare_items(&hours));
        let what = "hourly rows without an item though the user had one";
        self.checks
            .push(Check::equal(what, 0, self.snapshot.uncharged));
        Ok(())
    }

    /// Every report that was sent is there once, as it was sent.
    fn reports(&mut self) {
        let (mut recorded, mut missing, mut altered) = (0_i128, Vec::new(), Vec::new());
        for report in &self.book.reports {
            match self.snapshot.reports.get(&report.id) {
                Some(row) => {
                    recorded += 1;
                    if !row.is_of(report) {
                        altered.push(format!("report {}", report.id));
                    }
                }
                None if self
                    .book
                    .sent
                    .get(&report.id)
                    .is_some_and(|at| *at < self.settled) =>
                {
                    missing.push(format!("report {}", report.id));
                }
                // Uncertain, or on its way.
                None => {}
            }
        }
        self.checks
            .push(Check::some_missing("reports recorded", recorded, missing));
        self.checks.push(
            Check::some_missing("… with server, period and lines as sent", recorded, altered)
                .of_the_same(),
        );
    }

    fn billed_reports(&mut self) {
        let usage = self
            .snapshot
            .reports
            .iter()
            .filter(|(_, row)| row.line_count > 0);
        let (billed, not): (Vec<_>, Vec<_>) = usage.partition(|(_, row)| row.run.is_some());
        let settled = not.iter().filter(|(_, row)| row.received_at < self.settled);
        let missing = settled.map(|(id, _)| format!("report {id}")).collect();
        self.checks.push(Check::some_missing(
            "reports billed",
            check::count(billed.len()),
            missing,
        ));
    }
}
