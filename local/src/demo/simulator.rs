//! Runs the collectors: sends what the [script](super::script) plans at the planned times, and
//! keeps the account.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use shared::clock::Clock;
use tokio::sync::watch;
use uuid::Uuid;

use super::account::Account;
use super::collector::{MAX_MESSAGES, MAX_REQUEST_BYTES, Sink};
use super::fleet::Fleet;
use super::report::{Metrics, Report};
use super::script::{Load, Script};
use super::stop::stopped_within;

/// How long collectors gather reports before they send them, as real ones do.
const LINGER: Duration = Duration::from_millis(500);
/// Pause after a failed send.
const BACKOFF: Duration = Duration::from_secs(1);
/// Maximum number of waiting sends. A queue that is slower than the planned rate slows the
/// collectors down.
const MAX_WAITING: usize = 5_000;
/// Maximum number of attempts of the sends that remain at the end.
const LAST_TRIES: u32 = 5;
/// Time limit of the sends that remain at the end.
const LAST_SENDS: Duration = Duration::from_secs(5);
/// Time limit of a send. After that, its reports are sent again.
const SEND_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Each report is sent at its planned time.
    RealTime,
    /// Everything is sent immediately, as if the run ended now. For tests and to fill a history.
    /// Needs a duration.
    AtOnce,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub load: Load,
    /// If `None`, the simulator runs until it is stopped.
    pub duration: Option<Duration>,
    pub pace: Pace,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Reports with an acknowledged send.
    pub sent: u64,
    /// Usage lines of these reports.
    pub lines: u64,
    /// Acknowledged sends of reports that were acknowledged before.
    pub duplicates: u64,
    /// Reports whose period ended minutes to hours before the send.
    pub late: u64,
    /// Reports without usage lines.
    pub heartbeats: u64,
    /// Failed sends, which are tried again.
    pub failed: u64,
    /// Reports of earlier runs that were sent again.
    pub resent: u64,
    /// Reports that may or may not have arrived. The next run sends them again.
    pub uncertain: u64,
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} reports sent with {} lines", self.sent, self.lines)?;
        write!(f, ", {} heartbeats", self.heartbeats)?;
        write!(f, ", {} duplicates, {} late", self.duplicates, self.late)?;
        write!(f, ", {} sends failed", self.failed)?;
        write!(f, ", {} from an earlier run", self.resent)?;
        write!(f, ", {} uncertain", self.uncertain)
    }
}

/// A report with its state.
struct Flight {
    report: Report,
    metrics: Option<Metrics>,
    late: bool,
    intended: Cell<bool>,
    sent: Cell<bool>,
    attempts: Cell<i64>,
}

/// Sends in the order of their planned times.
#[derive(Default)]
struct Waiting {
    sends: BTreeMap<(Duration, u64), Rc<Flight>>,
    pushed: u64,
}

impl Waiting {
    fn push(&mut self, due: Duration, flight: Rc<Flight>) {
        self.pushed = self.pushed.saturating_add(1);
        self.sends.insert((due, self.pushed), flight);
    }

    fn next_due(&self) -> Option<Duration> {
        self.sends.first_key_value().map(|((due, _), _)| *due)
    }

    fn pop_due(&mut self, now: Duration) -> Option<Rc<Flight>> {
        let entry = self
            .sends
            .first_entry()
            .filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}

pub struct Simulator<'a, S> {
    options: Options,
    account: Account,
    sink: S,
    clock: &'a dyn Clock,
    stop: watch::Receiver<bool>,
    waiting: Waiting,
    totals: Totals,
    began: Instant,
    passed: Duration,
}

impl<'a, S: Sink> Simulator<'a, S> {
    /// `uncertain` are the reports that [`Account::open`] returned. The run ends in an orderly way
    /// when `stop` becomes true or its sender is dropped.
    pub fn new(
        options: Options,
        (account, uncertain): (Account, Vec<Report>),
        sink: S,
        clock: &'a dyn Clock,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let mut waiting = Waiting::default();
        let mut totals = Totals::default();
        for report in uncertain {
            totals.resent = totals.resent.saturating_add(1);
            waiting.push(Duration::ZERO, Rc::new(Flight::new(report, true)));
        }
        Self {
            options,
            account,
            sink,
            clock,
            stop,
            waiting,
            totals,
            began: Instant::now(),
            passed: Duration::ZERO,
        }
    }

    /// Runs until the duration is over or the simulator is stopped, then completes the sends that
    /// remain.
    pub async fn run(mut self, fleet: &Fleet) -> Result<Totals> {
        let started_at = match self.options.pace {
            Pace::RealTime => self.clock.now(),
            Pace::AtOnce => {
                let duration = self
                    .options
                    .duration
                    .context("A run at once needs a duration")?;
                self.clock.now() - TimeDelta::from_std(duration)?
            }
        };
        self.account.begin_run(fleet.seed, started_at)?;
        let mut script = Script::new(fleet, self.options.load, started_at);
        self.began = Instant::now();
        while self.wait(script.next_at()).await {
            self.plan(&mut script);
            self.send_due().await?;
        }
        if self.passed >= self.end() {
            self.plan(&mut script);
        }
        self.finish().await?;
        Ok(self.totals)
    }

    fn end(&self) -> Duration {
        self.options.duration.unwrap_or(Duration::MAX)
    }

