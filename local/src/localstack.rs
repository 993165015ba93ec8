//! `LocalStack`, without an account: queues, a bus and a way to deploy them. What it lacks is
//! driven from here.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde::Deserialize;

use crate::deploy::Outputs;
use crate::ministack::{FOREIGN_SETTINGS, as_client};
use crate::net;
use crate::process::{Service, ServiceSpec, dying_with_parent, output};
use crate::python::Environment;
use crate::settings::{STACK_NAME, START_LIMIT, Settings, private_folder};

/// A running LocalStack, stopped when dropped.
#[derive(Debug)]
pub struct LocalStack {
    service: Service,
}

/// What `local/python/localstack_deploy.py` says.
#[derive(Debug, Deserialize)]
pub struct Deployed {
    /// The outputs of the stack that are about queues and the bus.
    pub outputs: Outputs,
    /// Which function is fed by which queue.
    pub consumers: Vec<Consumer>,
    /// Which function runs when.
    pub schedules: Vec<Schedule>,
}

/// An event source mapping.
#[derive(Debug, Clone, Deserialize)]
pub struct Consumer {
    /// Package of the function.
    pub function: String,
    /// The queue.
    pub queue_url: String,
    /// Messages in a delivery, at most.
    pub batch_size: usize,
}

/// A schedule.
#[derive(Debug, Clone, Deserialize)]
pub struct Schedule {
    /// Package of the function.
    pub function: String,
    /// As EventBridge Scheduler has it.
    pub expression: String,
}

impl LocalStack {
    /// Starts it, empty.
    pub fn start(settings: &Settings, environment: &Environment) -> Result<Self> {
        settings.create_state()?;
        net::check_port(
            settings.gateway_port,
            "the AWS endpoint",
            "--port or TELECOM_PORT",
        )?;
        private_folder(&settings.state.join("localstack"))?;
        let spec = ServiceSpec {
            name: "LocalStack",
            stop_with: Signal::TERM,
            grace: Duration::from_secs(20),
            log: settings.log("localstack"),
        };
        let mut service = Service::start(spec, command(settings, environment))?;
        let health = format!("{}/_localstack/health", settings.endpoint());
        service.wait_until(START_LIMIT, || ureq::get(&health).call().is_ok())?;
        Ok(Self { service })
    }

    /// Deploys the queues and the bus of the template.
    pub fn deploy(&self, settings: &Settings, environment: &Environment) -> Result<Deployed> {
        let mut command = Command::new(environment.program("python"));
        as_client(&mut command, settings);
        command.arg(settings.root.join("local/python/localstack_deploy.py"));
        command
            .arg(settings.root.join("template.yaml"))
            .arg(STACK_NAME);
        let said = output(&mut command, "deploy the queues and the bus to LocalStack")?;
        serde_json::from_str(&said).context("What is deployed is not told as JSON")
    }

    /// An error if it has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        self.service.check_alive()
    }

    /// Stops it; what it holds is gone.
    pub fn stop(&mut self) -> bool {
        self.service.stop()
    }
}

fn command(settings: &Settings, environment: &Environment) -> Command {
    let mut command = dying_with_parent(environment.program("python"), "TERM", None);
    for name in FOREIGN_SETTINGS.iter().chain(&[
        "AWS_ENDPOINT_URL",
        "DATABASE_URL",
        "RUST_LOG",
        "PYTHONHOME",
    ]) {
        command.env_remove(name);
    }
    command.args(["-m", "localstack.runtime.main"]);
    let address = format!("127.0.0.1:{}", settings.gateway_port);
    command
        .env("GATEWAY_LISTEN", &address)
        .env("LOCALSTACK_HOST", &address);
    // Its other server listens on every interface, whatever it is told.
    command
        .env("GATEWAY_SERVER", "hypercorn")
        .env("DNS_ADDRESS", "0");
    // Queues are at the address that it listens on, not at a name that must be asked for elsewhere.
    command.env("SQS_ENDPOINT_STRATEGY", "path");
    command
        .env("DISABLE_EVENTS", "1")
        .env("SKIP_SSL_CERT_DOWNLOAD", "1");
    // In a container of other people it would look for folders that its own image has.
    command
        .env("OVERRIDE_IN_DOCKER", "0")
        .env("LOCALSTACK_VOLUME_DIR", settings.state.join("localstack"));
    command
        .env("XDG_CACHE_HOME", settings.state.join("localstack"))
        .env("TMPDIR", settings.state.join("localstack"));
    command.env("PYTHONPATH", settings.root.join("local").join("python"));
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(settings.state.join("localstack"));
    command
}
