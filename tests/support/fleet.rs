//! A simulated fleet with random events: server outages, late, repeated and future-dated reports,
//! collectors that are cut off, outages of the collection and of the database, and maintenance.
//! Time advances in steps. The job runs once per step, and a server that is up reports once per
//! step. All times are seconds since the simulation began.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Seconds since the simulation began.
pub type Seconds = i64;
/// Half-open interval `[from, to)`.
pub type Span = (Seconds, Seconds);

/// Steps of silence after which a server counts as offline.
pub const TIMEOUT_STEPS: i64 = 5;
/// Longest random delay of a report, in steps.
const LATEST_STEPS: i64 = 40;

/// Parameters of a simulation.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// Seed of the random generator.
    pub seed: u64,
    /// Number of servers. Their ids start at 1.
    pub servers: i32,
    pub steps: i64,
    pub step_seconds: i64,
    /// Longest time that a server stays up, in steps.
    pub longest_up: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Id of the report. A repeated report has the same id.
    pub id: u128,
    pub server: i32,
    /// End of the reported period by the collector's clock.
    pub period_end: Seconds,
    pub sent_at: Seconds,
}

/// Events other than server outages.
#[derive(Debug, Clone)]
pub struct Events {
    /// A collector is cut off. Reports of its servers wait until the end of the span.
    pub cut_off: Vec<(Span, std::ops::Range<i32>)>,
    /// The collection is down for all servers.
    pub collection: Vec<Span>,
    /// The database is unreachable: nothing is ingested, and no job runs.
    pub database: Vec<Span>,
    /// A server is in maintenance.
    pub maintenance: Vec<(Span, i32)>,
}

struct Server {
    phase: Seconds,
    is_up: bool,
    until: Seconds,
    /// Number of slow reports still to come after an outage.
    slow: i64,
    last: Option<Seconds>,
}

/// The state of a simulation, and what happened in it so far.
pub struct Fleet {
    pub life: Life,
    pub events: Events,
    /// Real silences per server, from the creation of the last report to that of the next. Only
    /// those of the timeout or longer. A report may be off by a second.
    pub truth: BTreeMap<i32, Vec<Span>>,
    /// Number of outages after which the first reports were slow.
    slow_returns: usize,
    /// Whether the last run of the job was missed.
    is_run_missed: bool,
    rng: ChaCha8Rng,
    servers: Vec<Server>,
    under_way: BTreeMap<i64, Vec<Report>>,
}

impl Fleet {
    /// Starts a simulation with all servers up.
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
            is_run_missed: false,
            rng,
            servers,
            under_way: BTreeMap::new(),
        }
    }

    /// The offline timeout in seconds.
    #[must_use]
    pub fn timeout(&self) -> Seconds {
        TIMEOUT_STEPS * self.life.step_seconds
    }

    /// Whether the job runs at the end of `step`. One run in 100 is missed, but no two in
    /// succession: the job takes that for a pause in which it observed no server.
    pub fn job_runs(&mut self, step: i64) -> bool {
        if within(&self.events.database, step * self.life.step_seconds) {
            return false;
        }
        self.is_run_missed = self.rng.random_ratio(1, 100) && !self.is_run_missed;
        !self.is_run_missed
    }

    /// Simulates a step and returns the reports that arrive in it.
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
            let steps = random_duration(&mut self.rng, server.is_up, longest_up);
            // A fraction of a step lets durations fall close to the timeout on both sides.
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
            // Always late, but never by more than the timeout.
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
            // The attempt failed. SQS delivers the report again after the visibility timeout.
            arrives = span.1 + self.rng.random_range(0..6 * step);
        }
        self.under_way
            .entry(arrives.div_euclid(step) + 1)
            .or_default()
            .push(report);
    }

    /// Whether maintenance affects a span, or reports of it may still be under way at the end.
    fn is_exempt(&self, server: i32, span: Span) -> bool {
        self.events
            .maintenance
            .iter()
            .any(|(maintained, id)| *id == server && self.overlaps(*maintained, 8, span))
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

    /// Whether a span overlaps the effects of an event, which last from 8 steps before it until
    /// `steps` steps after it.
    fn overlaps(&self, event: Span, steps: i64, span: Span) -> bool {
        let step = self.life.step_seconds;
        span.0 < event.1 + steps * step && event.0 - 8 * step < span.1
    }

    /// Compares the recorded outages of a server with the real ones, to within a step. Every
    /// recorded outage is real, even if the collection was down at the time. Every real outage is
    /// recorded, except one that ends less than three steps after the timeout, and one that lies
    /// within a time in which no server was observed.
    pub fn check(&self, server: i32, recorded: &[Span]) {
        let step = self.life.step_seconds;
        let truth = self.truth.get(&server).map_or(&[][..], Vec::as_slice);
        let matches = |real: &Span, span: &Span| {
            (real.0 - span.0).abs() <= step && (real.1 - span.1).abs() <= step
        };
        for span in recorded
            .iter()
            .filter(|span| !self.is_exempt(server, **span))
        {
            assert!(
                truth.iter().any(|real| matches(real, span)),
                "{self:?}: server {server} was not offline in {span:?}: {truth:?}"
            );
        }
        let is_seen = |real: &Span| real.1 - real.0 > self.timeout() + 3 * step;
        for real in truth
            .iter()
            .filter(|real| is_seen(real) && !self.is_exempt(server, **real))
            .filter(|real| !self.is_unobserved(**real))
        {
            assert!(
                recorded.iter().any(|span| matches(real, span)),
                "{self:?}: the outage {real:?} of server {server} is not recorded: {recorded:?}"
            );
        }
    }

    /// Maximum number of outages that may be reported: one per silence, one per server that is cut
    /// off, and one per return with slow reports, which look like a longer or another outage.
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

/// Random duration of a server's next state, in steps. Most are long, some short, and many outages
/// last about as long as the timeout.
fn random_duration(rng: &mut ChaCha8Rng, is_up: bool, longest_up: i64) -> i64 {
    match (is_up, rng.random_range(0..10)) {
        (true, 0) | (false, 0..3) => rng.random_range(0..3),
        (true, _) => rng.random_range(12..longest_up),
        (false, 3..6) => rng.random_range(3..7),
        (false, _) => rng.random_range(8..300),
    }
}

/// A few events of each kind, each in its own twelfth of the time.
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

fn within(spans: &[Span], time: Seconds) -> bool {
    spans.iter().any(|&(from, to)| (from..to).contains(&time))
}
