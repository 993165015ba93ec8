//! The whole system: database, emulator, deployed template, migrated schema.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::deploy::{Deployment, Outputs};
use crate::driven::Driven;
use crate::grpc::GrpcServer;
use crate::interrupt;
use crate::invoke::invoke;
use crate::ministack::Ministack;
use crate::net;
use crate::postgres::{Cluster, check_url};
use crate::progress::step;
use crate::python::Environment;
use crate::settings::{Emulator, Settings};
use crate::stage::stage;

/// Where a running system is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoints {
    /// The AWS endpoint (`AWS_ENDPOINT_URL`).
    pub aws: String,
    /// The load balancer, before `/v1/…`.
    pub api: String,
    /// The gRPC server.
    pub grpc: String,
    /// The database, password included.
    pub database_url: String,
    /// The stack's outputs, queue URLs among them.
    pub outputs: Outputs,
}

impl Endpoints {
    /// One of the stack's outputs.
    pub fn output(&self, name: &str) -> Result<&str> {
        self.outputs
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("template.yaml has no output {name}"))
    }
}

/// A running system. Dropping it stops everything; [`Stack::stop`] also keeps what the next start
/// can use.
#[derive(Debug)]
pub struct Stack {
    // Declared in the order in which they are stopped: functions before their database.
    aws: Aws,
    grpc: GrpcServer,
    cluster: Option<Cluster>,
    settings: Settings,
    parameters: BTreeMap<String, String>,
    endpoints: Endpoints,
}

/// What runs in place of AWS.
#[derive(Debug)]
enum Aws {
    Ministack(Ministack),
    LocalStack(Box<Driven>),
}

impl Stack {
    /// Starts everything and returns when the API can be called. `parameters` are further template
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

    /// Where it is reached.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// What it was started with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// An error if a part of it has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        match &mut self.aws {
            Aws::Ministack(ministack) => ministack.check_alive()?,
            Aws::LocalStack(driven) => driven.check_alive()?,
        }
        self.grpc.check_alive()?;
        self.cluster.as_mut().map_or(Ok(()), Cluster::check_alive)
    }

    /// Stops everything in order.
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
    /// Starts it with the schema up to date.
    fn start(
        settings: &Settings,
        python: &Environment,
        database_url: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<(Self, Outputs)> {
        if settings.emulator == Emulator::LocalStack {
            let (driven, outputs) = Driven::start(settings, python, database_url, parameters)?;
            return Ok((Self::LocalStack(Box::new(driven)), outputs));
        }
        let ministack = step("Starting ministack", || Ministack::start(settings, python))?;
        let outputs = Deployment::new(settings, database_url, parameters)?.ensure(python)?;
        step("Migrating the database", || migrate(settings, &outputs))?;
        Ok((Self::Ministack(ministack), outputs))
    }

    /// Stops it. True if its state was saved.
    fn stop(&mut self) -> Result<bool> {
        match self {
            Self::Ministack(ministack) => step("Stopping ministack", || Ok(ministack.stop())),
            Self::LocalStack(driven) => step("Stopping LocalStack", || {
                driven.stop();
                Ok(false)
            }),
        }
    }
}

/// Before anything is started, so that nothing has to be undone.
fn check_ports(settings: &Settings) -> Result<()> {
    net::check_port(
        settings.gateway_port,
        "the AWS endpoint",
        "--port or TELECOM_PORT",
    )?;
    net::check_port(
        settings.grpc_port,
        "the gRPC server",
        "--grpc-port or TELECOM_GRPC_PORT",
    )?;
    if settings.emulator == Emulator::LocalStack {
        net::check_port(
            settings.http_port,
            "the HTTP API",
            "--http-port or TELECOM_HTTP_PORT",
        )?;
    }
    if settings.database_url.is_none() {
        net::check_port(
            settings.postgres_port,
            "the database",
            "--pg-port or TELECOM_PG_PORT",
        )?;
    }
    Ok(())
}

fn database(settings: &Settings) -> Result<(Option<Cluster>, String)> {
    if let Some(url) = &settings.database_url {
        step("Using the database of DATABASE_URL", || check_url(url))?;
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
    invoke(&settings.endpoint(), function, &json!({}))
        .context("The database's schema could not be brought up to date")?;
    Ok(())
}
