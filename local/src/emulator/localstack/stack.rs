//! A system on LocalStack: its queues and event bus, the functions as processes, and the load
//! balancer.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use super::driver::Driver;
use super::functions::NativeFunctions;
use super::{Deployed, LocalStack};
use crate::emulator::client::sqs;
use crate::emulator::load_balancer::{Invoke, LoadBalancer};
use crate::grpc::AUTH_VARIABLES;
use crate::progress::step;
use crate::python::Environment;
use crate::settings::Settings;
use crate::template::deploy::Outputs;

/// The stack's outputs for queues and the event bus, and the environment variables that carry their
/// values.
const MESSAGING_VARIABLES: [(&str, &str); 3] = [
    (
        "UserUsageBillingQueueUrl",
        "TELECOM_USER_USAGE_BILLING_QUEUE_URL",
    ),
    (
        "PackageExpiringQueueUrl",
        "TELECOM_PACKAGE_EXPIRING_QUEUE_URL",
    ),
    ("EventBusName", "TELECOM_EVENT_BUS_NAME"),
];

/// A running system. Dropping it stops everything. [`LocalStackSystem::stop`] empties the queues
/// first.
#[derive(Debug)]
pub struct LocalStackSystem {
    // Declared in the order of dropping.
    balancer: Option<LoadBalancer>,
    driver: Option<Driver>,
    runtime: Runtime,
    localstack: LocalStack,
}

impl LocalStackSystem {
    /// Starts the system with the database at `database_url`, which it migrates first. `parameters`
    /// are template parameters.
    pub fn start(
        settings: &Settings,
        python: &Environment,
        database_url: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<(Self, Outputs)> {
        let localstack = step("Starting LocalStack", || {
            LocalStack::start(settings, python)
        })?;
        let deployed = step("Deploying the queues and the bus", || {
            localstack.deploy(settings, python)
        })?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let functions =
            NativeFunctions::new(settings, variables(database_url, parameters, &deployed)?)?;
        let migration = || {
            runtime
                .block_on(functions.invoke("migrate", &json!({})))
                .map(drop)
        };
        step("Migrating the database", migration).context("Cannot migrate the database")?;
        let queues = sqs(&settings.endpoint());
        let Deployed {
            outputs,
            consumers,
            schedules,
        } = deployed;
        let driver = Driver::start(&runtime, &functions, &queues, &consumers, &schedules)?;
        let balancer = LoadBalancer::start(settings.http_port, invoker(&runtime, functions))?;
        Ok((
            Self {
                balancer: Some(balancer),
                driver: Some(driver),
                runtime,
                localstack,
            },
            outputs,
        ))
    }

    /// Returns an error if LocalStack has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        self.localstack.check_alive()
    }

    /// Stops everything once the queues are empty.
    pub fn stop(&mut self) {
        self.balancer = None;
        if let Some(driver) = self.driver.take() {
            self.runtime.block_on(driver.stop());
        }
        self.localstack.stop();
    }
}

fn invoker(runtime: &Runtime, functions: Arc<NativeFunctions>) -> Invoke {
    let handle = runtime.handle().clone();
    Arc::new(move |function, event| handle.block_on(functions.invoke(function, &event)))
}

/// Environment variables of the functions. The template gives each function only those that it
/// needs. Here, every function gets all of them.
fn variables(
    database_url: &str,
    parameters: &BTreeMap<String, String>,
    deployed: &Deployed,
) -> Result<Vec<(String, String)>> {
    let mut variables = vec![("DATABASE_URL".to_owned(), database_url.to_owned())];
    variables.push(("RUST_LOG".to_owned(), "info".to_owned()));
    for (output, variable) in MESSAGING_VARIABLES {
        let value = deployed
            .outputs
            .get(output)
            .with_context(|| format!("template.yaml has no output {output}"))?;
        variables.push((variable.to_owned(), value.clone()));
    }
    for (parameter, variable) in AUTH_VARIABLES {
        variables.extend(
            parameters
                .get(parameter)
                .map(|value| (variable.to_owned(), value.clone())),
        );
    }
    Ok(variables)
}
