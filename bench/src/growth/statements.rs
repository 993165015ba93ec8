//! Statements that read more pages with history.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::database::Database;
use crate::profile::{self, Recorder, Stage, Work};
use crate::table::Table;

/// A statement is listed if a call reads this many times as many pages.
const MORE: f64 = 1.25;
/// And at least as many more. A lookup in an index of a large table reads one or two more levels.
const MORE_PAGES: f64 = 8.0;

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
    /// Those that read more pages with history, those with the largest difference first.
    pub more: Vec<Compared>,
}

/// Pages that a call of a statement reads, on average.
#[derive(Debug, Serialize)]
pub struct Compared {
    pub statement: String,
    pub empty: f64,
    pub history: f64,
}

impl Statements {
    fn of(empty: &Stage, history: &Stage) -> Self {
        let on_both = |(name, work): (&String, &Work)| {
            Some(Compared {
                statement: name.clone(),
                empty: pages(work),
                history: pages(history.get(name)?),
            })
        };
        let all: Vec<Compared> = empty.iter().filter_map(on_both).collect();
        let compared = all.len();
        let mut more: Vec<Compared> = all
            .into_iter()
            .filter(|one| one.history > one.empty * MORE && one.difference() > MORE_PAGES)
            .collect();
        more.sort_by(|a, b| b.difference().total_cmp(&a.difference()));
        Self { compared, more }
    }

    pub fn text(&self, markdown: bool) -> String {
        let mut text = format!(
            "{} statements ran on both databases. {} of them read more pages per call with \
             history.\n",
            self.compared,
            self.more.len()
        );
        if self.more.is_empty() {
            return text;
        }
        let mut table = Table::new(&["statement", "pages, empty", "pages, history"]);
        for one in &self.more {
            table.push(vec![
                one.statement.clone(),
                format!("{:.0}", one.empty),
                format!("{:.0}", one.history),
            ]);
        }
        let _ = write!(text, "\n{}", table.write(markdown));
        text
    }
}

impl Compared {
    fn difference(&self) -> f64 {
        self.history - self.empty
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "the numbers are far below 2^52"
)]
fn pages(work: &Work) -> f64 {
    work.pages as f64 / work.calls.max(1) as f64
}
