//! What LocalStack lacks: the functions, their event sources and the load balancer.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use super::Deployed;
use super::driver::Driver;
use super::functions::NativeFunctions;
use crate::emulator::client::sqs;
use crate::emulator::load_balancer::{Invoke, LoadBalancer};
use crate::grpc::AUTH_VARIABLES;
use crate::progress::step;
use crate::settings::Settings;
use crate::template::deploy::output;

/// The stack's outputs for queues and the event bus, and the environment variables that carry their
/// values.
const MESSAGING_VARIABLES: [(&str, &str); 9] = [
    (
        "UserUsageBillingQueueUrl",
        "TELECOM_USER_USAGE_BILLING_QUEUE_URL",
    ),
    (
        "PackageExpiringQueueUrl",
        "TELECOM_PACKAGE_EXPIRING_QUEUE_URL",
    ),
    ("NodeUsageQueueUrl", "TELECOM_NODE_USAGE_QUEUE_URL"),
    ("EventBusName", "TELECOM_EVENT_BUS_NAME"),
    (
        "UsageReportDeadLetterQueueUrl",
        "TELECOM_USAGE_REPORT_DEAD_LETTER_QUEUE_URL",
    ),
    (
        "NodeUsageDeadLetterQueueUrl",
        "TELECOM_NODE_USAGE_DEAD_LETTER_QUEUE_URL",
    ),
    (
        "UserUsageBillingDeadLetterQueueUrl",
        "TELECOM_USER_USAGE_BILLING_DEAD_LETTER_QUEUE_URL",
    ),
    (
        "PackageExpiringDeadLetterQueueUrl",
        "TELECOM_PACKAGE_EXPIRING_DEAD_LETTER_QUEUE_URL",
    ),
    (
        "PackageOrderDeadLetterQueueUrl",
        "TELECOM_PACKAGE_ORDER_DEAD_LETTER_QUEUE_URL",
    ),
];

/// The running parts. Dropping this stops them. [`Substitutes::stop`] empties the queues first.
#[derive(Debug)]
pub struct Substitutes {
    // Declared in the order of dropping.
    balancer: LoadBalancer,
    driver: Driver,
    runtime: Runtime,
}

impl Substitutes {
    /// Starts the parts with what LocalStack has deployed and the database at `database_url`, which
    /// is migrated first. `parameters` are template parameters.
    pub fn start(
        settings: &Settings,
        deployed: &Deployed,
        database_url: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let functions =
            NativeFunctions::new(settings, variables(database_url, parameters, deployed)?)?;
        let migration = || {
            runtime
                .block_on(functions.invoke("migrate", &json!({})))
                .map(drop)
        };
        step("Migrating the database", migration).context("Cannot migrate the database")?;
        let queues = sqs(&settings.endpoint());
        let driver = Driver::start(&runtime, &functions, &queues, deployed)?;
        let balancer = LoadBalancer::start(settings.http_port, invoker(&runtime, functions))?;
        Ok(Self {
            balancer,
            driver,
            runtime,
        })
    }

    /// Stops everything once the queues are empty.
    pub fn stop(self) {
        drop(self.balancer);
        self.runtime.block_on(self.driver.stop());
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
    for (name, variable) in MESSAGING_VARIABLES {
        let value = output(&deployed.outputs, name)?;
        variables.push((variable.to_owned(), value.to_owned()));
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
