//! How large a run is.

use std::time::Duration;

/// What a run does before it ends.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where every random choice comes from.
    pub seed: u64,
    /// Usage lines to send.
    pub lines: u64,
    /// The pace at which they are sent.
    pub lines_per_second: u64,
    /// Kills and cuts.
    pub cuts: u64,
    /// Restarts of PostgreSQL, failovers among them.
    pub restarts: u64,
    /// How often PostgreSQL is restarted.
    pub restart_every: Duration,
    /// How often a fault is armed.
    pub fault_every: Duration,
    /// Standbys are made, and promoted.
    pub failovers: bool,
    /// Users who have packages and traffic.
    pub users: usize,
    /// How many times faster than the machine's clock the world's runs.
    pub speed: i32,
    /// When the storm ends, whatever has been reached.
    pub limit: Duration,
    /// The option that asks for this size, to repeat a run.
    pub option: &'static str,
}

impl Plan {
    /// How to run it again.
    #[must_use]
    pub fn command(&self) -> String {
        format!("make chaos ARGS=\"--seed {}{}\"", self.seed, self.option)
    }

    /// What the bars ask for.
    #[must_use]
    pub fn full(seed: u64) -> Self {
        Self {
            seed,
            lines: 1_000_000,
            lines_per_second: 2_400,
            cuts: 520,
            restarts: 21,
            restart_every: Duration::from_secs(17),
            fault_every: Duration::from_millis(400),
            failovers: true,
            users: 2_000,
            speed: 20,
            limit: Duration::from_secs(690),
            option: "",
        }
    }

    /// For a fault that was planted: many kills and cuts, not much else.
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

    /// For every run of the tests.
    #[must_use]
    pub fn short(seed: u64) -> Self {
        Self {
            lines: 20_000,
            lines_per_second: 1_500,
            cuts: 15,
            restarts: 2,
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
