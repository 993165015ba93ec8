//! What was measured, as text, Markdown or JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::api::Api;
use crate::bars::Bar;
use crate::database::Environment;
use crate::memory::Memory;
use crate::pipeline::Totals;
use crate::profile::{self, Profile, Stage};
use crate::reference::Measured;

/// Everything.
#[derive(Debug, Serialize)]
pub struct Results {
    /// What the numbers depend on.
    pub environment: Environment,
    /// Throughput, by workload.
    pub workloads: Vec<Workload>,
    /// Peak memory, by function.
    pub memory: Vec<Memory>,
    /// The API over gRPC, if asked for.
    pub api: Option<Api>,
    /// What has to be met.
    pub bars: Vec<Bar>,
}

/// One workload.
#[derive(Debug, Serialize)]
pub struct Workload {
    /// How often nodes report.
    pub name: &'static str,
    /// Usage rows metered.
    pub rows: u64,
    /// Billing events made of them.
    pub events: u64,
    /// Messages that these were packed into.
    pub messages: u64,
    /// Usage rows for each billing event.
    pub fold: f64,
    /// A line a stage, then the references.
    pub lines: Vec<Line>,
    /// Statements, if asked for.
    pub profile: Option<Profile>,
}

/// One measurement.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Which.
    pub what: &'static str,
    /// Usage rows.
    pub rows: u64,
    /// Wall-clock time.
    pub seconds: f64,
    /// Usage rows per second.
    pub rows_per_second: f64,
    /// Times COPY of the same rows.
    pub of_copy: f64,
    /// Times the panels' way.
    pub of_panels: f64,
}

/// The line that the bars apply to.
pub const END_TO_END: &str = "end to end";

impl Workload {
    /// From what was measured.
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "counts far below 2^52"
    )]
    pub fn new(
        name: &'static str,
        totals: &Totals,
        copy: Measured,
        panels: Measured,
        profile: Option<Profile>,
    ) -> Self {
        let rate = |rows: u64, seconds: f64| rows as f64 / seconds;
        let copy = (copy.rows as u64, copy.time.as_secs_f64());
        let panels = (panels.rows as u64, panels.time.as_secs_f64());
        let line = |what, (rows, seconds): (u64, f64)| Line {
            what,
            rows,
            seconds,
            rows_per_second: rate(rows, seconds),
            of_copy: rate(rows, seconds) / rate(copy.0, copy.1),
            of_panels: rate(rows, seconds) / rate(panels.0, panels.1),
        };
        let stage = |what, time: std::time::Duration| line(what, (totals.rows, time.as_secs_f64()));
        let lines = vec![
            stage("ingest", totals.ingest),
            stage("bill", totals.bill),
            stage("apply", totals.apply),
            stage(END_TO_END, totals.end_to_end()),
            line("COPY", copy),
            line("panels", panels),
        ];
        let (rows, events, messages) = (totals.rows, totals.events, totals.messages);
        Self {
            name,
            rows,
            events,
            messages,
            fold: rows as f64 / events as f64,
            lines,
            profile,
        }
    }

    /// The line of that name.
    pub fn line(&self, what: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.what == what)
    }
}

/// Cells, the first row being the head.
struct Table(Vec<Vec<String>>);

impl Table {
    fn new(head: &[&str]) -> Self {
        Self(vec![head.iter().map(|&cell| cell.to_owned()).collect()])
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |column: usize| {
            self.0
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        (0..columns)
            .map(|column| width(column).unwrap_or_default())
            .collect()
    }

    /// The first column to the left, numbers to the right.
    fn write(&self, markdown: bool) -> String {
        let widths = self.widths();
        let (start, between, end) = if markdown {
            ("| ", " | ", " |")
        } else {
            ("  ", "  ", "")
        };
        let mut text = String::new();
        for (number, row) in self.0.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, &width))| {
                    if column == 0 {
                        format!("{cell:<width$}")
                    } else {
                        format!("{cell:>width$}")
                    }
                })
                .collect();
            let _ = writeln!(text, "{start}{}{end}", cells.join(between).trim_end());
            if markdown && number == 0 {
                let rules: Vec<&str> = (0..widths.len())
                    .map(|column| if column == 0 { "---" } else { "--:" })
                    .collect();
                let _ = writeln!(text, "|{}|", rules.join("|"));
            }
        }
        text
    }
}

impl Results {
    /// For people.
    pub fn text(&self, markdown: bool) -> String {
        let mut text = self.environment_text();
        for workload in &self.workloads {
            text.push_str(&workload.text(markdown));
        }
        text.push_str(&self.memory_text(markdown));
        text.push_str(
            &self
                .api
                .as_ref()
                .map(|api| api_text(api, markdown))
                .unwrap_or_default(),
        );
        text.push_str(&bar_table(&self.bars, markdown));
        text
    }

