//! What has to be met.

use serde::Serialize;

use crate::api::Api;
use crate::memory::{Bound, Memory};
use crate::results::{END_TO_END, Workload};

/// End to end, times the panels' way.
const OF_PANELS: f64 = 8.0;
/// End to end, times COPY.
const OF_COPY: f64 = 0.08;
/// A queue function on 10,000 usage rows.
const QUEUE_FUNCTION_MB: f64 = 64.0;
/// An API function, from the start of its process.
const FIRST_ANSWER_MS: f64 = 40.0;
/// `GetRecentTrafficUsage` over gRPC, times `pgbench -S -M prepared`.
const OF_PGBENCH: f64 = 0.10;
/// The gRPC server at the end of its load.
const GRPC_SERVER_MB: f64 = 40.0;

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
pub fn judge(workloads: &[Workload], memory: &[Memory], api: Option<&Api>) -> Vec<Bar> {
    let mut bars = Vec::new();
    if let Some((workload, line)) = workloads
        .first()
        .and_then(|first| Some((first, first.line(END_TO_END)?)))
    {
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
    bars.extend(
        memory
            .iter()
            .filter(|memory| memory.bound == Bound::Memory)
            .map(|memory| Bar {
                name: format!("{}, {}, MB", memory.function, memory.with),
                bound: format!("< {QUEUE_FUNCTION_MB}"),
                measured: format!("{:.1}", memory.peak_mb),
                met: memory.peak_mb < QUEUE_FUNCTION_MB,
            }),
    );
    let first_answers = memory
        .iter()
        .filter(|memory| memory.bound == Bound::FirstAnswer);
    bars.extend(
        first_answers
            .max_by(|a, b| a.first_answer_ms.total_cmp(&b.first_answer_ms))
            .map(|slowest| Bar {
                name: format!(
                    "slowest first answer of an API function ({}), ms",
                    slowest.function
                ),
                bound: format!("<= {FIRST_ANSWER_MS}"),
                measured: format!("{:.1}", slowest.first_answer_ms),
                met: slowest.first_answer_ms <= FIRST_ANSWER_MS,
            }),
    );
    bars.extend(api.into_iter().flat_map(of_api));
    bars
}

fn of_api(api: &Api) -> [Bar; 2] {
    let ratio = api.calls_per_second / api.selects_per_second;
    [
        Bar {
            name: "GetRecentTrafficUsage over gRPC, × pgbench -S".into(),
            bound: format!(">= {OF_PGBENCH}"),
            measured: format!("{ratio:.3}"),
            met: ratio >= OF_PGBENCH,
        },
        Bar {
            name: "telecom-grpc under load, MB".into(),
            bound: format!("< {GRPC_SERVER_MB}"),
            measured: format!("{:.1}", api.server_peak_mb),
            met: api.server_peak_mb < GRPC_SERVER_MB,
        },
    ]
}
