//! LocalStack without an account: it deploys the queues and the event bus. This program provides
//! the rest: the functions, their event sources and the load balancer.

pub mod driver;
pub mod functions;
pub mod runtime_api;
pub mod stack;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde::Deserialize;

use super::client::{FOREIGN_SETTINGS, as_client};
use crate::files::private_folder;
use crate::process::{Service, ServiceSpec, dying_with_parent, output};
use crate::python::{self, Environment};
use crate::settings::{STACK_NAME, Settings};
use crate::template::deploy::Outputs;

/// The output of `local/python/localstack_deploy.py`.
#[derive(Debug, Deserialize)]
pub struct Deployed {
    /// The stack's outputs about queues and the event bus.
    pub outputs: Outputs,
    /// The functions that consume queues.
    pub consumers: Vec<Consumer>,
    /// The functions that run on a schedule.
    pub schedules: Vec<Schedule>,
}

/// An event source mapping.
#[derive(Debug, Clone, Deserialize)]
pub struct Consumer {
    /// Package name of the function.
    pub function: String,
    pub queue_url: String,
    /// Maximum number of messages per delivery.
    pub batch_size: usize,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Schedule {
    /// Package name of the function.
    pub function: String,
    /// Schedule expression of EventBridge Scheduler.
    pub expression: String,
}

/// Starts LocalStack without any resources. Its state is never saved.
pub fn start(settings: &Settings, environment: &Environment) -> Result<Service> {
    settings.create_state()?;
    private_folder(&settings.state.join("localstack"))?;
    let spec = ServiceSpec {
        name: "LocalStack",
        stop_with: Signal::TERM,
        grace: Duration::from_secs(20),
        log: settings.log("localstack"),
    };
    let mut service = Service::start(spec, command(settings, environment))?;
    let health = format!("{}/_localstack/health", settings.endpoint());
    service.wait_until(|| ureq::get(&health).call().is_ok())?;
    Ok(service)
}

/// Deploys the template's queues and event bus.
pub fn deploy(settings: &Settings, environment: &Environment) -> Result<Deployed> {
    let mut command = Command::new(environment.program("python"));
    as_client(&mut command, settings);
    command.arg(settings.root.join("local/python/localstack_deploy.py"));
    command
        .arg(settings.root.join("template.yaml"))
        .arg(STACK_NAME);
    let deployed = output(&mut command, "deploy the queues and the bus to LocalStack")?;
    serde_json::from_str(&deployed).context("The description of the deployment is not JSON")
}

fn command(settings: &Settings, environment: &Environment) -> Command {
    let mut command = dying_with_parent(environment.program("python"), "TERM", None);
    let foreign = ["AWS_ENDPOINT_URL", "DATABASE_URL", "RUST_LOG", "PYTHONHOME"];
    for name in FOREIGN_SETTINGS.into_iter().chain(foreign) {
        command.env_remove(name);
    }
    command.args(["-m", "localstack.runtime.main"]);
    let address = format!("127.0.0.1:{}", settings.gateway_port);
    command.envs([
        ("GATEWAY_LISTEN", address.as_str()),
        ("LOCALSTACK_HOST", &address),
        // LocalStack's other server listens on every interface, whatever its configuration.
        ("GATEWAY_SERVER", "hypercorn"),
        ("DNS_ADDRESS", "0"),
        // Queue URLs then have the address that LocalStack listens on, not a name that DNS must
        // resolve.
        ("SQS_ENDPOINT_STRATEGY", "path"),
        ("DISABLE_EVENTS", "1"),
        ("SKIP_SSL_CERT_DOWNLOAD", "1"),
        // In a container that is not LocalStack's own, it would look for folders of its own image.
        ("OVERRIDE_IN_DOCKER", "0"),
    ]);
    let folder = settings.state.join("localstack");
    for name in ["LOCALSTACK_VOLUME_DIR", "XDG_CACHE_HOME", "TMPDIR"] {
        command.env(name, &folder);
    }
    python::customize(&mut command, &settings.root);
    command.current_dir(folder);
    command
}
