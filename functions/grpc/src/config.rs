//! Configuration of the server from environment variables.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use shared::config::{
    ConfigError, CorsConfig, invalid, optional, parsed, positive, positive_seconds, seconds,
};

/// Address, TLS, limits and optional features of the server.
#[derive(Debug, Clone)]
pub struct GrpcConfig {
    /// `TELECOM_GRPC_ADDRESS` (default `0.0.0.0:50051`): the listen address.
    pub address: SocketAddr,
    /// `TELECOM_GRPC_METRICS_ADDRESS` (default `0.0.0.0:9464`): the listen address of the metrics
    /// for Prometheus. `None` if it is `off`.
    pub metrics: Option<SocketAddr>,
    /// `TELECOM_GRPC_TLS_CERTIFICATE_FILE` and `TELECOM_GRPC_TLS_KEY_FILE`, PEM files. `None` if
    /// neither is set: the server then uses HTTP/2 without TLS.
    pub tls: Option<TlsFiles>,
    /// `TELECOM_GRPC_REFLECTION` (default `false`): whether server reflection is enabled.
    pub reflection: bool,
    /// `TELECOM_GRPC_WEB` (default `false`): whether gRPC-Web is enabled, for web pages of
    /// `TELECOM_CORS_ALLOWED_ORIGINS`.
    pub web: Option<CorsConfig>,
    /// `TELECOM_GRPC_MAX_CALLS` (default 256): maximum number of concurrent calls. Further calls
    /// fail as unavailable.
    pub max_calls: usize,
    /// `TELECOM_GRPC_MAX_CONNECTIONS` (default 1024): maximum number of connections. Further ones
    /// are closed.
    pub max_connections: usize,
    /// `TELECOM_GRPC_IDLE_SECONDS` (default 90): time after which a connection is closed if nothing
    /// arrives on it, not even the response to a ping.
    pub idle: Duration,
    /// `TELECOM_GRPC_CALL_TIMEOUT_SECONDS` (default 10): maximum duration of a call, even if its
    /// deadline is later. Also the maximum time in which the client must read the response.
    pub call_timeout: Duration,
    /// `TELECOM_GRPC_DRAIN_SECONDS` (default 5): time for which calls are still accepted after a
    /// stop signal, while health checks already report `NOT_SERVING`.
    pub drain: Duration,
}

/// Files of a TLS certificate.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

impl GrpcConfig {
    /// Reads and validates the environment variables.
    pub fn from_env() -> Result<Self, ConfigError> {
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 50_051));
        Ok(Self {
            address: parsed(
                "TELECOM_GRPC_ADDRESS",
                "an address and a port such as 0.0.0.0:50051",
                anywhere,
            )?,
            metrics: metrics_address()?,
            tls: tls_files()?,
            reflection: parsed("TELECOM_GRPC_REFLECTION", "true or false", false)?,
            web: parsed("TELECOM_GRPC_WEB", "true or false", false)?
                .then(CorsConfig::from_env)
                .transpose()?,
            max_calls: positive("TELECOM_GRPC_MAX_CALLS", "a whole number", 256)?,
            max_connections: positive("TELECOM_GRPC_MAX_CONNECTIONS", "a whole number", 1_024)?,
            idle: positive_seconds("TELECOM_GRPC_IDLE_SECONDS", 90)?,
            call_timeout: positive_seconds("TELECOM_GRPC_CALL_TIMEOUT_SECONDS", 10)?,
            drain: seconds("TELECOM_GRPC_DRAIN_SECONDS", 5)?,
        })
    }
}

fn metrics_address() -> Result<Option<SocketAddr>, ConfigError> {
    const NAME: &str = "TELECOM_GRPC_METRICS_ADDRESS";
    if optional(NAME).as_deref() == Some("off") {
        return Ok(None);
    }
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9_464));
    let accepted = "off, or an address and a port such as 0.0.0.0:9464";
    parsed(NAME, accepted, anywhere).map(Some)
}

fn tls_files() -> Result<Option<TlsFiles>, ConfigError> {
    const CERTIFICATE: &str = "TELECOM_GRPC_TLS_CERTIFICATE_FILE";
    const KEY: &str = "TELECOM_GRPC_TLS_KEY_FILE";
    match (optional(CERTIFICATE), optional(KEY)) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
            certificate: certificate.into(),
            key: key.into(),
        })),
        (None, Some(_)) => Err(invalid(CERTIFICATE, format!("is not set, but {KEY} is"))),
        (Some(_), None) => Err(invalid(KEY, format!("is not set, but {CERTIFICATE} is"))),
    }
}
