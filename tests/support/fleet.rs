//! What happens to a fleet, by chance: outages, reports that come late, twice and from the future,
//! collectors that are cut off, outages of the collection and of the database, maintenance. A fleet
//! lives in steps, a run of the job each; a server that is up reports once a step. All times are
//! seconds since the beginning.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Seconds since the beginning.
pub type Seconds = i64;
/// `[from, to)`.
pub type Span = (Seconds, Seconds);

/// Steps of silence after which a server counts as offline.
pub const TIMEOUT_STEPS: i64 = 5;
/// The longest that a report is under way by itself, steps.
const LATEST_STEPS: i64 = 40;

/// How a fleet lives.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// Of chance.
    pub seed: u64,
    /// Servers, from 1 on.
    pub servers: i32,
    /// Steps.
    pub steps: i64,
    /// Of a step.
    pub step_seconds: i64,
    /// The longest that a server stays up, steps.
    pub longest_up: i64,
}

/// A report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Its id, the same when it comes again.
    pub id: u128,
    /// The server.
    pub server: i32,
    /// The end of its period, as the collector says.
    pub period_end: Seconds,
    /// When it was sent.
    pub sent_at: Seconds,
}

/// What happens beside servers' outages.
#[derive(Debug, Clone)]
pub struct Events {
    /// A collector is cut off: the servers of which reports wait until it is over.
    pub cut_off: Vec<(Span, std::ops::Range<i32>)>,
    /// Nothing at all is collected.
    pub collection: Vec<Span>,
    /// The database is out of reach: nothing is ingested, and no job runs.
    pub database: Vec<Span>,
    /// A server is in maintenance.
    pub maintenance: Vec<(Span, i32)>,
}

struct Server {
    phase: Seconds,
    is_up: bool,
    until: Seconds,
    /// Reports yet to come that are slow, after an outage.
    slow: i64,
    last: Option<Seconds>,
}

/// A fleet on its way.
pub struct Fleet {
    /// How it lives.
    pub life: Life,
    /// What happens to it.
    pub events: Events,
    /// Of each server, the silences of the timeout or longer (what a report says is off by a second
    /// now and then): from the last report until the next, by when they were made.
    pub truth: BTreeMap<i32, Vec<Span>>,
    /// How often a server came back and its first reports were slow.
    slow_returns: usize,
    rng: ChaCha8Rng,
    servers: Vec<Server>,
    under_way: BTreeMap<i64, Vec<Report>>,
}

