//! The throughput of the pipeline and of what it is compared with.

use serde::Serialize;

use crate::cost::Cost;
use crate::dollars::Dollars;
use crate::pipeline::Totals;
use crate::profile::{self, Profile, Stage};
use crate::reference::Measured;
use crate::table::Table;

#[derive(Debug, Serialize)]
pub struct Workload {
    /// Name of the rhythm of reports.
    pub name: &'static str,
    /// Number of usage rows.
    pub rows: u64,
    /// Number of billing events for these rows.
    pub events: u64,
    /// Number of messages that contained these events.
    pub messages: u64,
    /// Usage rows per billing event.
    pub fold: f64,
    /// A line per stage, followed by the references.
    pub lines: Vec<Line>,
    /// `None` if there was one round.
    pub spread: Option<Spread>,
    pub dollars: Dollars,
    /// `None` if statements were not profiled.
    pub profile: Option<Profile>,
}

/// The lowest and the highest ratio of all rounds, end to end.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spread {
    /// Number of rounds.
    pub rounds: usize,
    pub of_copy: (f64, f64),
    pub of_panels: (f64, f64),
    pub of_set_based: (f64, f64),
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Line {
    pub what: &'static str,
    pub rows: u64,
    pub seconds: f64,
    pub rows_per_second: f64,
    /// As a multiple of COPY of the same rows.
    pub of_copy: f64,
    /// As a multiple of the panels' way.
    pub of_panels: f64,
    /// As a multiple of the set-based way.
    pub of_set_based: f64,
    /// `None` for the references.
    pub cost: Option<Cost>,
}

/// What the pipeline is compared with.
#[derive(Debug, Clone, Copy)]
pub struct References {
    pub copy: Measured,
    pub panels: Measured,
    pub set_based: Measured,
}

/// The line that the bars apply to.
pub const END_TO_END: &str = "end to end";

impl Workload {
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "counts far below 2^52"
    )]
    pub fn new(
        name: &'static str,
        totals: &Totals,
        references: References,
        profile: Option<Profile>,
    ) -> Self {
        let rate = |rows: u64, seconds: f64| rows as f64 / seconds;
        let measured = |of: Measured| (of.rows as u64, of.time.as_secs_f64());
        let copy = measured(references.copy);
        let panels = measured(references.panels);
        let set_based = measured(references.set_based);
        let line = |what, (rows, seconds): (u64, f64)| Line {
            what,
            rows,
            seconds,
            rows_per_second: rate(rows, seconds),
            of_copy: rate(rows, seconds) / rate(copy.0, copy.1),
            of_panels: rate(rows, seconds) / rate(panels.0, panels.1),
            of_set_based: rate(rows, seconds) / rate(set_based.0, set_based.1),
            cost: None,
        };
        let stage = |what, time: std::time::Duration, cost| Line {
            cost: Some(cost),
            ..line(what, (totals.rows, time.as_secs_f64()))
        };
        let lines = vec![
            stage("ingest", totals.ingest, totals.ingest_cost),
            stage("bill", totals.bill, totals.bill_cost),
            stage("apply", totals.apply, totals.apply_cost),
            stage(END_TO_END, totals.end_to_end(), totals.cost()),
            line("COPY", copy),
            line("panels", panels),
            line("set-based", set_based),
        ];
        let (rows, events, messages) = (totals.rows, totals.events, totals.messages);
        Self {
            name,
            rows,
            events,
            messages,
            fold: rows as f64 / events as f64,
            lines,
            spread: None,
            dollars: Dollars::per_million_rows(totals),
            profile,
        }
    }

    /// The medians of rounds, each number by itself. The counts, the dollars, and the times of
    /// statements, are those of the last round. `None` without a round.
    pub fn median(rounds: Vec<Self>) -> Option<Self> {
        let line = |number: usize| {
            let of: Vec<&Line> = rounds
                .iter()
                .filter_map(|round| round.lines.get(number))
                .collect();
            let median = |value: fn(&Line) -> f64| middle(of.iter().map(|line| value(line)));
            Some(Line {
                seconds: median(|line| line.seconds),
                rows_per_second: median(|line| line.rows_per_second),
                of_copy: median(|line| line.of_copy),
                of_panels: median(|line| line.of_panels),
                of_set_based: median(|line| line.of_set_based),
                ..**of.last()?
            })
        };
        let lines = (0..rounds.last()?.lines.len()).filter_map(line).collect();
        let ends: Vec<&Line> = rounds
            .iter()
            .filter_map(|round| round.line(END_TO_END))
            .collect();
        let spread = |value: fn(&Line) -> f64| {
            let values = ends.iter().map(|line| value(line));
            (
                values.clone().fold(f64::INFINITY, f64::min),
                values.fold(0.0, f64::max),
            )
        };
        let spread = (rounds.len() > 1).then(|| Spread {
            rounds: rounds.len(),
            of_copy: spread(|line| line.of_copy),
            of_panels: spread(|line| line.of_panels),
            of_set_based: spread(|line| line.of_set_based),
        });
        let last = rounds.into_iter().next_back()?;
        Some(Self {
            lines,
            spread,
            ..last
        })
    }

    pub fn line(&self, what: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.what == what)
    }
}

