//! The gRPC server, with the environment that its container has.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use rustix::process::Signal;

use crate::emulator::client::FOREIGN_SETTINGS;
use crate::process::{Service, ServiceSpec, ServiceUser, succeeds};
use crate::settings::Settings;

/// Template parameters for authentication, and the environment variables that carry their values.
pub const AUTH_VARIABLES: [(&str, &str); 3] = [
    ("AuthIssuer", "TELECOM_AUTH_ISSUER"),
    ("AuthAudience", "TELECOM_AUTH_AUDIENCE"),
    ("AuthJwks", "TELECOM_AUTH_JWKS"),
];

/// Starts the server with the database at `database_url`. `parameters` are template parameters.
pub fn start(
    settings: &Settings,
    database_url: &str,
    parameters: &BTreeMap<String, String>,
) -> Result<Service> {
    let program = settings.built("telecom-grpc");
    if !program.is_file() {
        bail!(
            "{} is missing. Build it first: `make build`.",
            program.display()
        );
    }
    let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let addresses = [settings.grpc_port, settings.metrics_port].map(here);
    let mut command =
        ServiceUser::choose_to_reach(&[&program])?.service(&program, "TERM", Path::new("/"));
    environment(&mut command, addresses, database_url, parameters);
    let spec = ServiceSpec {
        name: "the gRPC server",
        stop_with: Signal::TERM,
        grace: Duration::from_secs(20),
        log: settings.log("grpc"),
    };
    let mut service = Service::start(spec, command)?;
    service.wait_until(|| {
        let mut ask = Command::new(&program);
        environment(&mut ask, addresses, database_url, parameters);
        succeeds(ask.arg("health"))
    })?;
    Ok(service)
}

/// Sets the variables of a server that listens on an address for calls and on one for metrics.
fn environment(
    command: &mut Command,
    [address, metrics]: [SocketAddr; 2],
    database_url: &str,
    parameters: &BTreeMap<String, String>,
) {
    for name in FOREIGN_SETTINGS {
        command.env_remove(name);
    }
    command.envs([
        ("DATABASE_URL", database_url),
        ("DATABASE_MAX_CONNECTIONS", "5"),
        ("TELECOM_GRPC_ADDRESS", &address.to_string()),
        ("TELECOM_GRPC_METRICS_ADDRESS", &metrics.to_string()),
        ("TELECOM_GRPC_REFLECTION", "true"),
        ("TELECOM_GRPC_WEB", "true"),
        // No load balancer has to notice the shutdown before the server stops.
        ("TELECOM_GRPC_DRAIN_SECONDS", "0"),
    ]);
    for (parameter, variable) in AUTH_VARIABLES {
        command.env(
            variable,
            parameters.get(parameter).map_or("", String::as_str),
        );
    }
}
