//! Traces: which request, report or job caused a piece of work, across functions, queues and the
//! database.
//!
//! A trace is known by its W3C id. Messages and rows carry it as AWS does, in an X-Ray trace
//! header, which has the same parts. Where several messages or reports are processed together, the
//! work belongs to the trace of one of them and is linked to the others.

use std::collections::HashSet;

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::context::FutureExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceState};
use opentelemetry_aws::trace::xray_propagator::{span_context_from_str, span_context_to_string};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Maximum number of links of a piece of work, as in OpenTelemetry's defaults.
const MAX_LINKS: usize = 128;

/// What caused a piece of work: a span of a trace, and whether that trace is sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause(SpanContext);

impl Cause {
    /// The cause of what the current work causes: its own span if spans are exported, else its own
    /// cause. `None` outside of [`traced`] work, and for work without a cause.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::of(Context::current().span().span_context())
    }

    /// The cause that a request names in `traceparent` (W3C), else in `x-amzn-trace-id`, which the
    /// load balancer adds.
    #[must_use]
    pub fn of_request(headers: &HeaderMap) -> Option<Self> {
        let propagator = TraceContextPropagator::new();
        let remote = propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
        Self::of(remote.span().span_context()).or_else(|| {
            let header = headers.get("x-amzn-trace-id")?.to_str().ok()?;
            Self::of_header(header)
        })
    }

    /// Parses an X-Ray trace header, such as `Root=1-...;Parent=...;Sampled=1`.
    #[must_use]
    pub fn of_header(header: &str) -> Option<Self> {
        Self::of(&span_context_from_str(header)?)
    }

    /// The X-Ray trace header.
    #[must_use]
    pub fn header(&self) -> Option<String> {
        span_context_to_string(&self.0)
    }

    /// The id of the trace: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.0.trace_id().to_string()
    }

    /// Keeps only what the two formats share. The other entries may be any text of a client.
    fn of(context: &SpanContext) -> Option<Self> {
        let trace_id = context.trace_id();
        let span_id = match context.span_id() {
            // The load balancer names no span, but a cause without one does not count as valid.
            SpanId::INVALID => {
                let half = trace_id.to_bytes().last_chunk().copied();
                half.map_or(SpanId::INVALID, SpanId::from_bytes)
            }
            span_id => span_id,
        };
        let flags = context.trace_flags() & TraceFlags::SAMPLED;
        let context = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
        context.is_valid().then_some(Self(context))
    }
}

/// Runs `work` as `span`, which is part of the trace of the first sampled cause, else of the first
/// cause, else of the current work. Links it to the other causes.
///
/// Records the id of the trace in the field `trace_id` of `span`, so that each log line has it.
pub async fn traced<T>(
    span: Span,
    causes: impl IntoIterator<Item = Cause>,
    work: impl Future<Output = T>,
) -> T {
    let (parent, links) = join(causes);
    let context = match parent {
        Some(Cause(parent)) => Context::new().with_remote_span_context(parent),
        None => Context::current(),
    };
    let context = start(&span, context, &links);
    if let Some(cause) = Cause::of(context.span().span_context()) {
        span.record("trace_id", cause.trace_id());
    }
    if !links.is_empty() {
        let ids: Vec<String> = links.iter().map(Cause::trace_id).collect();
        span.in_scope(|| tracing::info!(linked_traces = ids.join(" "), "traces linked"));
    }
    work.instrument(span).with_context(context).await
}

/// Starts the span if spans are exported. Returns the context for its work.
fn start(span: &Span, parent: Context, links: &[Cause]) -> Context {
    if span.set_parent(parent.clone()).is_err() {
        return parent;
    }
    for Cause(link) in links {
        span.add_link(link.clone());
    }
    span.context()
}

