//! The bars of the main run.

use crate::api::Api;
use crate::memory::{Bound, Memory};
use crate::results::{Bar, Limit};
use crate::throughput::{END_TO_END, Workload};

/// End to end, as a multiple of the panels' way.
const OF_PANELS: Limit = Limit::AtLeast(20.0);
/// End to end, as a multiple of COPY.
const OF_COPY: Limit = Limit::AtLeast(0.11);
/// End to end, as a multiple of the set-based way.
const OF_SET_BASED: Limit = Limit::AtLeast(2.5);
/// Peak memory of a queue function.
const QUEUE_FUNCTION_MB: Limit = Limit::AtMost(29.0);
/// Time from the start of an API function's process to its first response.
const FIRST_ANSWER_MS: Limit = Limit::Below(20.0);
/// `GetRecentTrafficUsage` over gRPC, as a multiple of `pgbench -S -M prepared`.
const OF_PGBENCH: Limit = Limit::AtLeast(0.15);
/// 99th percentile of `GetRecentTrafficUsage` with most clients.
const P99_MS: Limit = Limit::Below(8.0);
/// Peak memory of the gRPC server at the end of its load.
const GRPC_SERVER_MB: Limit = Limit::AtMost(18.0);

/// Compares the measurements with their bars. The bars on throughput apply to the first workload.
pub fn evaluate(workloads: &[Workload], memory: &[Memory], api: Option<&Api>) -> Vec<Bar> {
    let mut bars = Vec::new();
    if let Some((workload, line)) = workloads
        .first()
        .and_then(|first| Some((first, first.line(END_TO_END)?)))
    {
        let name = |other: &str| format!("{END_TO_END}, {}, × {other}", workload.name);
        bars.push(Bar::new(name("panels"), OF_PANELS, line.of_panels, 3));
        bars.push(Bar::new(name("COPY"), OF_COPY, line.of_copy, 3));
        bars.push(Bar::new(
            name("set-based"),
            OF_SET_BASED,
            line.of_set_based,
            2,
        ));
    }
    let bound_by = |bound| memory.iter().filter(move |memory| memory.bound == bound);
    bars.extend(bound_by(Bound::Memory).map(|memory| {
        let name = format!("{}, {}, MB", memory.function, memory.with);
        Bar::new(name, QUEUE_FUNCTION_MB, memory.peak_mb, 1)
    }));
    let slowest =
        bound_by(Bound::FirstAnswer).max_by(|a, b| a.first_answer_ms.total_cmp(&b.first_answer_ms));
    bars.extend(slowest.map(|slowest| {
        let name = format!(
            "slowest first answer of an API function ({}), ms",
            slowest.function
        );
        Bar::new(name, FIRST_ANSWER_MS, slowest.first_answer_ms, 1)
    }));
    bars.extend(api.into_iter().flat_map(|api| {
        let ratio = api.calls_per_second / api.selects_per_second;
        let calls = "GetRecentTrafficUsage over gRPC, × pgbench -S";
        let memory = "telecom-grpc under load, MB";
        let most = api
            .latencies
            .iter()
            .filter(|latency| latency.rpc == "GetRecentTrafficUsage")
            .max_by_key(|latency| latency.clients);
        let p99 = most.map(|latency| {
            let name = format!("{}, {} clients, p99 ms", latency.rpc, latency.clients);
            Bar::new(name, P99_MS, latency.p99_ms, 1)
        });
        [
            Bar::new(calls, OF_PGBENCH, ratio, 3),
            Bar::new(memory, GRPC_SERVER_MB, api.server_peak_mb, 1),
        ]
        .into_iter()
        .chain(p99)
    }));
    bars
}
