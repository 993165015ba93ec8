//! JSON logs and metrics, as CloudWatch reads them.

use std::sync::{LazyLock, OnceLock};
use std::time::Instant;

use http::HeaderMap;
use metrics_cloudwatch_embedded::Collector;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoUtc;

static METRICS: OnceLock<&'static Collector> = OnceLock::new();

/// Sets up logs (`RUST_LOG`, default `info`) and metrics of this process. Once; a second call does nothing.
///
/// The layer is built here because Lambda takes a JSON line without a timestamp and level of its own for INFO.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_timer(ChronoUtc::rfc_3339())
        .with_env_filter(filter)
        .try_init();
    let service = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| "local".into());
    let builder = metrics_cloudwatch_embedded::Builder::new()
        .cloudwatch_namespace("Telecom")
        .with_dimension("Service", service)
        .emit_zeros(false);
    if let (Ok(()), Ok(collector)) = (logs, builder.init()) {
        METRICS.get_or_init(|| collector);
    }
}

/// Counts something, in this invocation.
pub fn count(name: &'static str, by: usize) {
    metrics::counter!(name).increment(u64::try_from(by).unwrap_or(u64::MAX));
}

/// Counts something, in this invocation, of the function and of its version: during a gradual release two of them run.
pub fn count_by_version(name: &'static str, by: usize) {
    static VERSION: LazyLock<String> =
        LazyLock::new(|| std::env::var("AWS_LAMBDA_FUNCTION_VERSION").unwrap_or_else(|_| "local".into()));
    count(name, by);
    metrics::counter!(name, "Version" => VERSION.as_str()).increment(u64::try_from(by).unwrap_or(u64::MAX));
}

/// Records how much of something there is, in this invocation.
///
/// It is not a gauge: the collector repeats the last value of a gauge at every flush, also after an invocation that failed
/// before it measured, and no alarm would notice that.
pub fn measure(name: &'static str, value: i64) {
    metrics::histogram!(name).record(f64::from(i32::try_from(value).unwrap_or(i32::MAX)));
}

/// Counts something under a label of few values.
pub fn count_labelled(name: &'static str, label: &'static str, value: &'static str) {
    metrics::counter!(name, label => value).increment(1);
}

/// Writes this invocation's metrics to the log, in the embedded metric format.
pub fn flush() {
    if let Some(metrics) = METRICS.get()
        && let Err(error) = metrics.flush(std::io::stdout())
    {
        tracing::warn!(%error, "metrics could not be written");
    }
}

/// Whole milliseconds since `began`, as lines in the log tell them.
#[must_use]
pub fn millis_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What a request is called by those who handled it before: by these a line in the log is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestIds {
    /// `x-request-id`.
    pub request_id: Option<String>,
    /// `traceparent` (W3C), else `x-amzn-trace-id`, which the load balancer adds.
    pub trace_id: Option<String>,
}

impl RequestIds {
    /// Those in a request's headers, if they are as short as names.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let named = |name: &str| {
            let text = headers.get(name)?.to_str().ok()?;
            (1..=128).contains(&text.len()).then(|| text.to_owned())
        };
        let trace_id = named("traceparent").or_else(|| named("x-amzn-trace-id"));
        Self { request_id: named("x-request-id"), trace_id }
    }
}

/// The X-Ray trace header of the invocation under way, as the runtime sets it.
#[must_use]
pub fn trace_header() -> Option<String> {
    std::env::var("_X_AMZN_TRACE_ID").ok().filter(|header| !header.is_empty())
}
