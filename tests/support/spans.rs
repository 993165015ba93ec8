//! A receiver of spans (OTLP over HTTP), and the logs and spans of a test.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use hyper::Request;
use hyper::body::Bytes;
use local::loopback::http_server::{Answer, Server, reply, serve};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use shared::telemetry;
use shared::telemetry::otlp::Export;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

/// A receiver that accepts and keeps all spans.
#[derive(Debug, Clone, Default)]
struct Receiver(Arc<Mutex<Vec<Span>>>);

impl Server for Receiver {
    async fn answer(&self, request: Request<Bytes>) -> Result<Answer> {
        let request = ExportTraceServiceRequest::decode(request.into_body())?;
        let resources = request.resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        self.0.lock().unwrap().extend(spans);
        reply(200, "")
    }
}

/// Exports the spans of this thread during its lifetime, as a function that is configured to do so.
#[derive(Debug)]
pub struct Spans {
    export: Export,
    receiver: Receiver,
    _guard: DefaultGuard,
}

impl Spans {
    /// Starts a receiver and the export to it.
    pub async fn begin() -> Self {
        let receiver = Receiver::default();
        let address = serve(receiver.clone(), 0).await.unwrap();
        let (tracer, export) = Export::new(Some(&format!("http://{address}/v1/traces"))).unwrap();
        let logs = telemetry::subscriber(
            Targets::new().with_default(LevelFilter::INFO),
            std::io::sink,
        );
        let subscriber = logs.with(telemetry::spans(tracer));
        Self {
            export,
            receiver,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// Exports the finished spans, and takes the received ones.
    pub async fn take(&self) -> Vec<Span> {
        self.export.run().await;
        std::mem::take(&mut *self.receiver.0.lock().unwrap())
    }
}