    fn environment_text(&self) -> String {
        let Environment {
            postgres,
            durable,
            cores,
            commit_ms,
            consumers,
        } = &self.environment;
        let disk = if *durable {
            "fsync on"
        } else {
            "fsync OFF: no such number counts"
        };
        format!(
            "PostgreSQL {postgres}, {disk}, {cores} cores, one row and its commit {commit_ms:.2} \
             ms, {consumers} consumers of each queue at once\n\n"
        )
    }

    fn memory_text(&self, markdown: bool) -> String {
        if self.memory.is_empty() {
            return String::new();
        }
        let mut table = Table::new(&["function", "peak MB", "first answer ms", "with"]);
        for memory in &self.memory {
            let (peak, first) = (
                format!("{:.1}", memory.peak_mb),
                format!("{:.0}", memory.first_answer_ms),
            );
            table.0.push(vec![
                memory.function.to_owned(),
                peak,
                first,
                memory.with.clone(),
            ]);
        }
        format!("{}\n", table.write(markdown))
    }
}

fn api_text(api: &Api, markdown: bool) -> String {
    let Api {
        clients,
        calls_per_second: calls,
        calls_apart_per_second: apart,
        selects_per_second: selects,
        ..
    } = api;
    let mut contest = Table::new(&[
        "clients, server and database on the same processors",
        "clients",
        "calls/s",
        "× pgbench",
    ]);
    let mut row = |what: &str, rate: f64| {
        contest.0.push(vec![
            what.to_owned(),
            clients.to_string(),
            format!("{rate:.0}"),
            format!("{:.3}", rate / selects),
        ]);
    };
    row(
        "GetRecentTrafficUsage of a month, gRPC, one connection",
        *calls,
    );
    row("GetRecentTrafficUsage of a month, gRPC, one each", *apart);
    row("pgbench -S -M prepared", *selects);
    let mut table = Table::new(&["RPC", "clients", "calls/s", "p50 ms", "p99 ms"]);
    for latency in &api.latencies {
        let (rate, clients) = (
            format!("{:.0}", latency.calls_per_second),
            latency.clients.to_string(),
        );
        let (p50, p99) = (
            format!("{:.2}", latency.p50_ms),
            format!("{:.2}", latency.p99_ms),
        );
        table
            .0
            .push(vec![latency.rpc.to_owned(), clients, rate, p50, p99]);
    }
    format!("{}\n{}\n", contest.write(markdown), table.write(markdown))
}

/// What has to be met, and whether it is.
pub fn bar_table(bars: &[Bar], markdown: bool) -> String {
    let mut table = Table::new(&["bar", "least or most", "measured", ""]);
    for bar in bars {
        let met = if bar.met { "met" } else { "MISSED" };
        table.0.push(vec![
            bar.name.clone(),
            bar.bound.clone(),
            bar.measured.clone(),
            met.to_owned(),
        ]);
    }
    table.write(markdown)
}

impl Workload {
    fn text(&self, markdown: bool) -> String {
        let title = format!(
            "{}: {} usage rows, {} billing events ({:.2} rows each) in {} messages",
            self.name, self.rows, self.events, self.fold, self.messages
        );
        let mut table = Table::new(&["", "rows", "seconds", "rows/s", "× COPY", "× panels"]);
        for line in &self.lines {
            table.0.push(vec![
                line.what.to_owned(),
                line.rows.to_string(),
                format!("{:.2}", line.seconds),
                format!("{:.0}", line.rows_per_second),
                format!("{:.3}", line.of_copy),
                format!("{:.1}", line.of_panels),
            ]);
        }
        let mut text = format!("{title}\n\n{}\n", table.write(markdown));
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

fn stage_text(name: &str, seconds: f64, stage: &Stage, markdown: bool) -> String {
    let mut table = Table::new(&[name, "calls", "ms", "% of stage", "rows", "WAL MB"]);
    let share = |ms: f64| format!("{:.0}", ms / seconds / 10.0);
    for (statement, work) in profile::top(stage) {
        let wal = u32::try_from(work.wal_bytes >> 10)
            .map_or(f64::INFINITY, |kib| f64::from(kib) / 1024.0);
        table.0.push(vec![
            statement.to_owned(),
            work.calls.to_string(),
            format!("{:.0}", work.ms),
            share(work.ms),
            work.rows.to_string(),
            format!("{wal:.1}"),
        ]);
    }
    let outside = seconds * 1e3 - stage.values().map(|work| work.ms).sum::<f64>();
    let row = [
        "(outside: our code, commit, network)",
        "",
        &format!("{outside:.0}"),
        &share(outside),
        "",
        "",
    ];
    table
        .0
        .push(row.iter().map(|&cell| cell.to_owned()).collect());
    format!("{}\n", table.write(markdown))
}
