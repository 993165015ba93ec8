//! What has to be met.

use serde::Serialize;

use crate::memory::Memory;
use crate::results::{END_TO_END, Workload};

/// End to end, times the panels' way.
const OF_PANELS: f64 = 8.0;
/// End to end, times COPY.
const OF_COPY: f64 = 0.08;
/// A queue function on 10,000 usage rows.
const QUEUE_FUNCTION_MB: f64 = 64.0;

/// One bar.
#[derive(Debug, Serialize)]
pub struct Bar {
    /// What is held to it.
    pub name: String,
    /// The bar.
    pub bound: String,
    /// How it came out.
    pub measured: String,
    /// Whether it is met.
    pub met: bool,
}

/// Judges what was measured. The bars on throughput apply to the first workload.
pub fn judge(workloads: &[Workload], memory: &[Memory]) -> Vec<Bar> {
    let mut bars = Vec::new();
    if let Some((workload, line)) = workloads.first().and_then(|first| Some((first, first.line(END_TO_END)?))) {
        let mut ratio = |what: &str, least: f64, measured: f64| {
            bars.push(Bar {
                name: format!("{END_TO_END}, {}, × {what}", workload.name),
                bound: format!(">= {least}"),
                measured: format!("{measured:.3}"),
                met: measured >= least,
            });
        };
        ratio("panels", OF_PANELS, line.of_panels);
        ratio("COPY", OF_COPY, line.of_copy);
    }
    bars.extend(memory.iter().filter(|memory| memory.has_bar).map(|memory| Bar {
        name: format!("{}, {}, MB", memory.function, memory.with),
        bound: format!("< {QUEUE_FUNCTION_MB}"),
        measured: format!("{:.1}", memory.peak_mb),
        met: memory.peak_mb < QUEUE_FUNCTION_MB,
    }));
    bars
}
