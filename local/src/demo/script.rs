//! The collectors' plan: which reports they send, over which periods, when and how often. The same
//! seed, start, load and fleet yield the same plan.

use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::fleet::{Fleet, Server};
use super::report::{Line, Metrics, Report};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Reports per second of all servers together.
    pub reports_per_second: u32,
    /// Maximum number of usage lines per report. A report with usage has at least half of this.
    pub lines_per_report: u32,
    /// Maximum number of servers that report.
    pub servers: usize,
    /// Maximum number of users that have traffic.
    pub users: usize,
}

impl Default for Load {
    /// Small enough for two processors that also run the database, the emulator and the functions.
    fn default() -> Self {
        Self {
            reports_per_second: 10,
            lines_per_report: 25,
            servers: usize::MAX,
            users: usize::MAX,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub report: Report,
    pub metrics: Metrics,
    /// Times of the sends since the start, ascending. Every send after the first is a duplicate.
    pub sends: Vec<Duration>,
    /// Whether the period ended minutes to hours before the send.
    pub late: bool,
}

/// Generates the plan report by report.
#[derive(Debug)]
pub struct Script {
    rng: ChaCha8Rng,
    ids: Uuid,
    servers: Vec<Server>,
    users: Vec<Uuid>,
    load: Load,
    started_at: DateTime<Utc>,
    number: u64,
}

impl Script {
    #[must_use]
    pub fn new(fleet: &Fleet, load: Load, started_at: DateTime<Utc>) -> Self {
        // Two runs with the same seed report about different periods, so their reports need
        // different ids.
        let run = format!(
            "telecom-demo-{}-{}",
            fleet.seed,
            started_at.timestamp_micros()
        );
        Self {
            rng: ChaCha8Rng::seed_from_u64(fleet.seed),
            ids: Uuid::new_v5(&Uuid::NAMESPACE_OID, run.as_bytes()),
            servers: fleet
                .servers
                .iter()
                .filter(|server| server.program.is_none())
                .take(load.servers.max(1))
                .cloned()
                .collect(),
            users: fleet
                .users
                .iter()
                .take(load.users.max(1))
                .copied()
                .collect(),
            load,
            started_at,
            number: 0,
        }
    }

    /// Planned time of the next report since the start.
    #[must_use]
    pub fn next_at(&self) -> Duration {
        let micros =
            u128::from(self.number) * 1_000_000 / u128::from(self.load.reports_per_second.max(1));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    pub fn next_report(&mut self) -> Planned {
        let at = self.next_at();
        let number = self.number;
        self.number = number.saturating_add(1);
        let server = self.server(number);
        let ((start, end), late) = self.period(at);
        let heartbeat = self.rng.random_ratio(2, 25);
        let lines = if heartbeat {
            Vec::new()
        } else {
            self.lines(&server.clients)
        };
        let metrics = self.metrics(&lines, at);
        let sends = self.sends(at);
        let id = Uuid::new_v5(&self.ids, &number.to_be_bytes());
        Planned {
            report: Report {
                id,
                server: server.id,
                start,
                end,
                lines,
            },
            metrics,
            sends,
            late,
        }
    }

    /// Servers report in turn.
    fn server(&self, number: u64) -> Server {
        let count = u64::try_from(self.servers.len()).unwrap_or(u64::MAX).max(1);
        let turn = usize::try_from(number % count).unwrap_or_default();
        self.servers.get(turn).cloned().unwrap_or_default()
    }

    /// Returns a half-open period with the length of a round of all servers, and whether the report
    /// is late. Some late reports end on the hour, and some of these have no length, which tests
    /// the assignment to hours.
    fn period(&mut self, at: Duration) -> ((DateTime<Utc>, DateTime<Utc>), bool) {
        let now = self.started_at + TimeDelta::from_std(at).unwrap_or_default();
        let servers = i64::try_from(self.servers.len()).unwrap_or(i64::MAX);
        let length = TimeDelta::microseconds(
            servers * 1_000_000 / i64::from(self.load.reports_per_second.max(1)),
        );
        if !self.rng.random_ratio(1, 20) {
            return ((now - length, now), false);
        }
        let end =
            now - TimeDelta::microseconds(self.rng.random_range(60_000_000..6 * 3_600_000_000));
        let end = if self.rng.random_ratio(1, 4) {
            end.duration_trunc(TimeDelta::hours(1)).unwrap_or(end)
        } else {
            end
        };
        let length = if self.rng.random_ratio(1, 8) {
            TimeDelta::zero()
        } else {
            length
        };
        ((end - length, end), true)
    }

    fn lines(&mut self, clients: &[i32]) -> Vec<Line> {
        let maximum = self.load.lines_per_report.max(1);
        let count = self.rng.random_range(maximum.div_ceil(2)..=maximum);
        (0..count).map(|_| self.line(clients)).collect()
    }

    fn line(&mut self, clients: &[i32]) -> Line {
        let user = self.user();
        let client = if self.rng.random_ratio(1, 10) {
            None
        } else {
            clients.choose(&mut self.rng).copied()
        };
        // Large amounts are rare. Odd amounts are as frequent as even ones, so that half bytes have
        // to be rounded.
        let scale = 1_i64 << self.rng.random_range(8..=25);
        let download = self.rng.random_range(0..scale);
        let upload = self.rng.random_range(0..=scale / 8);
        Line(user, client, upload, download)
    }

    /// The demo user is frequent. Of the others, the first half is more frequent than the second.
    fn user(&mut self) -> Uuid {
        let users = self.users.len();
        let candidates = match self.rng.random_range(0..50) {
            0 => 1,
            1..=15 => users.div_ceil(8),
            16..=30 => users.div_ceil(2),
            _ => users,
        };
        let index = self.rng.random_range(0..candidates.max(1));
        self.users.get(index).copied().unwrap_or_default()
    }

    fn metrics(&mut self, lines: &[Line], at: Duration) -> Metrics {
        let gibibyte = 1_i64 << 30;
        Metrics {
            cpu_percent: f64::from(self.rng.random_range(20_u32..900)) / 10.0,
            memory_used: self.rng.random_range(gibibyte..4 * gibibyte),
            memory_total: 4 * gibibyte,
            load1: f64::from(self.rng.random_range(5_u32..400)) / 100.0,
            online_users: i64::try_from(lines.len()).unwrap_or(i64::MAX),
            uptime_seconds: i64::try_from(at.as_secs())
                .unwrap_or(i64::MAX)
                .saturating_add(86_400),
        }
    }

    /// Most reports are sent once, immediately. The others stand for a lost response, after which
    /// the collector repeats the report, for a lost request, after which it arrives later than
    /// reports of later periods, for a duplicate in the same batch, and for a redelivery by the
    /// queue much later.
    fn sends(&mut self, at: Duration) -> Vec<Duration> {
        let after = |millis: u64| at.saturating_add(Duration::from_millis(millis));
        match self.rng.random_range(0..100) {
            0..4 => vec![at, after(2_000)],
            4..5 => vec![at, after(2_000), after(6_000)],
            5..10 => vec![after(self.rng.random_range(2_000..20_000))],
            10..14 => vec![at, at],
            14..16 => vec![at, after(self.rng.random_range(20_000..40_000))],
            _ => vec![at],
        }
    }
}
