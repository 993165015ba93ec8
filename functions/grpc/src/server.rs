//! The server: its limits, optional features and graceful shutdown.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::FutureExt;
use http::{HeaderName, Method};
use proto::FILE_DESCRIPTOR_SET;
use proto::v1::node_client_manage_server::NodeClientManageServer;
use proto::v1::node_server_manage_server::NodeServerManageServer;
use proto::v1::operation_manage_server::OperationManageServer;
use proto::v1::package_manage_server::PackageManageServer;
use proto::v1::package_queue_manage_server::PackageQueueManageServer;
use proto::v1::telecom_server::TelecomServer;
use proto::v1::usage_manage_server::UsageManageServer;
use proto::v1::webhook_manage_server::WebhookManageServer;
use shared::app::{App, FromApp};
use shared::auth::Admission;
use shared::config::CorsConfig;
use shared::lambda::api::cors;
use shared::services::analysis::AnalysisService;
use shared::services::fleet_metrics::FleetMetricsService;
use shared::services::manage::ManageService;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::RoutesBuilder;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthReporter;
use tonic_web::GrpcWebLayer;
use tower::layer::layer_fn;
use tower::util::{MapResponseLayer, option_layer};
use tower_http::cors::CorsLayer;

use crate::call::{Dispatcher, MAX_RESPONSE_BYTES};
use crate::call_log::CallLog;
use crate::config::{GrpcConfig, TlsFiles};
use crate::metrics::{self, CountCalls, Metrics};
use crate::services::{Analysis, Manage};
use crate::watches::BoundedHealth;
use crate::{connection, unread};

/// Maximum size of a request message. No request has more than a handful of fields.
const MAX_REQUEST_BYTES: usize = 16 << 10;
/// Maximum size of the headers of a request. The token is the longest of them.
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// Interval at which clients are pinged, and the time they have to respond before the connection is
/// closed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Age at which a connection is closed gracefully. Clients then reconnect, so that they are
/// distributed over the current instances.
const MAX_CONNECTION_AGE: Duration = Duration::from_mins(10);
/// Time after [`MAX_CONNECTION_AGE`] in which calls must end and their responses must be read.
const MAX_CONNECTION_GRACE: Duration = Duration::from_secs(30);
/// Maximum number of concurrent calls per connection, which is that of the load balancer.
const MAX_STREAMS: u32 = 128;
/// Time in which calls in progress must end once no new ones are accepted.
const LAST_CALLS: Duration = Duration::from_secs(15);

/// The services behind the gRPC API.
#[derive(Debug, Clone)]
pub struct Services {
    /// Processes the calls of the service `Telecom`.
    pub analysis: AnalysisService,
    /// Processes the calls of the `*Manage` services.
    pub manage: ManageService,
    /// Verifies the tokens of callers and limits the rate of their calls.
    pub admission: Admission,
    /// Counts and times the calls of all services.
    pub metrics: Metrics,
}

/// The sockets on which the server listens.
#[derive(Debug)]
pub struct Listeners {
    /// Accepts the connections of callers.
    pub calls: TcpListener,
    /// Accepts requests for metrics. `None` if they are off.
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    /// Listens on the configured addresses.
    pub async fn bind(config: &GrpcConfig) -> Result<Self> {
        let metrics = match config.metrics {
            Some(address) => Some(listen("TELECOM_GRPC_METRICS_ADDRESS", address).await?),
            None => None,
        };
        Ok(Self {
            calls: listen("TELECOM_GRPC_ADDRESS", config.address).await?,
            metrics,
        })
    }
}

async fn listen(variable: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{variable}: cannot listen on {address}"))
}

/// Serves until SIGTERM or SIGINT, then shuts down gracefully.
pub async fn serve(app: &App, config: &GrpcConfig) -> Result<()> {
    let services = Services {
        analysis: AnalysisService::from_app(app).await?,
        manage: ManageService::from_app(app).await?,
        admission: app.admission()?,
        metrics: Metrics::new(FleetMetricsService::from_app(app).await?, app.context()),
    };
    let listeners = Listeners::bind(config).await?;
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let stop = async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    };
    app.renew_login().await;
    tokio::select! {
        stopped = serve_until(services, config, listeners, stop) => stopped,
        never = app.keep_login() => never,
    }
}

/// Serves on `listeners` until `stop` completes. After that, health checks report `NOT_SERVING`,
/// calls are accepted for the drain time, and calls in progress are completed. No call fails
/// because of the shutdown. The metrics are served until the last call has ended.
pub async fn serve_until(
    services: Services,
    config: &GrpcConfig,
    listeners: Listeners,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let metrics = services.metrics.clone();
    let (ending, ended) = oneshot::channel::<()>();
    let calls = async move {
        let outcome = serve_calls(services, config, listeners.calls, stop).await;
        drop(ending);
        outcome
    };
    let scrapes = async move {
        if let Some(listener) = listeners.metrics {
            metrics::serve_until(metrics, listener, ended.map(drop)).await;
        }
    };
    let (outcome, ()) = tokio::join!(calls, scrapes);
    outcome
}

