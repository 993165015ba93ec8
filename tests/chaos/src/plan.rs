//! The size of a run.

use std::time::Duration;

/// What a run does before it ends.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Seed of all random choices.
    pub seed: u64,
    /// Number of usage lines to send.
    pub lines: u64,
    /// Rate at which usage lines are sent.
    pub lines_per_second: u64,
    /// Number of kills of workers and cuts of connections.
    pub cuts: u64,
    /// Number of restarts of PostgreSQL, including failovers.
    pub restarts: u64,
    /// Number of changes of servers and clients.
    pub fleet_changes: u64,
    /// Mean interval between restarts of PostgreSQL.
    pub restart_every: Duration,
    /// Interval between arming two faults.
    pub fault_every: Duration,
    /// Whether standbys are added and promoted.
    pub failovers: bool,
    /// Number of users with packages and traffic.
    pub users: usize,
    /// Speed of the world's clock as a multiple of the machine's clock.
    pub speed: i32,
    /// Maximum duration of the storm, even if the numbers above are not reached.
    pub limit: Duration,
    /// The command-line option that selects this size, with a leading space.
    pub option: &'static str,
}

impl Plan {
    /// The command that repeats the run.
    #[must_use]
    pub fn command(&self) -> String {
        format!("make chaos ARGS=\"--seed {}{}\"", self.seed, self.option)
    }

    #[must_use]
    /// The full run, which `make chaos` starts.
    pub fn full(seed: u64) -> Self {
        Self {
            seed,
            lines: 1_000_000,
            lines_per_second: 2_400,
            cuts: 520,
            restarts: 21,
            fleet_changes: 200,
            restart_every: Duration::from_secs(17),
            fault_every: Duration::from_millis(400),
            failovers: true,
            users: 3_000,
            speed: 20,
            limit: Duration::from_secs(690),
            option: "",
        }
    }

    /// A run that searches a planted fault: many kills and cuts, little else.
    #[must_use]
    pub fn hunt(seed: u64) -> Self {
        Self {
            lines: 60_000,
            cuts: 150,
            restarts: 2,
            restart_every: Duration::from_secs(12),
            fault_every: Duration::from_millis(100),
            users: 400,
            limit: Duration::from_secs(40),
            option: " --hunt",
            ..Self::short(seed)
        }
    }

    /// A run for the test suite.
    #[must_use]
    pub fn short(seed: u64) -> Self {
        Self {
            lines: 20_000,
            lines_per_second: 1_500,
            cuts: 15,
            restarts: 2,
            fleet_changes: 12,
            restart_every: Duration::from_secs(5),
            fault_every: Duration::from_millis(250),
            failovers: false,
            users: 200,
            limit: Duration::from_secs(35),
            option: " --short",
            ..Self::full(seed)
        }
    }
}