    /// Waits until the next report or send is due and the gathering is over. Returns false at the
    /// end of the run.
    async fn wait(&mut self, next_report: Duration) -> bool {
        let next = self
            .waiting
            .next_due()
            .map_or(next_report, |due| due.min(next_report));
        let until = next.max(self.passed.saturating_add(LINGER));
        let end = self.end();
        if self.options.pace == Pace::RealTime {
            let pause = until.min(end).saturating_sub(self.began.elapsed());
            let stopped = stopped_within(&mut self.stop, pause).await;
            self.passed = self.began.elapsed();
            return !stopped && self.passed < end;
        }
        self.passed = until;
        until < end && !*self.stop.borrow()
    }

    fn plan(&mut self, script: &mut Script) {
        let end = self.end();
        while script.next_at() <= self.passed
            && script.next_at() < end
            && self.waiting.sends.len() < MAX_WAITING
        {
            let planned = script.next_report();
            let flight = Rc::new(Flight {
                late: planned.late,
                metrics: Some(planned.metrics),
                ..Flight::new(planned.report, false)
            });
            for due in planned.sends {
                self.waiting.push(due, Rc::clone(&flight));
            }
        }
    }

    async fn send_due(&mut self) -> Result<()> {
        while !*self.stop.borrow() {
            let batch = self.next_batch(self.passed)?;
            if batch.is_empty() {
                break;
            }
            self.send(batch).await?;
        }
        Ok(())
    }

    fn next_batch(&mut self, now: Duration) -> Result<Vec<(Rc<Flight>, String)>> {
        let mut batch: Vec<(Rc<Flight>, String)> = Vec::new();
        let mut bytes = 0_usize;
        while batch.len() < MAX_MESSAGES {
            let Some(flight) = self.waiting.pop_due(now) else {
                break;
            };
            let body = flight.body()?;
            bytes = bytes.saturating_add(body.len());
            if bytes > MAX_REQUEST_BYTES && !batch.is_empty() {
                self.waiting.push(Duration::ZERO, flight);
                break;
            }
            batch.push((flight, body));
        }
        Ok(batch)
    }

    /// The account is written before the send and after the acknowledgement.
    async fn send(&mut self, batch: Vec<(Rc<Flight>, String)>) -> Result<()> {
        let (flights, bodies): (Vec<Rc<Flight>>, Vec<String>) = batch.into_iter().unzip();
        let new = flights
            .iter()
            .filter(|flight| !flight.intended.replace(true));
        self.account.intend(new.map(|flight| &flight.report))?;
        let answer = tokio::time::timeout(SEND_LIMIT, self.sink.send(&bodies)).await;
        let refused = answer.ok().and_then(Result::ok);
        let failed = |position: usize| refused.as_ref().is_none_or(|all| all.contains(&position));
        let mut acknowledged: Vec<Uuid> = Vec::new();
        for (position, flight) in flights.into_iter().enumerate() {
            if failed(position) {
                self.totals.failed = self.totals.failed.saturating_add(1);
                self.waiting
                    .push(self.passed.saturating_add(BACKOFF), flight);
            } else if flight.sent.replace(true) {
                self.totals.duplicates = self.totals.duplicates.saturating_add(1);
            } else {
                self.totals.count(&flight);
                acknowledged.push(flight.report.id);
            }
        }
        self.account.sent(acknowledged, self.clock.now())
    }

    /// Sends everything that is waiting, with several attempts if necessary.
    async fn finish(&mut self) -> Result<()> {
        let began = Instant::now();
        // From here on, failed sends go to the end of the order.
        self.passed = Duration::MAX;
        for attempt in 0..LAST_TRIES {
            if attempt > 0 && self.options.pace == Pace::RealTime {
                tokio::time::sleep(BACKOFF).await;
            }
            let mut left = self.waiting.sends.len();
            while left > 0 && began.elapsed() < LAST_SENDS {
                let batch = self.next_batch(Duration::MAX)?;
                left = left.saturating_sub(batch.len());
                self.send(batch).await?;
            }
            if self.waiting.sends.is_empty() || began.elapsed() >= LAST_SENDS {
                break;
            }
        }
        let uncertain = |flight: &&Rc<Flight>| flight.intended.get() && !flight.sent.get();
        let ids: HashSet<Uuid> = self
            .waiting
            .sends
            .values()
            .filter(uncertain)
            .map(|flight| flight.report.id)
            .collect();
        self.totals.uncertain = u64::try_from(ids.len())?;
        Ok(())
    }
}

impl Flight {
    /// `intended` is true for a report of an earlier run, which is in the account.
    fn new(report: Report, intended: bool) -> Self {
        Self {
            report,
            metrics: None,
            late: false,
            intended: Cell::new(intended),
            sent: Cell::default(),
            attempts: Cell::default(),
        }
    }

    /// A retry may have newer metrics. The usage stays the same.
    fn body(&self) -> Result<String> {
        let attempts = self.attempts.get();
        self.attempts.set(attempts.saturating_add(1));
        let newer = |metrics: Metrics| Metrics {
            uptime_seconds: metrics.uptime_seconds.saturating_add(attempts),
            ..metrics
        };
        Ok(self.report.body(self.metrics.map(newer).as_ref())?)
    }
}

impl Totals {
    fn count(&mut self, flight: &Flight) {
        let lines = u64::try_from(flight.report.lines.len()).unwrap_or(u64::MAX);
        self.sent = self.sent.saturating_add(1);
        self.lines = self.lines.saturating_add(lines);
        self.late = self.late.saturating_add(u64::from(flight.late));
        self.heartbeats = self.heartbeats.saturating_add(u64::from(lines == 0));
    }
}
