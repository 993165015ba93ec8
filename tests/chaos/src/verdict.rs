//! The result of a run, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::cloud::queue::{Counts, Queue};
use crate::run::Run;
use crate::storm;

/// The result of a run.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Seed of the run.
    pub seed: u64,
    /// The command that repeats the run.
    pub command: String,
    /// Whether no rule was broken.
    pub passed: bool,
    /// Duration of the whole run, in seconds.
    pub seconds: u64,
    /// Number of usage lines that were sent.
    pub lines: u64,
    /// Number of kills of workers and cuts of connections.
    pub kills_and_cuts: u64,
    /// Number of restarts of PostgreSQL, including failovers.
    pub restarts: u64,
    /// Number of deliveries of messages to functions.
    pub deliveries: u64,
    /// Percentage of deliveries of a message that had been delivered before.
    pub duplicates_percent: u64,
    /// How often each kind of event happened.
    pub counts: BTreeMap<String, u64>,
    /// Broken rules by name.
    pub broken: BTreeMap<String, Broken>,
    /// Folder of the logs. `None` if they were not kept.
    pub logs: Option<PathBuf>,
}

/// A rule that was broken.
#[derive(Debug, Serialize)]
pub struct Broken {
    /// Number of violations, or of the bytes or lines concerned.
    pub count: u64,
    /// The first few cases.
    pub examples: Vec<String>,
}

impl Verdict {
    pub(crate) fn of(run: &Run, took: Duration) -> Self {
        let queues = run.cloud.queues().map(Queue::counts);
        let sum = |field: fn(&Counts) -> u64| queues.iter().map(field).sum::<u64>();
        let deliveries = sum(|counts| counts.delivered);
        let broken = run.findings().into_iter();
        let broken: BTreeMap<String, Broken> = broken
            .map(|(rule, finding)| {
                (
                    rule,
                    Broken {
                        count: finding.count,
                        examples: finding.examples,
                    },
                )
            })
            .collect();
        let mut counts = run.counts();
        counts.insert("invocations".to_owned(), run.invocations());
        counts.insert(
            "messages redriven under a new id".to_owned(),
            sum(|counts| counts.redriven),
        );
        counts.insert(
            "requests to SQS and EventBridge that failed".to_owned(),
            run.cloud.faults(),
        );
        Self {
            seed: run.plan.seed,
            command: run.plan.command(),
            passed: broken.is_empty(),
            seconds: took.as_secs(),
            lines: run.ledger.open().lines,
            kills_and_cuts: storm::cuts(run),
            restarts: storm::restarts(run),
            deliveries,
            duplicates_percent: sum(|counts| counts.duplicates) * 100 / deliveries.max(1),
            counts,
            broken,
            logs: None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat happened in {} s:", self.seconds)?;
        let totals = [
            ("usage lines", self.lines),
            ("kills and cuts", self.kills_and_cuts),
            ("restarts of PostgreSQL", self.restarts),
            ("deliveries", self.deliveries),
            ("duplicates among them, percent", self.duplicates_percent),
        ];
        for (what, count) in totals {
            writeln!(f, "{count:>10}  {what}")?;
        }
        for (what, count) in &self.counts {
            writeln!(f, "{count:>10}  {what}")?;
        }
        for (rule, broken) in &self.broken {
            writeln!(f, "\nBROKEN: {rule}: {}", broken.count)?;
            for example in &broken.examples {
                writeln!(f, "    {example}")?;
            }
        }
        if let Some(logs) = &self.logs {
            writeln!(f, "\nLogs: {}", logs.display())?;
        }
        let verdict = if self.passed { "PASSED" } else { "FAILED" };
        write!(
            f,
            "\n{verdict}, seed {}. Repeat it with: {}",
            self.seed, self.command
        )
    }
}
