//! Starts and stops the whole system: database, emulator, deployed template, gRPC server.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::emulator::invoke::invoke;
use crate::emulator::localstack::stack::LocalStackSystem;
use crate::emulator::ministack::Ministack;
use crate::grpc::GrpcServer;
use crate::loopback::ports::check_port;
use crate::postgres::{Cluster, check_url};
use crate::process::interrupt;
use crate::progress::step;
use crate::python::Environment;
use crate::settings::{Emulator, Settings};
use crate::template::deploy::{Deployment, Outputs};
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
    /// URL of the database, including the password.
    pub database_url: String,
    /// Outputs of the deployed stack, such as queue URLs.
    pub outputs: Outputs,
}

impl Endpoints {
    /// Output `name` of the deployed stack.
    pub fn output(&self, name: &str) -> Result<&str> {
        self.outputs
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("template.yaml has no output {name}"))
    }
}

/// A running system. Dropping it stops everything. [`Stack::stop`] also saves the state for the
/// next start.
#[derive(Debug)]
pub struct Stack {
    // Declared in the order of dropping: functions stop before their database.
    aws: Aws,
    grpc: GrpcServer,
    cluster: Option<Cluster>,
    settings: Settings,
    parameters: BTreeMap<String, String>,
    endpoints: Endpoints,
}

/// The running AWS emulator.
#[derive(Debug)]
enum Aws {
    Ministack(Ministack),
    LocalStack(Box<LocalStackSystem>),
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
        let (aws, outputs) = Aws::start(&settings, &python, &database_url, &parameters)?;
        let endpoints = Endpoints {
            aws: settings.endpoint(),
            api: settings.api_url(),
            grpc: settings.grpc_url(),
            database_url,
            outputs,
        };
        let grpc = step("Starting the gRPC server", || {
            GrpcServer::start(&settings, &endpoints.database_url, &parameters)
        })?;
        Ok(Self {
            aws,
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
        match &mut self.aws {
            Aws::Ministack(ministack) => ministack.check_alive()?,
            Aws::LocalStack(localstack) => localstack.check_alive()?,
        }
        self.grpc.check_alive()?;
        self.cluster.as_mut().map_or(Ok(()), Cluster::check_alive)
    }

    /// Stops everything in the right order.
    pub fn stop(mut self) -> Result<()> {
        let saved = self.aws.stop()?;
        if saved && self.settings.durable {
            Deployment::new(
                &self.settings,
                &self.endpoints.database_url,
                &self.parameters,
            )?
            .remember()?;
        }
        step("Stopping the gRPC server", || Ok(self.grpc.stop()))?;
        if let Some(mut cluster) = self.cluster.take() {
            step("Stopping PostgreSQL", || Ok(cluster.stop()))?;
        }
        Ok(())
    }
}

impl Aws {
    /// Starts the emulator, deploys the template and migrates the database.
    fn start(
        settings: &Settings,
        python: &Environment,
        database_url: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<(Self, Outputs)> {
        if settings.emulator == Emulator::LocalStack {
            let (localstack, outputs) =
                LocalStackSystem::start(settings, python, database_url, parameters)?;
            return Ok((Self::LocalStack(Box::new(localstack)), outputs));
        }
        let ministack = step("Starting ministack", || Ministack::start(settings, python))?;
        let outputs = Deployment::new(settings, database_url, parameters)?.ensure(python)?;
        step("Migrating the database", || migrate(settings, &outputs))?;
        Ok((Self::Ministack(ministack), outputs))
    }

    /// Stops the emulator. Returns true if its state was saved.
    fn stop(&mut self) -> Result<bool> {
        match self {
            Self::Ministack(ministack) => step("Stopping ministack", || Ok(ministack.stop())),
            Self::LocalStack(localstack) => step("Stopping LocalStack", || {
                localstack.stop();
                Ok(false)
            }),
        }
    }
}

/// Runs before anything is started, so that there is nothing to undo.
fn check_ports(settings: &Settings) -> Result<()> {
    check_port(
        settings.gateway_port,
        "the AWS endpoint",
        "--port or TELECOM_PORT",
    )?;
    check_port(
        settings.grpc_port,
        "the gRPC server",
        "--grpc-port or TELECOM_GRPC_PORT",
    )?;
    if settings.emulator == Emulator::LocalStack {
        check_port(
            settings.http_port,
            "the HTTP API",
            "--http-port or TELECOM_HTTP_PORT",
        )?;
    }
    if settings.database_url.is_none() {
        check_port(
            settings.postgres_port,
            "the database",
            "--pg-port or TELECOM_PG_PORT",
        )?;
    }
    Ok(())
}

fn database(settings: &Settings) -> Result<(Option<Cluster>, String)> {
    if let Some(url) = &settings.database_url {
        step("Checking the database of DATABASE_URL", || check_url(url))?;
        return Ok((None, url.clone()));
    }
    let cluster = Cluster::start(settings)?;
    let url = cluster.url().to_owned();
    Ok((Some(cluster), url))
}

fn migrate(settings: &Settings, outputs: &Outputs) -> Result<()> {
    let function = outputs
        .get("MigrateFunctionName")
        .context("template.yaml has no output MigrateFunctionName")?;
    invoke(&settings.endpoint(), function, &json!({})).context("Cannot migrate the database")?;
    Ok(())
}