/// The cause whose trace is continued, and those in other traces, each trace once and sampled
/// traces first.
fn join(causes: impl IntoIterator<Item = Cause>) -> (Option<Cause>, Vec<Cause>) {
    let (sampled, others): (Vec<Cause>, Vec<Cause>) =
        causes.into_iter().partition(|cause| cause.0.is_sampled());
    let mut traces = HashSet::new();
    let mut distinct = sampled
        .into_iter()
        .chain(others)
        .filter(|cause| traces.insert(cause.0.trace_id()));
    let parent = distinct.next();
    (parent, distinct.take(MAX_LINKS).collect())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ID: &str = "5bdb40ca556d8b0c50dc66f0511bf520";

    fn cause(n: u8, sampled: bool) -> Cause {
        let sampled = u8::from(sampled);
        let header = format!("Root=1-5bdb40ca-{n:024};Parent={n:016};Sampled={sampled}");
        Cause::of_header(&header).unwrap()
    }

    #[rstest]
    #[case::of_a_function(
        "Root=1-5bdb40ca-556d8b0c50dc66f0511bf520;Parent=53995c3f42cd8ad8;Sampled=1",
        "Root=1-5bdb40ca-556d8b0c50dc66f0511bf520;Parent=53995c3f42cd8ad8;Sampled=1"
    )]
    #[case::of_the_load_balancer(
        "Root=1-5bdb40ca-556d8b0c50dc66f0511bf520",
        "Root=1-5bdb40ca-556d8b0c50dc66f0511bf520;Parent=50dc66f0511bf520;Sampled=0"
    )]
    #[case::with_text_of_a_client(
        "Self=1-0-0;Root=1-5bdb40ca-556d8b0c50dc66f0511bf520;Sampled=?;CalledFrom=canary",
        "Root=1-5bdb40ca-556d8b0c50dc66f0511bf520;Parent=50dc66f0511bf520;Sampled=0"
    )]
    fn a_header_is_kept_without_entries_of_clients(#[case] header: &str, #[case] kept: &str) {
        let cause = Cause::of_header(header).unwrap();
        assert_eq!(cause.header().unwrap(), kept);
        assert_eq!(cause.trace_id(), ID);
    }

    #[rstest]
    #[case("Root=canary")]
    #[case("Root=1-00000000-000000000000000000000000")]
    #[case("canary")]
    #[case("")]
    fn another_text_names_no_trace(#[case] header: &str) {
        assert_eq!(Cause::of_header(header), None);
    }

    #[test]
    fn traceparent_comes_before_the_header_of_the_load_balancer() {
        let headers = |entries: &[(&'static str, String)]| {
            let entries = entries.iter();
            entries
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>()
        };
        let xray = (
            "x-amzn-trace-id",
            format!("Root=1-{}-{}", &ID[..8], &ID[8..]),
        );
        let w3c = |text: &str| ("traceparent", text.to_owned());
        let other = "4bf92f3577b34da6a3ce929d0e0e4736";
        let traceparent = w3c(&format!("00-{other}-00f067aa0ba902b7-01"));
        let id = |entries: &[_]| Cause::of_request(&headers(entries)).map(|c| c.trace_id());
        assert_eq!(id(&[xray.clone(), traceparent]).as_deref(), Some(other));
        assert_eq!(id(&[xray.clone(), w3c("canary")]).as_deref(), Some(ID));
        assert_eq!(id(&[xray]).as_deref(), Some(ID));
        assert_eq!(id(&[w3c("canary")]), None);
    }

    #[test]
    fn the_first_sampled_trace_is_continued_and_each_other_one_is_linked_once() {
        let causes = [(1, false), (2, true), (1, false), (3, true), (2, true)];
        let causes = causes.map(|(n, sampled)| cause(n, sampled));
        let expected = (Some(cause(2, true)), vec![cause(3, true), cause(1, false)]);
        assert_eq!(join(causes), expected);
        let many = (1..=200).map(|n| cause(n, false));
        assert_eq!(join(many).1.len(), MAX_LINKS);
        assert_eq!(join([]), (None, Vec::new()));
    }
}
