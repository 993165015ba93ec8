//! The results, as text, Markdown or JSON.

use serde::Serialize;

use crate::api::Api;
use crate::database::Environment;
use crate::memory::Memory;
use crate::table::Table;
use crate::throughput::Workload;

/// A measurement and the limit that it has to meet.
#[derive(Debug, Serialize)]
pub struct Bar {
    pub name: String,
    bound: String,
    measured: String,
    pub met: bool,
}

/// The condition of a bar.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    AtLeast(f64),
    AtMost(f64),
    Above(f64),
    Below(f64),
}

impl Bar {
    /// `decimals` is the number of decimal places that are printed.
    pub fn new(name: impl Into<String>, limit: Limit, measured: f64, decimals: usize) -> Self {
        let (sign, bound, met) = match limit {
            Limit::AtLeast(bound) => (">=", bound, measured >= bound),
            Limit::AtMost(bound) => ("<=", bound, measured <= bound),
            Limit::Above(bound) => (">", bound, measured > bound),
            Limit::Below(bound) => ("<", bound, measured < bound),
        };
        Self {
            name: name.into(),
            bound: format!("{sign} {bound}"),
            measured: format!("{measured:.decimals$}"),
            met,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct Results {
    pub environment: Environment,
    pub workloads: Vec<Workload>,
    pub memory: Vec<Memory>,
    /// `None` if the API was not measured.
    pub api: Option<Api>,
    pub bars: Vec<Bar>,
}

impl Results {
    pub fn text(&self, markdown: bool) -> String {
        let mut text = self.environment_text();
        for workload in &self.workloads {
            text.push_str(&workload.text(markdown));
        }
        text.push_str(&self.memory_text(markdown));
        if let Some(api) = &self.api {
            text.push_str(&api_text(api, markdown));
        }
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
            "fsync OFF: these numbers are invalid"
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
            table.push(vec![
                memory.function.clone(),
                format!("{:.1}", memory.peak_mb),
                format!("{:.0}", memory.first_answer_ms),
                memory.with.clone(),
            ]);
        }
        format!("{}\n", table.write(markdown))
    }
}

fn api_text(api: &Api, markdown: bool) -> String {
    let mut comparison = Table::new(&[
        "clients, server and database on the same processors",
        "clients",
        "calls/s",
        "× pgbench",
    ]);
    let mut row = |what: &str, rate: f64| {
        comparison.push(vec![
            what.to_owned(),
            api.clients.to_string(),
            format!("{rate:.0}"),
            format!("{:.3}", rate / api.selects_per_second),
        ]);
    };
    let usage = "GetRecentTrafficUsage of a month, gRPC";
    row(&format!("{usage}, one connection"), api.calls_per_second);
    row(&format!("{usage}, one each"), api.calls_apart_per_second);
    row("pgbench -S -M prepared", api.selects_per_second);
    let mut table = Table::new(&["RPC", "clients", "calls/s", "p50 ms", "p99 ms"]);
    for latency in &api.latencies {
        table.push(vec![
            latency.rpc.to_owned(),
            latency.clients.to_string(),
            format!("{:.0}", latency.calls_per_second),
            format!("{:.2}", latency.p50_ms),
            format!("{:.2}", latency.p99_ms),
        ]);
    }
    let (comparison, table) = (comparison.write(markdown), table.write(markdown));
    let cost = format!(
        "processor time of a call: {:.0} µs of the client, {:.0} µs of the server, {:.0} µs of the \
         database",
        api.client_us, api.server_us, api.database_us
    );
    format!("{comparison}\n{cost}\n\n{table}\n")
}

/// The table of bars.
pub fn bar_table(bars: &[Bar], markdown: bool) -> String {
    let mut table = Table::new(&["bar", "least or most", "measured", ""]);
    for bar in bars {
        let met = if bar.met { "met" } else { "MISSED" };
        table.push(vec![
            bar.name.clone(),
            bar.bound.clone(),
            bar.measured.clone(),
            met.to_owned(),
        ]);
    }
    table.write(markdown)
}
