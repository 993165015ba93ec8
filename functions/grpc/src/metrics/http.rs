//! Serves `GET /metrics` over HTTP/1.1.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::exposition::Metrics;

/// Maximum number of concurrent connections. Further ones are closed immediately.
const MAX_CONNECTIONS: usize = 32;
/// Time within which a connection must send its request.
const MAX_REQUEST_TIME: Duration = Duration::from_secs(5);
/// Maximum duration of a connection, including the time in which the response is read.
const MAX_CONNECTION_TIME: Duration = Duration::from_secs(20);
/// Maximum size of a request.
const MAX_REQUEST_BYTES: usize = 16 << 10;
/// Pause if no connection can be accepted, for example because too many files are open.
const PAUSE: Duration = Duration::from_millis(200);
/// Time in which scrapes in progress must end once the server has stopped.
const LAST_SCRAPES: Duration = Duration::from_secs(5);

const OPEN_METRICS: &str = "application/openmetrics-text";
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The older format. Its parsers accept the same text, because what it lacks is in comments.
const TEXT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves the metrics until `stop` completes, and then ends the scrapes that are in progress.
pub async fn serve_until(metrics: Metrics, listener: TcpListener, stop: impl Future<Output = ()>) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "serving metrics");
    }
    let (scrapes, free) = (GracefulShutdown::new(), Semaphore::new(MAX_CONNECTIONS));
    let free = Arc::new(free);
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, _)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let Ok(slot) = Arc::clone(&free).try_acquire_owned() else {
            continue;
        };
        let connection = scrapes.watch(connection(stream, metrics.clone()));
        tokio::spawn(async move {
            // An error is the client's: it closed the connection or sent no HTTP.
            let _ = timeout(MAX_CONNECTION_TIME, connection).await;
            drop(slot);
        });
    }
    drop(listener);
    let _ = timeout(LAST_SCRAPES, scrapes.shutdown()).await;
}

/// A connection for one request. A scraper that keeps connections would gain nothing.
fn connection(
    stream: TcpStream,
    metrics: Metrics,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let metrics = metrics.clone();
        async move { Ok::<_, Infallible>(respond(&metrics, &request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(MAX_REQUEST_TIME)
        .max_buf_size(MAX_REQUEST_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
}

async fn respond<B>(metrics: &Metrics, request: &Request<B>) -> Response<String> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "The metrics are at /metrics.\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Use GET.\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    match metrics.text().await {
        Ok(text) => typed(StatusCode::OK, text, content_type(request.headers())),
        Err(error) => {
            tracing::error!(%error, "cannot encode the metrics");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "")
        }
    }
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    typed(status, text.to_owned(), "text/plain; charset=utf-8")
}

fn typed(status: StatusCode, text: String, content_type: &'static str) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// `OpenMetrics`, if the client accepts it.
fn content_type(headers: &HeaderMap) -> &'static str {
    let mut accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    if accepted.any(|value| value.contains(OPEN_METRICS)) {
        OPEN_METRICS_TYPE
    } else {
        TEXT_TYPE
    }
}
