//! A function in a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use hyper::body::Bytes;
use tokio::process::{Child, Command};

use super::{Bound, Memory};
use crate::messaging::{BILLING, BUS, EXPIRING, Messaging, REGION};
use crate::peak::peak_mb;
use crate::token;
use local::emulator::localstack::runtime_api::RuntimeApi;

/// What a function finds around it.
pub struct Surroundings<'c> {
    /// The folder with the release build.
    pub binaries: &'c Path,
    /// The database.
    pub database_url: String,
    /// The queues and the bus.
    pub messaging: Messaging,
    /// Whose tokens are believed.
    pub issuer: token::Issuer,
}

impl Surroundings<'_> {
    /// What template.yaml and Lambda put into a function's environment.
    fn environment(&self, name: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "bench".to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "bench".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "bench".to_owned()),
            ("AWS_ENDPOINT_URL", self.messaging.endpoint()),
            ("DATABASE_URL", self.database_url.clone()),
            (
                "TELECOM_USER_USAGE_BILLING_QUEUE_URL",
                self.messaging.queue_url(BILLING),
            ),
            (
                "TELECOM_PACKAGE_EXPIRING_QUEUE_URL",
                self.messaging.queue_url(EXPIRING),
            ),
            ("TELECOM_EVENT_BUS_NAME", BUS.to_owned()),
        ]
    }
}

/// A running function. It ends when this is dropped.
#[derive(Debug)]
pub struct Function {
    name: &'static str,
    process: Child,
    runtime: RuntimeApi,
    log: PathBuf,
    started: Instant,
    first_answer: Option<Instant>,
}

impl Function {
    /// Starts it.
    pub async fn start(surroundings: &Surroundings<'_>, name: &'static str) -> Result<Self> {
        let binary = surroundings.binaries.join(name);
        let runtime = RuntimeApi::start(name).await?;
        let log = std::env::temp_dir().join(format!("telecom-bench-{name}.log"));
        let output = fs::File::create(&log)
            .with_context(|| format!("{} cannot be written.", log.display()))?;
        let started = Instant::now();
        let process = Command::new(&binary)
            .env_clear()
            .envs(surroundings.environment(name))
            .envs(surroundings.issuer.environment())
            .env("AWS_LAMBDA_RUNTIME_API", runtime.address.to_string())
            .stdin(Stdio::null())
            .stdout(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!(
                    "{} cannot be started. `make build` builds it.",
                    binary.display()
                )
            })?;
        Ok(Self {
            name,
            process,
            runtime,
            log,
            started,
            first_answer: None,
        })
    }

    /// Hands it an event and waits for the answer.
    pub async fn invoke(&mut self, event: Vec<u8>) -> Result<Bytes> {
        let (at, body) = tokio::select! {
            answer = self.runtime.invoke(event) => answer.with_context(|| format!("{} gave no \
                answer; its log is {}.", self.name, self.log.display()))?,
            ended = self.process.wait() => bail!("{} ended by itself ({}); its log is {}.",
                self.name, ended?, self.log.display()),
        };
        self.first_answer.get_or_insert(at);
        Ok(body)
    }

    /// Reads its peak memory and ends it.
    pub async fn finish(mut self, with: String, bound: Bound) -> Result<Memory> {
        let peak_mb = peak_mb(&self.process)?;
        self.process.kill().await?;
        let first_answer = self
            .first_answer
            .unwrap_or(self.started)
            .duration_since(self.started);
        Ok(Memory {
            function: self.name,
            with,
            peak_mb,
            first_answer_ms: first_answer.as_secs_f64() * 1e3,
            bound,
        })
    }
}
