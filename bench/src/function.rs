//! A function in its own process.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use hyper::body::Bytes;
use local::demo::token::Issuer;
use local::emulator::localstack::runtime_api::RuntimeApi;
use tokio::process::Child;

use crate::messaging::{BILLING, BUS, EXPIRING, Messaging, NODE_USAGE, REGION};
use crate::process::{peak_mb, spawn};
use crate::token;

/// What a function needs to run.
pub struct Surroundings<'c> {
    /// Folder with the release build.
    pub binaries: &'c Path,
    pub database_url: String,
    pub messaging: Messaging,
    /// Issuer whose tokens functions accept.
    pub issuer: Issuer,
}

impl Surroundings<'_> {
    /// Environment variables that template.yaml and Lambda set.
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
            (
                "TELECOM_NODE_USAGE_QUEUE_URL",
                self.messaging.queue_url(NODE_USAGE),
            ),
            ("TELECOM_EVENT_BUS_NAME", BUS.to_owned()),
        ]
    }
}

/// What one process of a function needed.
#[derive(Debug)]
pub struct Measured {
    /// Name of the function's binary.
    pub function: String,
    /// Maximum resident set size (`VmHWM`), in units of 2^20 bytes.
    pub peak_mb: f64,
    /// Milliseconds from the start of the process to its first response.
    pub first_answer_ms: f64,
}

/// A running function. Dropping it kills the process.
#[derive(Debug)]
pub struct Function {
    name: String,
    process: Child,
    runtime: RuntimeApi,
    log: PathBuf,
    started: Instant,
    first_answer: Option<Instant>,
}

impl Function {
    pub async fn start(surroundings: &Surroundings<'_>, name: &str) -> Result<Self> {
        Self::start_copy(surroundings, name, name, Vec::new()).await
    }

    /// Starts one of several processes of a function. `log` is part of the name of its log file.
    /// `other` replaces environment variables.
    pub async fn start_copy(
        surroundings: &Surroundings<'_>,
        name: &str,
        log: &str,
        other: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let runtime = RuntimeApi::start(name).await?;
        let log = std::env::temp_dir().join(format!("telecom-bench-{log}.log"));
        let binary = surroundings.binaries.join(name);
        let runtime_api = ("AWS_LAMBDA_RUNTIME_API", runtime.address.to_string());
        let variables = surroundings.environment(name).into_iter();
        let environment = variables
            .chain(token::environment(&surroundings.issuer)?)
            .chain([runtime_api])
            .chain(other);
        let started = Instant::now();
        let process = spawn(&binary, &log, environment)?;
        Ok(Self {
            name: name.to_owned(),
            process,
            runtime,
            log,
            started,
            first_answer: None,
        })
    }

    /// Invokes the function and returns its response.
    pub async fn invoke(&mut self, event: Vec<u8>) -> Result<Bytes> {
        let (at, body) = tokio::select! {
            response = self.runtime.invoke(event) => response.with_context(|| format!("{} did not \
                respond. Its log is {}.", self.name, self.log.display()))?,
            ended = self.process.wait() => bail!("{} ended by itself ({}). Its log is {}.",
                self.name, ended?, self.log.display()),
        };
        self.first_answer.get_or_insert(at);
        Ok(body)
    }

    /// Reads the measurements and kills the process.
    pub async fn finish(mut self) -> Result<Measured> {
        let peak_mb = peak_mb(&self.process)?;
        self.process.kill().await?;
        let answered_at = self.first_answer.unwrap_or(self.started);
        let first_answer = answered_at.duration_since(self.started);
        Ok(Measured {
            function: self.name,
            peak_mb,
            first_answer_ms: first_answer.as_secs_f64() * 1e3,
        })
    }
}