async fn serve_calls(
    services: Services,
    config: &GrpcConfig,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let address = listener.local_addr()?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let incoming = connection::bounded(incoming, config.max_connections, config.idle);
    let health = HealthReporter::new();
    report(&health, ServingStatus::Serving).await;
    let (ending, ended) = oneshot::channel();
    let ended = ended.map(drop).shared();

    let counted = services.metrics.calls();
    let mut routes = RoutesBuilder::default();
    routes.add_service(HealthServer::new(BoundedHealth::new(
        health.clone(),
        ended.clone(),
    )));
    add_services(&mut routes, services, config);
    if config.reflection {
        // Many clients support only the older version.
        routes
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
    }
    let server = builder(config)?;
    let (drain, time_to_read) = (config.drain, config.call_timeout);
    let stop = async move {
        stop.await;
        tracing::info!(
            ?drain,
            "stopping; still accepting calls until the drain time is over"
        );
        report(&health, ServingStatus::NotServing).await;
        tokio::time::sleep(drain).await;
        let _ = ending.send(());
    };
    tracing::info!(%address, tls = config.tls.is_some(), reflection = config.reflection, "serving");
    let serving = server
        .layer(option_layer(config.web.as_ref().map(web_cors)))
        .layer(option_layer(
            config.web.as_ref().map(|_| GrpcWebLayer::new()),
        ))
        .layer(layer_fn(move |calls| {
            CountCalls::new(calls, counted.clone())
        }))
        .layer(layer_fn(CallLog))
        .layer(MapResponseLayer::new(move |response| {
            unread::bound(response, time_to_read)
        }))
        .add_routes(routes.routes())
        .serve_with_incoming_shutdown(incoming, stop);
    let too_long = async {
        ended.await;
        tokio::time::sleep(LAST_CALLS).await;
    };
    tokio::select! {
        outcome = serving => outcome?,
        () = too_long => tracing::warn!("aborting calls that are still in progress"),
    }
    tracing::info!("stopped");
    Ok(())
}

/// The limits of connections, and TLS.
fn builder(config: &GrpcConfig) -> Result<Server> {
    let mut server = Server::builder()
        .accept_http1(config.web.is_some())
        .timeout(config.call_timeout + Duration::from_secs(1))
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_connection_age(MAX_CONNECTION_AGE)
        .max_connection_age_grace(MAX_CONNECTION_GRACE);
    if let Some(tls) = &config.tls {
        server = server
            .tls_config(ServerTlsConfig::new().identity(identity(tls)?))
            .context("cannot load the TLS certificate")?;
    }
    Ok(server)
}

fn add_services(routes: &mut RoutesBuilder, services: Services, config: &GrpcConfig) {
    let dispatcher = Dispatcher::new(services.admission, config.max_calls, config.call_timeout);
    let analysis = Analysis {
        dispatcher: dispatcher.clone(),
        service: services.analysis,
        changes: services.manage.clone(),
    };
    let manage = Manage {
        dispatcher,
        service: services.manage,
    };
    // A macro, because the generated types have no common trait with these settings.
    macro_rules! add {
        ($server:ident, $service:expr) => {
            routes.add_service(
                $server::new($service)
                    .accept_compressed(Gzip)
                    .send_compressed(Gzip)
                    .max_decoding_message_size(MAX_REQUEST_BYTES)
                    .max_encoding_message_size(MAX_RESPONSE_BYTES),
            )
        };
    }
    add!(TelecomServer, analysis);
    add!(NodeServerManageServer, manage.clone());
    add!(NodeClientManageServer, manage.clone());
    add!(OperationManageServer, manage.clone());
    add!(PackageManageServer, manage.clone());
    add!(PackageQueueManageServer, manage.clone());
    add!(UsageManageServer, manage.clone());
    add!(WebhookManageServer, manage);
}

/// Allows web pages of the configured origins to call the server over gRPC-Web.
fn web_cors(config: &CorsConfig) -> CorsLayer {
    let headers = [
        "authorization",
        "content-type",
        "grpc-timeout",
        "idempotency-key",
        "if-match",
        "x-grpc-web",
        "x-user-agent",
    ];
    let exposed = ["grpc-status", "grpc-message", "grpc-status-details-bin"];
    cors(config)
        .allow_methods([Method::POST])
        .allow_headers(headers.map(HeaderName::from_static))
        .expose_headers(exposed.map(HeaderName::from_static))
}

/// Sets the health status of the server as a whole and of each service.
async fn report(health: &HealthReporter, status: ServingStatus) {
    for service in [
        "",
        "telecom.v1.Telecom",
        "telecom.v1.NodeServerManage",
        "telecom.v1.NodeClientManage",
        "telecom.v1.OperationManage",
        "telecom.v1.PackageManage",
        "telecom.v1.PackageQueueManage",
        "telecom.v1.UsageManage",
        "telecom.v1.WebhookManage",
    ] {
        health.set_service_status(service, status).await;
    }
}

fn identity(files: &TlsFiles) -> Result<Identity> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(Identity::from_pem(
        read(&files.certificate)?,
        read(&files.key)?,
    ))
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
