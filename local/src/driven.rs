//! The system on LocalStack: its queues and bus, and around them what it lacks, from this machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::deploy::Outputs;
use crate::driver::Driver;
use crate::grpc::AUTH_VARIABLES;
use crate::load_balancer::{Invoke, LoadBalancer};
use crate::localstack::{Deployed, LocalStack};
use crate::native::NativeFunctions;
use crate::progress::step;
use crate::python::Environment;
use crate::settings::Settings;

/// The variables that name queues and the bus, and the stack's outputs that they come from.
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

/// LocalStack and what drives it. Dropping it stops all of it; [`Driven::stop`] empties the queues
/// first.
#[derive(Debug)]
pub struct Driven {
    // Declared in the order in which they are stopped.
    balancer: Option<LoadBalancer>,
    driver: Option<Driver>,
    runtime: Runtime,
    localstack: LocalStack,
}

impl Driven {
    /// Starts it over the database at `database_url`, which is migrated first; `parameters` are the
    /// template's.
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
        step("Migrating the database", migration)
            .context("The database's schema could not be brought up to date")?;
        let queues = client(&settings.endpoint());
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

    /// An error if LocalStack has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        self.localstack.check_alive()
    }

    /// Stops it, what is in the queues first.
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

/// What the template gives to one function or another; here all have all of it.
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
            .with_context(|| format!("template.yaml has no {output}"))?;
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

fn client(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("test", "test", None, None, "emulator"));
    Client::from_conf(config.build())
}
