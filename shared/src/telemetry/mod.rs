//! JSON logs and metrics in the formats of CloudWatch, and traces.

pub mod otlp;
mod trace;

use std::panic::PanicHookInfo;
use std::sync::{LazyLock, OnceLock};
use std::time::Instant;

use http::HeaderMap;
use metrics_cloudwatch_embedded::Collector;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::ChronoUtc;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::quote::MAX_QUOTED;
pub use trace::{Cause, traced};

static METRICS: OnceLock<&'static Collector> = OnceLock::new();

/// Crates that may log below [`DEPENDENCIES_MAX`]. Their lines contain no text from callers.
const OURS: [&str; 2] = ["shared", "telecom_grpc"];
/// Most verbose level of other crates, regardless of `RUST_LOG`. Below it, the runtime logs whole
/// events, and the HTTP and AWS crates log headers and bodies.
const DEPENDENCIES_MAX: LevelFilter = LevelFilter::INFO;

/// Sets up logging (`RUST_LOG`, default `info`), metrics, the export of traces and the logging of
/// panics in this process. A second call does nothing.
pub fn init() {
    let filter = std::env::var("RUST_LOG")
        .ok()
        .filter(|filter| !filter.is_empty());
    let filter = filter.and_then(|filter| filter.parse().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let tracer = otlp::tracer();
    let exported = tracer.as_ref().ok().cloned().flatten().map(spans);
    let logs = subscriber(filter, std::io::stdout)
        .with(exported)
        .try_init();
    let service = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| "local".into());
    let builder = metrics_cloudwatch_embedded::Builder::new()
        .cloudwatch_namespace("Telecom")
        .with_dimension("Service", service)
        .emit_zeros(false);
    if let (Ok(()), Ok(collector)) = (logs, builder.init()) {
        std::panic::set_hook(Box::new(log_panic));
        METRICS.get_or_init(|| collector);
    }
    if let Err(error) = tracer {
        tracing::error!(%error, "spans are not exported: a variable OTEL_* is wrong");
    }
}

/// The subscriber that writes events as JSON lines, if `filter` and the limits of this module allow
/// them.
///
/// The layer is built here, because each line needs its own timestamp and level. Lambda treats a
/// JSON line without them as INFO.
pub fn subscriber<W>(
    filter: Targets,
    writer: W,
) -> impl Subscriber + Send + Sync + for<'s> LookupSpan<'s>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let limits = ours(LevelFilter::TRACE).with_default(DEPENDENCIES_MAX);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_timer(ChronoUtc::rfc_3339())
        .with_writer(writer);
    Registry::default().with(lines.with_filter(filter.and(limits)))
}

/// A layer that records our spans, and our events in them, with a tracer.
#[must_use]
pub fn spans<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_filter(ours(LevelFilter::DEBUG))
}

/// Only spans and events of our crates, up to `level`.
fn ours(level: LevelFilter) -> Targets {
    Targets::new().with_targets(OURS.map(|krate| (krate, level)))
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(
        error_code = "panic",
        place,
        cause = panic_message(panic.payload()),
        "panicked"
    );
}

/// The message of a panic if it is a constant of the program. A message formatted at run time may
/// contain data and is omitted.
#[must_use]
pub fn panic_message(payload: &(dyn std::any::Any + Send)) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("(omitted: the message may contain data)")
}

/// Adds to a counter of this invocation.
pub fn count(name: &'static str, by: usize) {
    metrics::counter!(name).increment(u64::try_from(by).unwrap_or(u64::MAX));
}

/// Adds to a counter of the function and to one of its version. During a gradual release, two
/// versions run.
pub fn count_by_version(name: &'static str, by: usize) {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        std::env::var("AWS_LAMBDA_FUNCTION_VERSION").unwrap_or_else(|_| "local".into())
    });
    count(name, by);
    metrics::counter!(name, "Version" => VERSION.as_str())
        .increment(u64::try_from(by).unwrap_or(u64::MAX));
}

/// Records a value measured in this invocation.
///
/// It is a histogram, not a gauge. The collector repeats the last value of a gauge at every flush,
/// also after an invocation that failed before it measured, and no alarm would notice that.
pub fn measure(name: &'static str, value: i64) {
    metrics::histogram!(name).record(f64::from(i32::try_from(value).unwrap_or(i32::MAX)));
}

/// Adds to a counter with a label that has few distinct values.
pub fn count_labelled(name: &'static str, label: &'static str, value: &'static str) {
    metrics::counter!(name, label => value).increment(1);
}

/// Writes this invocation's metrics to the log, in the embedded metric format.
pub fn flush() {
    if let Some(metrics) = METRICS.get()
        && let Err(error) = metrics.flush(std::io::stdout())
    {
        tracing::warn!(%error, "cannot write metrics");
    }
}

/// Whole milliseconds since `began`, for log lines.
#[must_use]
pub fn millis_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Ids that identify a request in the logs of all systems it passed through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestIds {
    /// Value of the header `x-request-id`. `None` if it is absent or not an id.
    pub request_id: Option<String>,
    /// Id of the trace that the headers name, as 32 hexadecimal digits. `None` if they name none.
    pub trace_id: Option<String>,
}

impl RequestIds {
    /// The ids in the headers of a request. A client may send any text as an id, such as a token by
    /// mistake. Only a text of hexadecimal digits and hyphens, such as a UUID, is accepted.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        Self {
            request_id: text("x-request-id").and_then(id),
            trace_id: Cause::of_request(headers).map(|cause| cause.trace_id()),
        }
    }
}

fn id(text: &str) -> Option<String> {
    let is_id = (1..=MAX_QUOTED).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_id.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_uuid("7c0e3b1a-5f0d-4c8e-9a6b-2f1d3e4c5b6a", true)]
    #[case::of_nginx("5f4dcc3b5aa765d61d8327deb882cf99", true)]
    #[case::a_word("canary", false)]
    #[case::a_token("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", false)]
    #[case::two_lines("1\\n2", false)]
    #[case::of_maximum_length(&"a".repeat(64), true)]
    #[case::too_long(&"a".repeat(65), false)]
    #[case::empty("", false)]
    fn a_request_id_is_logged_only_if_well_formed(#[case] text: &str, #[case] logged: bool) {
        let name = "x-request-id".parse().unwrap();
        let headers = HeaderMap::from_iter([(name, text.parse().unwrap())]);
        let request_id = RequestIds::of(&headers).request_id;
        assert_eq!(request_id, logged.then(|| text.to_owned()));
    }
}
