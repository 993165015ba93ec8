//! `SummarizeUsageJob`: sums hourly usage per node and per day, and finds the users with the most
//! traffic. The sums answer questions about all users and about long times.

use std::time::Instant;

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use strum::IntoEnumIterator;

use super::{Job, Run, TelecomCronExecutor};
use crate::db::top_user::{self, Refresh, Sources};
use crate::db::user_usage::{self, Progress};
use crate::db::{self, Connection, node_usage};
use crate::domain::job_run::JobName;
use crate::domain::recent_range::RecentRange;
use crate::error::Error;
use crate::services::Processor;

const NAME: &str = "summarize_usage";
/// How long after its end a day is closed. Most of its usage has been charged by then. What comes
/// later is added to the sums of the day.
const CLOSED_AFTER: TimeDelta = TimeDelta::hours(2);
/// Maximum number of rows that one statement merges.
const BATCH: i64 = 20_000;
/// Part of the time that may be spent on the refreshes of one range.
const REFRESH_SHARE: f64 = 0.01;

/// Input of the job.
#[derive(Debug, Clone, Copy)]
pub struct SummarizeUsageJob(pub Run);

impl Job for SummarizeUsageJob {
    const NAME: JobName = JobName::SummarizeUsage;
}

/// Result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summarized {
    /// Number of rows added to the hourly usage of nodes.
    pub deltas: i64,
    /// Number of days summed.
    pub days: u32,
    /// Number of rows of late usage added to summed days.
    pub late: i64,
    /// Number of ranges whose top users were found again.
    pub ranges: u32,
    /// Whether nothing was left to sum.
    pub complete: bool,
}

/// What one transaction of the job does.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Adds what charges appended to the hourly usage of nodes.
    MergeDeltas,
    /// Sums a closed day.
    SumDay,
    /// Adds late usage to the days that are summed.
    MergeLate,
}

#[async_trait]
impl Processor<SummarizeUsageJob> for TelecomCronExecutor {
    type Output = Summarized;

    #[tracing::instrument(name = "summarize_usage", skip_all)]
    async fn process(
        &self,
        SummarizeUsageJob(run): SummarizeUsageJob,
    ) -> Result<Summarized, Error> {
        let mut done = Summarized::default();
        self.close_days().await?;
        let merged = self.repeat(run, Step::MergeDeltas, &mut done).await?;
        let summed = self.repeat(run, Step::SumDay, &mut done).await?;
        let added = self.repeat(run, Step::MergeLate, &mut done).await?;
        done.complete = merged && summed && added;
        for range in RecentRange::iter() {
            if !run.deadline_is_near() && self.refresh_top_users(range).await? {
                done.ranges += 1;
            }
        }
        Ok(done)
    }
}

impl TelecomCronExecutor {
    /// Repeats a step until it has nothing to do, the deadline is near, or another run holds the
    /// lock. Returns whether nothing was left.
    async fn repeat(&self, run: Run, step: Step, done: &mut Summarized) -> Result<bool, Error> {
        while !run.deadline_is_near() {
            let work = db::write_tx(&self.pool, NAME, async |tx| {
                self.summarize_step(tx, step).await
            });
            match (work.await?, step) {
                (None, _) => return Ok(false),
                (Some(0), _) => return Ok(true),
                (Some(rows), Step::MergeDeltas) => done.deltas += rows,
                (Some(_), Step::SumDay) => done.days += 1,
                (Some(rows), Step::MergeLate) => done.late += rows,
            }
        }
        Ok(false)
    }

    /// Runs one step. Returns 0 if there was nothing to do, and `None` if another run holds the
    /// lock.
    async fn summarize_step(&self, tx: &mut Connection, step: Step) -> Result<Option<i64>, Error> {
        if !db::try_job_lock(tx, "summarize_usage").await? {
            return Ok(None);
        }
        let rows = match step {
            Step::MergeDeltas => node_usage::merge_deltas(tx, BATCH).await?,
            Step::SumDay => self.sum_next_day(tx).await?,
            Step::MergeLate => user_usage::merge_late(tx, BATCH).await?,
        };
        Ok(Some(rows))
    }

    /// Closes the days that ended some time ago. Charges wait for this transaction, so it does
    /// nothing else, and the next run tries again if charges hold the table for long.
    async fn close_days(&self) -> Result<(), Error> {
        let day = (self.context.now() - CLOSED_AFTER).date_naive();
        let progress = db::on_connection(&self.pool, user_usage::progress).await?;
        if progress.days_closed_before >= day {
            return Ok(());
        }
        let closed = db::write_tx(&self.pool, NAME, async |tx| {
            db::wait_briefly_for_locks(tx).await?;
            user_usage::close_days(tx, day).await
        });
        match closed.await {
            Err(error) if error.is_conflict() || error.is_locked() => {
                tracing::warn!(cause = error.cause(), "days are closed in the next run");
                Ok(())
            }
            closed => closed,
        }
    }

    /// Sums the first closed day that is not summed. Returns 0 if there is none.
    async fn sum_next_day(&self, tx: &mut Connection) -> Result<i64, Error> {
        let Progress {
            days_closed_before,
            days_summed_before: day,
        } = user_usage::progress(tx).await?;
        if day >= days_closed_before {
            return Ok(0);
        }
        user_usage::sum_day(tx, day).await?;
        user_usage::set_summed_before(tx, day + Days::new(1)).await?;
        Ok(1)
    }

    /// Finds the top users of a range again, unless the last time took too long for that. Returns
    /// whether it did.
    async fn refresh_top_users(&self, range: RecentRange) -> Result<bool, Error> {
        let now = self.context.now();
        db::write_tx(&self.pool, NAME, async |tx| {
            if !db::try_job_lock(tx, "summarize_usage").await? {
                return Ok(false);
            }
            let last = top_user::last_refresh(tx, range).await?;
            if last.is_some_and(|last| !is_due(&last, now)) {
                return Ok(false);
            }
            self.find_top_users(tx, range, now).await?;
            Ok(true)
        })
        .await
    }

    async fn find_top_users(
        &self,
        tx: &mut Connection,
        range: RecentRange,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let period = range.period(now);
        let summed_before = user_usage::progress(tx).await?.days_summed_before;
        let users = top_user::refresh(tx, range, &sources(range, period, summed_before)).await?;
        let refresh = Refresh {
            period_start: period.0,
            refreshed_at: now,
            seconds: began.elapsed().as_secs_f64(),
            users,
        };
        top_user::record_refresh(tx, range, refresh).await
    }
}

/// Whether refreshes take at most [`REFRESH_SHARE`] of the time if the range is refreshed now.
fn is_due(last: &Refresh, now: DateTime<Utc>) -> bool {
    (now - last.refreshed_at).as_seconds_f64() * REFRESH_SHARE >= last.seconds
}

/// Where the usage of a range is read. One that does not begin with a day is read by hour.
fn sources(
    range: RecentRange,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    summed_before: NaiveDate,
) -> Sources {
    let first_day = start.date_naive();
    let days = match range {
        RecentRange::Day => first_day..first_day,
        RecentRange::Week | RecentRange::Month => first_day..summed_before.max(first_day),
    };
    let hours_from = if days.is_empty() {
        start
    } else {
        days.end.and_time(chrono::NaiveTime::MIN).and_utc()
    };
    Sources {
        days: (days.start, days.end),
        hours: (hours_from, end),
    }
}
