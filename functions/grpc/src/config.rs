//! Configuration of the server, from the environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use shared::config::{ConfigError, CorsConfig, invalid, optional, parsed, positive, seconds};

/// How the server listens, and what it allows.
#[derive(Debug, Clone)]
pub struct GrpcConfig {
    /// `TELECOM_GRPC_ADDRESS` (default `0.0.0.0:50051`): where it listens.
    pub address: SocketAddr,
    /// `TELECOM_GRPC_TLS_CERTIFICATE_FILE` and `TELECOM_GRPC_TLS_KEY_FILE` (PEM; default: none,
    /// plain HTTP/2).
    pub tls: Option<TlsFiles>,
    /// `TELECOM_GRPC_REFLECTION` (default `false`): tell clients what services there are.
    pub reflection: bool,
    /// `TELECOM_GRPC_WEB` (default `false`): answer gRPC-Web, too, for pages of
    /// `TELECOM_CORS_ALLOWED_ORIGINS`.
    pub web: Option<CorsConfig>,
    /// `TELECOM_GRPC_MAX_CALLS` (default 256): calls under way at once; more are refused as
    /// unavailable.
    pub max_calls: usize,
    /// `TELECOM_GRPC_MAX_CONNECTIONS` (default 1024): connections at once; further ones are closed.
    pub max_connections: usize,
    /// `TELECOM_GRPC_IDLE_SECONDS` (default 90): a connection on which nothing arrives for so long,
    /// not even the answer to a ping, is closed.
    pub idle: Duration,
    /// `TELECOM_GRPC_CALL_TIMEOUT_SECONDS` (default 10): the longest that a call takes, whatever
    /// its deadline; and that its answer may wait for the client to read it.
    pub call_timeout: Duration,
    /// `TELECOM_GRPC_DRAIN_SECONDS` (default 5): how long it goes on accepting calls after it was
    /// told to stop and has said so to health checks.
    pub drain: Duration,
}

/// Files of a certificate.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

impl GrpcConfig {
    /// Reads the variables.
    pub fn from_env() -> Result<Self, ConfigError> {
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 50_051));
        Ok(Self {
            address: parsed(
                "TELECOM_GRPC_ADDRESS",
                "an address and a port such as 0.0.0.0:50051",
                anywhere,
            )?,
            tls: tls_files()?,
            reflection: parsed("TELECOM_GRPC_REFLECTION", "true or false", false)?,
            web: parsed("TELECOM_GRPC_WEB", "true or false", false)?
                .then(CorsConfig::from_env)
                .transpose()?,
            max_calls: positive("TELECOM_GRPC_MAX_CALLS", "a whole number", 256)?,
            max_connections: positive("TELECOM_GRPC_MAX_CONNECTIONS", "a whole number", 1_024)?,
            idle: positive("TELECOM_GRPC_IDLE_SECONDS", "a whole number of seconds", 90)
                .map(Duration::from_secs)?,
            call_timeout: positive(
                "TELECOM_GRPC_CALL_TIMEOUT_SECONDS",
                "a whole number of seconds",
                10,
            )
            .map(Duration::from_secs)?,
            drain: seconds("TELECOM_GRPC_DRAIN_SECONDS", 5)?,
        })
    }
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
