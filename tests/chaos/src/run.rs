//! The state that all parts of a run share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::clock::FastClock;
use crate::cloud::Cloud;
use crate::cloud::queue::Origin;
use crate::desk::Desk;
use crate::ledger::Ledger;
use crate::life::Cast;
use crate::operator::Operator;
use crate::plan::Plan;
use shared::clock::Clock as _;

/// Phases of a run.
const STORM: u8 = 0;
const CALM: u8 = 1;
const QUIET: u8 = 2;
const OVER: u8 = 3;

/// An interruption of PostgreSQL counts as the cause of failures until this long after it.
const AFTERMATH: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub struct Run {
    pub plan: Plan,
    pub clock: Arc<FastClock>,
    pub cloud: Cloud,
    pub ledger: Ledger,
    pub operator: Operator,
    pub desk: Desk,
    pub token: String,
    pub began: Instant,
    phase: AtomicU8,
    cast: Mutex<Cast>,
    outage: Mutex<Outage>,
    counts: Mutex<BTreeMap<String, u64>>,
    findings: Mutex<BTreeMap<String, Finding>>,
    planted_later: Mutex<Vec<(After, String)>>,
    /// Begin and end of each undisturbed run of `expire-packages`.
    pub expiries: Mutex<Vec<(Instant, Instant)>>,
    invocations: AtomicU64,
    quiet_at: Mutex<Option<DateTime<Utc>>>,
}

/// The current or last interruption of PostgreSQL.
#[derive(Debug, Clone, Copy, Default)]
struct Outage {
    down: bool,
    ended: Option<Instant>,
}

/// The message after whose acknowledgement a body is planted.
#[derive(Debug, Clone, Copy)]
pub enum After {
    Report(Uuid),
    Order(Uuid),
}

/// A rule that was broken.
#[derive(Debug, Clone, Default)]
pub struct Finding {
    pub count: u64,
    /// The first few cases.
    pub examples: Vec<String>,
}

impl Run {
    pub fn new(
        plan: Plan,
        clock: Arc<FastClock>,
        cloud: Cloud,
        operator: Operator,
        token: String,
        cast: Cast,
    ) -> Self {
        Self {
            plan,
            clock,
            cloud,
            operator,
            desk: Desk::default(),
            token,
            ledger: Ledger::default(),
            began: Instant::now(),
            phase: AtomicU8::new(STORM),
            cast: Mutex::new(cast),
            outage: Mutex::default(),
            counts: Mutex::default(),
            findings: Mutex::default(),
            planted_later: Mutex::default(),
            expiries: Mutex::default(),
            invocations: AtomicU64::new(0),
            quiet_at: Mutex::default(),
        }
    }

    /// Whether faults and simulated activity happen.
    pub fn is_storm(&self) -> bool {
        self.phase.load(Ordering::SeqCst) == STORM
    }

    /// Whether jobs still run.
    pub fn has_jobs(&self) -> bool {
        self.phase.load(Ordering::SeqCst) < QUIET
    }

    /// Whether functions are no longer invoked.
    pub fn is_over(&self) -> bool {
        self.phase.load(Ordering::SeqCst) == OVER
    }

    pub fn calm(&self) {
        self.phase.store(CALM, Ordering::SeqCst);
        self.cloud.calm();
    }

    /// Ends the jobs. Consumers continue.
    pub fn quiet(&self) {
        *lock(&self.quiet_at) = Some(self.clock.now());
        self.phase.store(QUIET, Ordering::SeqCst);
    }

    /// When the jobs ended, by the world's clock.
    pub fn jobs_ended_at(&self) -> DateTime<Utc> {
        lock(&self.quiet_at).unwrap_or_else(|| self.clock.now())
    }

    pub fn end(&self) {
        self.phase.store(OVER, Ordering::SeqCst);
    }

    pub fn cast(&self) -> Cast {
        lock(&self.cast).clone()
    }

    pub fn change_cast(&self, change: impl FnOnce(&mut Cast)) {
        change(&mut lock(&self.cast));
    }

    pub fn count(&self, what: &str) {
        self.count_more(what, 1);
    }

    pub fn count_more(&self, what: &str, number: usize) {
        *lock(&self.counts).entry(what.to_owned()).or_default() +=
            u64::try_from(number).unwrap_or_default();
    }

    pub fn counted(&self, what: &str) -> u64 {
        lock(&self.counts).get(what).copied().unwrap_or_default()
    }

    pub fn counts(&self) -> BTreeMap<String, u64> {
        lock(&self.counts).clone()
    }

    pub fn invoked(&self) {
        self.invocations.fetch_add(1, Ordering::Relaxed);
    }

    pub fn invocations(&self) -> u64 {
        self.invocations.load(Ordering::Relaxed)
    }

    /// Records that `rule` was broken.
    pub fn finding(&self, rule: &str, example: impl FnOnce() -> String) {
        self.findings_of(rule, 1, example);
    }

    /// Records that `rule` was broken `count` times.
    pub fn findings_of(&self, rule: &str, count: u64, example: impl FnOnce() -> String) {
        let mut findings = lock(&self.findings);
        let finding = findings.entry(rule.to_owned()).or_default();
        finding.count += count;
        if finding.examples.len() < 5 {
            finding.examples.push(example());
        }
    }

    pub fn findings(&self) -> BTreeMap<String, Finding> {
        lock(&self.findings).clone()
    }

    pub fn outage_begins(&self) {
        lock(&self.outage).down = true;
    }

    pub fn outage_ends(&self) {
        *lock(&self.outage) = Outage {
            down: false,
            ended: Some(Instant::now()),
        };
    }

    /// Whether PostgreSQL has been up since `begin` and the last interruption ended at least
    /// [`AFTERMATH`] before.
    pub fn was_up_since(&self, begin: Instant) -> bool {
        let outage = *lock(&self.outage);
        !outage.down && outage.ended.is_none_or(|ended| ended + AFTERMATH < begin)
    }

    /// Sends `body` as poison once the message `after` is accepted.
    pub fn plant_after(&self, after: After, body: String) {
        lock(&self.planted_later).push((after, body));
    }

    /// Sends each planted body whose message is accepted.
    pub fn plant_due(&self) {
        let books = self.ledger.open();
        let mut planted = lock(&self.planted_later);
        planted.retain(|(after, body)| {
            let (accepted, queue) = match after {
                After::Report(id) => (
                    books.reports.get(id).and_then(|report| report.accepted),
                    &self.cloud.reports,
                ),
                After::Order(id) => (
                    books.orders.get(id).and_then(|order| order.accepted),
                    &self.cloud.orders,
                ),
            };
            if accepted.is_none() {
                return true;
            }
            queue.send(
                body.clone(),
                Origin::Poison("id used again"),
                false,
                self.clock.now(),
            );
            false
        });
    }

    pub fn nothing_left_to_plant(&self) -> bool {
        lock(&self.planted_later).is_empty()
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
