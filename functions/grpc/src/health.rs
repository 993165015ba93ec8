//! Health check of a server on the same machine, by the binary itself. The container image has no
//! shell or other program for it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::anyhow;
use http::Uri;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use crate::config::GrpcConfig;
use crate::pinned;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Whether the server of `config` reports `SERVING`.
pub async fn ask(config: &GrpcConfig) -> bool {
    match serving_status(config).await {
        Ok(ServingStatus::Serving) => true,
        Ok(status) => {
            eprintln!("The server reports {}.", status.as_str_name());
            false
        }
        Err(error) => {
            eprintln!("The health check failed: {error:#}");
            false
        }
    }
}

async fn serving_status(config: &GrpcConfig) -> anyhow::Result<ServingStatus> {
    let channel = connect(config).await?;
    let request = HealthCheckRequest {
        service: String::new(),
    };
    Ok(HealthClient::new(channel)
        .check(request)
        .await?
        .into_inner()
        .status())
}

async fn connect(config: &GrpcConfig) -> anyhow::Result<Channel> {
    let mut address = config.address;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let endpoint = Endpoint::try_from(format!("http://{address}"))?
        .connect_timeout(TIMEOUT)
        .timeout(TIMEOUT);
    let Some(tls) = &config.tls else {
        return Ok(endpoint.connect().await?);
    };
    // The check runs on the same machine and uses no host name. The server only has to prove that
    // it has the key of its certificate.
    let certificate = CertificateDer::from_pem_file(&tls.certificate)
        .map_err(|error| anyhow!("{}: {error}", tls.certificate.display()))?;
    let connector = service_fn(move |_: Uri| pinned::connect(address, certificate.clone()));
    Ok(endpoint.connect_with_connector(connector).await?)
}
