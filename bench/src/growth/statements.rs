//! Statements that read more pages, or write more of the log, with history.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::database::Database;
use crate::profile::{self, Recorder, Stage, Work};
use crate::table::Table;

/// A statement is listed if a call reads or writes this many times as much.
const MORE: f64 = 1.25;
/// And at least as many pages more. A lookup in an index of a large table reads one or two more
/// levels.
const MORE_PAGES: f64 = 8.0;
/// Or as many more units of 2^10 bytes of write-ahead log.
const MORE_KB: f64 = 8.0;

/// Counts what both databases do.
pub struct Watch {
    recorders: [Recorder; 2],
    counted: [Stage; 2],
}

impl Watch {
    pub async fn start([empty, history]: [&Database; 2]) -> Result<Self> {
        Ok(Self {
            recorders: [
                Recorder::start(empty).await?,
                Recorder::start(history).await?,
            ],
            counted: [Stage::new(), Stage::new()],
        })
    }

    /// Counts what was done since the last call.
    pub async fn count(&mut self) -> Result<()> {
        for (recorder, counted) in self.recorders.iter_mut().zip(&mut self.counted) {
            profile::add(recorder.take().await?, counted);
        }
        Ok(())
    }

    /// Leaves out what was done since the last call.
    pub async fn skip(&mut self) -> Result<()> {
        for recorder in &mut self.recorders {
            recorder.take().await?;
        }
        Ok(())
    }

    /// Compares what was counted.
    pub fn compare(&self) -> Statements {
        let [empty, history] = &self.counted;
        Statements::of(empty, history)
    }
}

#[derive(Debug, Serialize)]
pub struct Statements {
    /// Number of statements that ran on both databases.
    pub compared: usize,
    /// Those that read or write more with history, by name.
    pub more: Vec<Compared>,
}

/// What a call of a statement reads and writes, on average.
#[derive(Debug, Serialize)]
pub struct Compared {
    pub statement: String,
    pub empty: Used,
    pub history: Used,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Used {
    pub pages: f64,
    /// Write-ahead log, in units of 2^10 bytes.
    pub log_kb: f64,
}

impl Statements {
    fn of(empty: &Stage, history: &Stage) -> Self {
        let on_both = |(name, work): (&String, &Work)| {
            Some(Compared {
                statement: name.clone(),
                empty: Used::by(work),
                history: Used::by(history.get(name)?),
            })
        };
        let all: Vec<Compared> = empty.iter().filter_map(on_both).collect();
        let compared = all.len();
        let more = all.into_iter().filter(Compared::is_more).collect();
        Self { compared, more }
    }

    pub fn text(&self, markdown: bool) -> String {
        let mut text = format!(
            "{} statements ran on both databases. {} of them read or write more per call with \
             history.\n",
            self.compared,
            self.more.len()
        );
        if self.more.is_empty() {
            return text;
        }
        let mut table = Table::new(&[
            "statement",
            "pages, empty",
            "pages, history",
            "WAL kB, empty",
            "WAL kB, history",
        ]);
        for one in &self.more {
            let used = [
                one.empty.pages,
                one.history.pages,
                one.empty.log_kb,
                one.history.log_kb,
            ];
            let used = used.map(|used| format!("{used:.0}"));
            table.push([vec![one.statement.clone()], used.to_vec()].concat());
        }
        let _ = write!(text, "\n{}", table.write(markdown));
        text
    }
}

impl Compared {
    fn is_more(&self) -> bool {
        let more = |empty: f64, history: f64, least: f64| {
            history > empty * MORE && history - empty > least
        };
        let Self { empty, history, .. } = self;
        more(empty.pages, history.pages, MORE_PAGES) || more(empty.log_kb, history.log_kb, MORE_KB)
    }
}

impl Used {
    #[expect(
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "the numbers are far below 2^52"
    )]
    fn by(work: &Work) -> Self {
        let per_call = |total: i64| total as f64 / work.calls.max(1) as f64;
        Self {
            pages: per_call(work.pages),
            log_kb: per_call(work.wal_bytes) / 1024.0,
        }
    }
}
