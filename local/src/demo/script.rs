//! What the collectors will do: which reports, over which periods, sent when and how often. The
//! same for the same seed, start, rate and fleet.

use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::fleet::{Fleet, Server};
use super::report::{Line, Metrics, Report};

/// How much is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Reports a second, over all servers.
    pub reports_per_second: u32,
    /// Usage lines in a report, at most; half of it at least.
    pub lines_per_report: u32,
    /// Servers that report, at most.
    pub servers: usize,
    /// Users that have traffic, at most.
    pub users: usize,
}

impl Default for Load {
    /// Modest: for two processors that also run the database, the emulator and the functions.
    fn default() -> Self {
        Self {
            reports_per_second: 10,
            lines_per_report: 25,
            servers: usize::MAX,
            users: usize::MAX,
        }
    }
}

/// A report and its sends.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The report.
    pub report: Report,
    /// How the server was.
    pub metrics: Metrics,
    /// When it is sent, after the start; more than once: a repeat. Ascending.
    pub sends: Vec<Duration>,
    /// Its period ended minutes to hours before.
    pub late: bool,
}

/// The collectors' future, report by report.
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
    /// For the fleet, from `started_at` on.
    #[must_use]
    pub fn new(fleet: &Fleet, load: Load, started_at: DateTime<Utc>) -> Self {
        // Two runs of one seed say the same about different periods: that must not be under the
        // same ids.
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

    /// When the next report is planned, after the start.
    #[must_use]
    pub fn next_at(&self) -> Duration {
        let micros =
            u128::from(self.number) * 1_000_000 / u128::from(self.load.reports_per_second.max(1));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// The next report.
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

    /// Servers take turns.
    fn server(&self, number: u64) -> Server {
        let count = u64::try_from(self.servers.len()).unwrap_or(u64::MAX).max(1);
        let turn = usize::try_from(number % count).unwrap_or_default();
        self.servers.get(turn).cloned().unwrap_or(Server {
            id: 0,
            name: String::new(),
            country: "",
            location: "",
            clients: Vec::new(),
        })
    }

    /// Half-open, as long as a server's turn takes; and whether it is late. Some late ones end on
    /// the hour, and some of those have no length: where the hours' boundary is decided.
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
        let most = self.load.lines_per_report.max(1);
        let count = self.rng.random_range(most.div_ceil(2)..=most);
        (0..count).map(|_| self.line(clients)).collect()
    }

    fn line(&mut self, clients: &[i32]) -> Line {
        let user = self.user();
        let client = if self.rng.random_ratio(1, 10) {
            None
        } else {
            self.pick(clients)
        };
        // Rarely much, sometimes next to nothing; odd as often as even, so that a half byte is left
        // to round.
        let scale = 1_i64 << self.rng.random_range(8..=25);
        let download = self.rng.random_range(0..scale);
        let upload = self.rng.random_range(0..=scale / 8);
        Line(user, client, upload, download)
    }

    /// The demo user often; of the others, the former half more often than the latter.
    fn user(&mut self) -> Uuid {
        let users = self.users.len();
        let among = match self.rng.random_range(0..50) {
            0 => 1,
            1..=15 => users.div_ceil(8),
            16..=30 => users.div_ceil(2),
            _ => users,
        };
        let index = self.rng.random_range(0..among.max(1));
        self.users.get(index).copied().unwrap_or_default()
    }

    fn pick(&mut self, clients: &[i32]) -> Option<i32> {
        if clients.is_empty() {
            return None;
        }
        let index = self.rng.random_range(0..clients.len());
        clients.get(index).copied()
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

    /// Most reports are sent once, at once. Of the others: the answer was lost and the report comes
    /// again after a timeout; the request was lost and it comes late, after reports of later
    /// periods; it comes twice in a batch; the queue itself delivers it again much later.
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