impl Fleet {
    /// At its beginning: all servers are up.
    #[must_use]
    pub fn new(life: Life) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(life.seed);
        let servers = (0..life.servers).map(|_| Server {
            phase: rng.random_range(0..life.step_seconds),
            is_up: true,
            until: rng.random_range(20..life.longest_up) * life.step_seconds,
            slow: 0,
            last: None,
        });
        let servers = servers.collect();
        let events = events(&life, &mut rng);
        Self {
            life,
            events,
            truth: BTreeMap::new(),
            slow_returns: 0,
            rng,
            servers,
            under_way: BTreeMap::new(),
        }
    }

    /// Seconds of the timeout.
    #[must_use]
    pub fn timeout(&self) -> Seconds {
        TIMEOUT_STEPS * self.life.step_seconds
    }

    /// Whether the job runs at the end of `step`: now and then a run is missed.
    pub fn job_runs(&mut self, step: i64) -> bool {
        !within(&self.events.database, step * self.life.step_seconds)
            && !self.rng.random_ratio(1, 100)
    }

    /// Lets a step pass; answers the reports that arrive in it.
    pub fn pass(&mut self, step: i64) -> Vec<Report> {
        for server in 1..=self.life.servers {
            if let Some(report) = self.report(server, step) {
                self.send(report);
            }
        }
        self.under_way.remove(&step).unwrap_or_default()
    }

    fn report(&mut self, id: i32, step: i64) -> Option<Report> {
        let Life {
            step_seconds,
            longest_up,
            ..
        } = self.life;
        let server = &mut self.servers[usize::try_from(id - 1).unwrap()];
        let end = (step - 1) * step_seconds + server.phase;
        while end >= server.until {
            server.is_up = !server.is_up;
            let steps = spell(&mut self.rng, server.is_up, longest_up);
            // Not in whole steps, so that lengths come near the timeout from both sides.
            server.until += steps * step_seconds + self.rng.random_range(0..step_seconds);
            server.slow = if server.is_up && self.rng.random_ratio(1, 5) {
                self.rng.random_range(1..4)
            } else {
                0
            };
            self.slow_returns += usize::from(server.slow > 0);
        }
        if !server.is_up {
            return None;
        }
        if let Some(last) = server
            .last
            .replace(end)
            .filter(|last| end - last >= TIMEOUT_STEPS * step_seconds)
        {
            self.truth.entry(id).or_default().push((last, end));
        }
        let ahead = if self.rng.random_ratio(1, 50) {
            self.rng.random_range(1..240)
        } else {
            0
        };
        let number = u128::try_from(step * 1_000_000 + i64::from(id)).unwrap();
        Some(Report {
            id: number,
            server: id,
            period_end: end + ahead,
            sent_at: end + self.rng.random_range(0..2),
        })
    }

    fn send(&mut self, report: Report) {
        let step = self.life.step_seconds;
        let server = &mut self.servers[usize::try_from(report.server - 1).unwrap()];
        let slow = server.slow > 0;
        server.slow = (server.slow - 1).max(0);
        let delay = match report.server {
            // Always late, and never by more than the timeout.
            7 => self.rng.random_range(2 * step..37 * step / 10),
            _ if slow => self.rng.random_range(step..20 * step),
            _ if self.rng.random_ratio(1, 50) => self.rng.random_range(step..LATEST_STEPS * step),
            _ => self.rng.random_range(0..=step / 3),
        };
        self.arrive(report, report.sent_at + delay);
        if self.rng.random_ratio(3, 100) {
            let again = self.rng.random_range(0..10 * step);
            self.arrive(report, report.sent_at + delay + again);
        }
    }

    fn arrive(&mut self, report: Report, mut arrives: Seconds) {
        let step = self.life.step_seconds;
        let is_cut_off = |(span, servers): &&(Span, std::ops::Range<i32>)| {
            within(&[*span], report.sent_at) && servers.contains(&report.server)
        };
        if let Some((span, _)) = self.events.cut_off.iter().find(is_cut_off) {
            arrives = arrives.max(span.1 + self.rng.random_range(0..2 * step));
        }
        if let Some(span) = self
            .events
            .collection
            .iter()
            .find(|span| within(&[**span], report.sent_at))
        {
            arrives = arrives.max(span.1 + self.rng.random_range(0..4 * step));
        }
        if let Some(span) = self
            .events
            .database
            .iter()
            .find(|span| within(&[**span], arrives))
        {
            // It was received in vain, and comes again after the visibility timeout.
            arrives = span.1 + self.rng.random_range(0..6 * step);
        }
        self.under_way
            .entry(arrives.div_euclid(step) + 1)
            .or_default()
            .push(report);
    }

    /// Whether an administrator had a say during a span, or reports of it may still be under way at
    /// the end.
    fn is_unsettled(&self, server: i32, span: Span) -> bool {
        self.events
            .maintenance
            .iter()
            .any(|(maintained, id)| *id == server && self.meet(*maintained, 8, span))
            || span.1 > (self.life.steps - 3 * LATEST_STEPS) * self.life.step_seconds
    }

    /// Whether all of a silence but what the timeout allows lies within a time in which no server
    /// was observed: an outage of the collection or the database, and the timeout after it, from
    /// when on silence counts again.
    fn is_unobserved(&self, silence: Span) -> bool {
        let margin = self.timeout() + 8 * self.life.step_seconds;
        let blind = |event: &Span| {
            silence.0 > event.0 - margin && silence.1 < event.1 + self.timeout() + margin
        };
        self.events.collection.iter().any(blind) || self.events.database.iter().any(blind)
    }

    /// Whether a span meets an event, which has its effects for so many steps more.
    fn meet(&self, event: Span, steps: i64, span: Span) -> bool {
        let step = self.life.step_seconds;
        span.0 < event.1 + steps * step && event.0 - 8 * step < span.1
    }

    /// Compares the outages in the timeline of a server with the truth, to within a step. Each
    /// recorded outage really happened. None is missing, except a silence that ends before three
    /// steps after the timeout, and one that lies within a time in which no server was observed.
    pub fn check(&self, server: i32, recorded: &[Span]) {
        let step = self.life.step_seconds;
        let truth = self.truth.get(&server).map_or(&[][..], Vec::as_slice);
        let alike = |real: &Span, span: &Span| {
            (real.0 - span.0).abs() <= step && (real.1 - span.1).abs() <= step
        };
        for span in recorded
            .iter()
            .filter(|span| !self.is_unsettled(server, **span))
        {
            assert!(
                truth.iter().any(|real| alike(real, span)),
                "{self:?}: {server} was not gone {span:?}: {truth:?}"
            );
        }
        let is_seen = |real: &Span| real.1 - real.0 > self.timeout() + 3 * step;
        for real in truth
            .iter()
            .filter(|real| is_seen(real) && !self.is_unsettled(server, **real))
            .filter(|real| !self.is_unobserved(**real))
        {
            assert!(
                recorded.iter().any(|span| alike(real, span)),
                "{self:?}: {server} was gone {real:?}: {recorded:?}"
            );
        }
    }

    /// The most outages that may be told of: one a silence, one for each server that is cut off,
    /// and one for each that came back and seemed gone (for longer, or again) since its reports
    /// were slow.
    #[must_use]
    pub fn most_alarms(&self) -> usize {
        let cut_off: i32 = self
            .events
            .cut_off
            .iter()
            .map(|(_, servers)| servers.end - servers.start)
            .sum();
        self.truth.values().map(Vec::len).sum::<usize>()
            + usize::try_from(cut_off).unwrap()
            + self.slow_returns
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.life)
    }
}