impl Workload {
    pub fn text(&self, markdown: bool) -> String {
        let title = format!(
            "{}: {} usage rows, {} billing events ({:.2} rows each) in {} messages",
            self.name, self.rows, self.events, self.fold, self.messages
        );
        let mut table = Table::new(&[
            "",
            "rows",
            "seconds",
            "rows/s",
            "× COPY",
            "× panels",
            "× set-based",
        ]);
        for line in &self.lines {
            table.push(vec![
                line.what.to_owned(),
                line.rows.to_string(),
                format!("{:.2}", line.seconds),
                format!("{:.0}", line.rows_per_second),
                format!("{:.3}", line.of_copy),
                format!("{:.1}", line.of_panels),
                format!("{:.2}", line.of_set_based),
            ]);
        }
        let mut text = format!("{title}\n\n{}\n", table.write(markdown));
        if let Some(spread) = &self.spread {
            text.push_str(&spread.text());
        }
        text.push_str(&self.cost_text(markdown));
        text.push_str(&self.dollars.text(markdown));
        if let Some(profile) = &self.profile {
            for (stage, works) in [
                ("ingest", &profile.ingest),
                ("bill", &profile.bill),
                ("apply", &profile.apply),
            ] {
                let seconds = self.line(stage).map_or(0.0, |line| line.seconds);
                text.push_str(&stage_text(stage, seconds, works, markdown));
            }
        }
        text
    }
}

impl Workload {
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "counts far below 2^52"
    )]
    fn cost_text(&self, markdown: bool) -> String {
        let mut table = Table::new(&[
            "per row",
            "our CPU µs",
            "database CPU µs",
            "WAL bytes",
            "fsyncs per 1,000",
        ]);
        for line in &self.lines {
            let Some(cost) = line.cost else { continue };
            let per_row = |amount: f64| amount / line.rows as f64;
            table.push(vec![
                line.what.to_owned(),
                format!("{:.2}", per_row(cost.ours.as_secs_f64() * 1e6)),
                format!("{:.2}", per_row(cost.database.as_secs_f64() * 1e6)),
                format!("{:.0}", per_row(cost.wal_bytes as f64)),
                format!("{:.2}", per_row(cost.wal_syncs as f64 * 1e3)),
            ]);
        }
        format!("{}\n", table.write(markdown))
    }
}

impl Spread {
    fn text(&self) -> String {
        let Self {
            rounds,
            of_copy,
            of_panels,
            of_set_based,
        } = self;
        format!(
            "medians of {rounds} rounds; end to end {:.3} to {:.3} × COPY, {:.1} to {:.1} \
             × panels, {:.2} to {:.2} × set-based\n\n",
            of_copy.0, of_copy.1, of_panels.0, of_panels.1, of_set_based.0, of_set_based.1
        )
    }
}

/// The median. 0 without a value.
pub fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn stage_text(name: &str, seconds: f64, stage: &Stage, markdown: bool) -> String {
    let mut table = Table::new(&[name, "calls", "ms", "% of stage", "rows", "WAL MB"]);
    let share = |ms: f64| format!("{:.0}", ms / seconds / 10.0);
    for (statement, work) in profile::top(stage) {
        let wal = u32::try_from(work.wal_bytes >> 10)
            .map_or(f64::INFINITY, |kib| f64::from(kib) / 1024.0);
        table.push(vec![
            statement.to_owned(),
            work.calls.to_string(),
            format!("{:.0}", work.ms),
            share(work.ms),
            work.rows.to_string(),
            format!("{wal:.1}"),
        ]);
    }
    let outside = seconds * 1e3 - stage.values().map(|work| work.ms).sum::<f64>();
    table.push(vec![
        "(outside: our code, commit, network)".to_owned(),
        String::new(),
        format!("{outside:.0}"),
        share(outside),
        String::new(),
        String::new(),
    ]);
    format!("{}\n", table.write(markdown))
}
