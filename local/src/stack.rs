//! Starts and stops the whole system: database, emulator, deployed template, gRPC server.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::emulator::invoke::invoke;
use crate::emulator::localstack::stack::Substitutes;
use crate::emulator::{localstack, ministack};
use crate::grpc;
use crate::loopback::ports::check_port;
use crate::postgres::{Cluster, check_url};
use crate::process::{Service, interrupt};
use crate::progress::step;
use crate::python::Environment;
use crate::settings::{Emulator, Settings};
use crate::template::deploy::{Deployment, Outputs, output};
use crate::template::stage::stage;

/// Addresses of a running system.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoints {
    /// URL of the AWS endpoint (`AWS_ENDPOINT_URL`).
    pub aws: String,
    /// URL of the load balancer, without `/v1/…`.
    pub api: String,
    /// URL of the gRPC server.
    pub grpc: String,
    /// URL of the metrics of the gRPC server. Records of earlier versions lack it.
    #[serde(default)]
    pub metrics: String,
    /// URL of the database, including the password.
    pub database_url: String,
    /// Outputs of the deployed stack, such as queue URLs.
    pub outputs: Outputs,
}

impl Endpoints {
    /// Output `name` of the deployed stack.
    pub fn output(&self, name: &str) -> Result<&str> {
        output(&self.outputs, name)
    }
}

/// A running system. Dropping it stops everything. [`Stack::stop`] also saves the state for the
/// next start.
#[derive(Debug)]
pub struct Stack {
    // Declared in the order of dropping: functions stop before their database.
    substitutes: Option<Substitutes>,
    emulator: Service,
    grpc: Service,
    cluster: Option<Cluster>,
    settings: Settings,
    parameters: BTreeMap<String, String>,
    endpoints: Endpoints,
}

impl Stack {
    /// Starts everything and returns when the API is ready. `parameters` are additional template
    /// parameters.
    pub fn start(settings: Settings, parameters: BTreeMap<String, String>) -> Result<Self> {
        stage(&settings)?;
        check_ports(&settings)?;
        let tools = match settings.emulator {
            Emulator::Ministack => "ministack",
            Emulator::LocalStack => "localstack",
        };
        let python = Environment::ensure(&settings, tools)?;
        let (cluster, database_url) = database(&settings)?;
        interrupt::check()?;
        let (substitutes, emulator, outputs) = match settings.emulator {
            Emulator::Ministack => {
                let (emulator, outputs) =
                    start_ministack(&settings, &python, &database_url, &parameters)?;
                (None, emulator, outputs)
            }
            Emulator::LocalStack => {
                let (substitutes, emulator, outputs) =
                    start_localstack(&settings, &python, &database_url, &parameters)?;
                (Some(substitutes), emulator, outputs)
            }
        };
        let endpoints = Endpoints {
            aws: settings.endpoint(),
            api: settings.api_url(),
            grpc: settings.grpc_url(),
            metrics: settings.metrics_url(),
            database_url,
            outputs,
        };
        let grpc = step("Starting the gRPC server", || {
            grpc::start(&settings, &endpoints.database_url, &parameters)
        })?;
        Ok(Self {
            substitutes,
            emulator,
            grpc,
            cluster,
            settings,
            parameters,
            endpoints,
        })
    }

    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns an error if a part of the system has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        let cluster = self.cluster.as_mut().map(|cluster| &mut cluster.service);
        [&mut self.emulator, &mut self.grpc]
            .into_iter()
            .chain(cluster)
            .try_for_each(Service::check_alive)
    }

    /// Stops everything in the right order.
    pub fn stop(mut self) -> Result<()> {
        let saves_state = self.settings.durable && self.substitutes.is_none();
        let stopped = step(&format!("Stopping {}", self.emulator.name()), || {
            if let Some(substitutes) = self.substitutes.take() {
                substitutes.stop();
            }
            Ok(self.emulator.stop())
        })?;
        if stopped && saves_state {
            let database_url = &self.endpoints.database_url;
            Deployment::new(&self.settings, database_url, &self.parameters)?.remember()?;
        }
        let cluster = self.cluster.as_mut().map(|cluster| &mut cluster.service);
        for service in [&mut self.grpc].into_iter().chain(cluster) {
            step(&format!("Stopping {}", service.name()), || {
                Ok(service.stop())
            })?;
        }
        Ok(())
    }
}

/// Starts ministack, deploys the template and migrates the database.
fn start_ministack(
    settings: &Settings,
    python: &Environment,
    database_url: &str,
    parameters: &BTreeMap<String, String>,
) -> Result<(Service, Outputs)> {
    let ministack = step("Starting ministack", || ministack::start(settings, python))?;
    let outputs = Deployment::new(settings, database_url, parameters)?.ensure(python)?;
    step("Migrating the database", || migrate(settings, &outputs))?;
    Ok((ministack, outputs))
}

/// Starts LocalStack with what it lacks, and migrates the database.
fn start_localstack(
    settings: &Settings,
    python: &Environment,
    database_url: &str,
    parameters: &BTreeMap<String, String>,
) -> Result<(Substitutes, Service, Outputs)> {
    let start = || localstack::start(settings, python);
    let localstack = step("Starting LocalStack", start)?;
    let deploy = || localstack::deploy(settings, python);
    let deployed = step("Deploying the queues and the bus", deploy)?;
    let substitutes = Substitutes::start(settings, &deployed, database_url, parameters)?;
    Ok((substitutes, localstack, deployed.outputs))
}

/// Runs before anything is started, so that there is nothing to undo.
fn check_ports(settings: &Settings) -> Result<()> {
    let (gateway, grpc) = (settings.gateway_port, settings.grpc_port);
    check_port(gateway, "the AWS endpoint", "--port or TELECOM_PORT")?;
    check_port(grpc, "the gRPC server", "--grpc-port or TELECOM_GRPC_PORT")?;
    let how = "--metrics-port or TELECOM_METRICS_PORT";
    check_port(settings.metrics_port, "the metrics", how)?;
    let how = "--sign-in-port or TELECOM_SIGN_IN_PORT";
    check_port(settings.sign_in_port, "the sign-in page", how)?;
    if settings.emulator == Emulator::LocalStack {
        let how = "--http-port or TELECOM_HTTP_PORT";
        check_port(settings.http_port, "the HTTP API", how)?;
    }
    if settings.database_url.is_none() {
        let how = "--pg-port or TELECOM_PG_PORT";
        check_port(settings.postgres_port, "the database", how)?;
    }
    Ok(())
}

fn database(settings: &Settings) -> Result<(Option<Cluster>, String)> {
    if let Some(url) = &settings.database_url {
        step("Checking the database of DATABASE_URL", || check_url(url))?;
        return Ok((None, url.clone()));
    }
    let cluster = Cluster::start(settings)?;
    let url = cluster.url.clone();
    Ok((Some(cluster), url))
}

fn migrate(settings: &Settings, outputs: &Outputs) -> Result<()> {
    let function = output(outputs, "MigrateFunctionName")?;
    invoke(&settings.endpoint(), function, &json!({})).context("Cannot migrate the database")?;
    Ok(())
}