/// Steps of a server's next spell: most are long, some short, and of the outages many are about as
/// long as the timeout.
fn spell(rng: &mut ChaCha8Rng, is_up: bool, longest_up: i64) -> i64 {
    match (is_up, rng.random_range(0..10)) {
        (true, 0) | (false, 0..3) => rng.random_range(0..3),
        (true, _) => rng.random_range(12..longest_up),
        (false, 3..6) => rng.random_range(3..7),
        (false, _) => rng.random_range(8..300),
    }
}

/// A few of each kind, apart from each other: one in each twelfth of the time.
fn events(life: &Life, rng: &mut ChaCha8Rng) -> Events {
    let twelfth = life.steps * life.step_seconds / 12;
    let mut span = |number: i64, shortest: i64, longest: i64| {
        let from = number * twelfth + rng.random_range(0..twelfth / 3);
        (
            from,
            from + rng.random_range(shortest..longest) * life.step_seconds,
        )
    };
    Events {
        cut_off: vec![
            (span(1, 7, 40), 1..life.servers / 2),
            (span(5, 7, 40), life.servers / 4..life.servers),
        ],
        collection: vec![span(2, 8, 40), span(6, 8, 40)],
        database: vec![span(3, 3, 5), span(4, 6, 40), span(8, 12, 40)],
        maintenance: (0..4)
            .map(|n| (span(i64::from(n) + 7, 5, 40), 9 + n))
            .collect(),
    }
}

fn within(spans: &[Span], moment: Seconds) -> bool {
    spans.iter().any(|&(from, to)| (from..to).contains(&moment))
}
