//! The binary asks a server on its own machine how it is: a container image without a shell has nobody else to ask.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::config::GrpcConfig;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Whether the server of `config` serves. A certificate of its own must be valid for `localhost`.
pub async fn ask(config: &GrpcConfig) -> bool {
    match check(config).await {
        Ok(ServingStatus::Serving) => true,
        Ok(status) => {
            eprintln!("The server says {}.", status.as_str_name());
            false
        }
        Err(error) => {
            eprintln!("The server does not answer: {error:#}");
            false
        }
    }
}

async fn check(config: &GrpcConfig) -> anyhow::Result<ServingStatus> {
    let channel = connect(config).await?;
    let request = HealthCheckRequest { service: String::new() };
    Ok(HealthClient::new(channel).check(request).await?.into_inner().status())
}

async fn connect(config: &GrpcConfig) -> anyhow::Result<Channel> {
    let mut address = config.address;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let mut endpoint: Endpoint = format!("{scheme}://{address}").parse()?;
    if let Some(tls) = &config.tls {
        let certificate = Certificate::from_pem(tokio::fs::read(&tls.certificate).await?);
        endpoint = endpoint.tls_config(ClientTlsConfig::new().ca_certificate(certificate).domain_name("localhost"))?;
    }
    Ok(endpoint.connect_timeout(TIMEOUT).timeout(TIMEOUT).connect().await?)
}
