//! The export of spans by OTLP (HTTP, Protobuf), if the standard variable
//! `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set.
//!
//! A function is frozen between two invocations, so that no task can export in the background.
//! Finished spans are collected, and exported before the response.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor,
};

/// Variables that turn the export on.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];
/// Time that an export may take. A slow collector must not delay responses for long.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after a failed export, in which spans are dropped.
const PAUSE: Duration = Duration::from_secs(30);
/// Maximum number of spans that wait for their export. More are dropped.
const MAX_SPANS: usize = 2_048;

static EXPORT: OnceLock<Export> = OnceLock::new();

/// The tracer of this process. `None` if it exports no spans.
pub(super) fn tracer() -> Result<Option<SdkTracer>, ExporterBuildError> {
    let is_set = |name| std::env::var(name).is_ok_and(|endpoint| !endpoint.is_empty());
    if !ENDPOINTS.into_iter().any(is_set) {
        return Ok(None);
    }
    let (tracer, export) = Export::new(None)?;
    Ok(EXPORT.set(export).ok().map(|()| tracer))
}

/// Exports the finished spans of this process. Does nothing if it exports none.
pub async fn export() {
    if let Some(export) = EXPORT.get() {
        export.run().await;
    }
}

/// Exports the finished spans of this process again and again, for a process that runs all the
/// time.
pub async fn export_in_background() {
    const INTERVAL: Duration = Duration::from_secs(5);
    if EXPORT.get().is_none() {
        return;
    }
    loop {
        tokio::time::sleep(INTERVAL).await;
        export().await;
    }
}

/// Finished spans and where they are sent.
#[derive(Debug)]
pub struct Export {
    finished: Finished,
    exporter: opentelemetry_otlp::SpanExporter,
    paused_until: Mutex<Option<Instant>>,
}

impl Export {
    /// A tracer, and the export of its spans to an endpoint, such as
    /// `http://127.0.0.1:4318/v1/traces`, else to that of the standard variables.
    pub fn new(endpoint: Option<&str>) -> Result<(SdkTracer, Self), ExporterBuildError> {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(reqwest::Client::new())
            .with_timeout(TIMEOUT);
        let mut exporter = match endpoint {
            Some(endpoint) => exporter.with_endpoint(endpoint),
            None => exporter,
        }
        .build()?;
        let mut resource = Resource::builder();
        if let Ok(function) = std::env::var("AWS_LAMBDA_FUNCTION_NAME") {
            resource = resource.with_service_name(function);
        }
        let resource = resource.build();
        exporter.set_resource(&resource);
        let finished = Finished::default();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(finished.clone())
            .with_resource(resource)
            .build();
        let export = Self {
            finished,
            exporter,
            paused_until: Mutex::default(),
        };
        Ok((provider.tracer("telecom"), export))
    }

    /// Sends the finished spans. If that fails, they are dropped, and nothing is sent for a while.
    pub async fn run(&self) {
        let spans = self.finished.take();
        if spans.is_empty() || self.is_paused() {
            return;
        }
        let sent = tokio::time::timeout(TIMEOUT, self.exporter.export(spans)).await;
        let error = match sent {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "timed out".to_owned(),
        };
        *self.lock() = Instant::now().checked_add(PAUSE);
        tracing::warn!(error, "spans could not be exported");
    }

    fn is_paused(&self) -> bool {
        self.lock().is_some_and(|until| Instant::now() < until)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Collects finished spans until they are exported.
#[derive(Debug, Clone, Default)]
struct Finished(Arc<Mutex<Vec<SpanData>>>);

impl Finished {
    fn take(&self) -> Vec<SpanData> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SpanProcessor for Finished {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if span.span_context.is_sampled() && spans.len() < MAX_SPANS {
            spans.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
