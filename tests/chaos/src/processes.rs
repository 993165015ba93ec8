//! Worker processes, which the harness starts, invokes and kills.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use local::demo::token::{AUDIENCE, ISSUER};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::cloud::{BILLING, BUS, EXPIRING, queue_url};
use crate::protocol::{Function, Invocation, Outcome, Reply};
use crate::proxy::Link;

/// What all workers need: their program, the endpoint of the cloud, and the folder of their logs.
#[derive(Debug, Clone)]
pub struct Environment {
    pub program: PathBuf,
    pub endpoint: SocketAddr,
    pub logs: PathBuf,
    /// JSON Web Key Set of the issuer of the operator's tokens.
    pub key_set: String,
}

/// A worker. It has at most one process at a time, which handles one invocation at a time.
#[derive(Debug)]
pub struct Worker {
    pub name: String,
    function: Function,
    environment: Environment,
    link: Arc<Link>,
    process: Option<Process>,
    started: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    requests: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
}

/// The input of an invocation.
#[derive(Debug)]
pub struct Call {
    pub now: DateTime<Utc>,
    pub speed: i32,
    pub time: Duration,
    pub event: Option<Value>,
}

impl Worker {
    pub fn new(
        function: Function,
        index: usize,
        environment: Environment,
        link: Arc<Link>,
    ) -> Self {
        let name = format!("{function}-{index}");
        Self {
            name,
            function,
            environment,
            link,
            process: None,
            started: Arc::default(),
        }
    }

    /// Invokes the function. Returns an error if the process ended before it replied. The next call
    /// then starts another process.
    pub async fn invoke(&mut self, call: Call) -> Result<Outcome> {
        // Lambda kills a function that exceeds its time.
        let limit = call.time + Duration::from_secs(2);
        let result = match timeout(limit, self.exchange(call)).await {
            Ok(result) => result,
            Err(_) => Err(anyhow::anyhow!(
                "{} did not reply within {limit:?}",
                self.name
            )),
        };
        if result.is_err() {
            self.stop().await;
        }
        result
    }

    async fn exchange(&mut self, call: Call) -> Result<Outcome> {
        let id = self.started.fetch_add(1, Ordering::Relaxed);
        let time_ms = u64::try_from(call.time.as_millis())?;
        let now_us = call.now.timestamp_micros();
        let invocation = Invocation {
            id,
            now_us,
            speed: call.speed,
            time_ms,
            event: call.event,
        };
        let line = format!("{}\n", serde_json::to_string(&invocation)?);
        if self.process.is_none() {
            self.process = Some(self.start()?);
        }
        let process = self.process.as_mut().context("There is no process.")?;
        process.requests.write_all(line.as_bytes()).await?;
        let reply = process
            .replies
            .next_line()
            .await?
            .context("The process has ended.")?;
        let reply: Reply = serde_json::from_str(&reply)
            .with_context(|| format!("{} replied {reply:?}", self.name))?;
        if reply.id != id {
            bail!("{} replied to another invocation.", self.name);
        }
        Ok(reply.outcome)
    }

    fn start(&self) -> Result<Process> {
        let log = log_file(&self.environment.logs, &self.name)?;
        let endpoint = format!("http://{}", self.environment.endpoint);
        let url = format!(
            "postgres://telecom@{}/telecom?sslmode=disable&application_name={}",
            self.link.address(),
            self.name
        );
        let mut command = Command::new(&self.environment.program);
        command
            .arg(self.function.to_string())
            .env("DATABASE_URL", url)
            .env("DATABASE_ROLE", self.function.database_role())
            .env("TELECOM_AUTH_ISSUER", ISSUER)
            .env("TELECOM_AUTH_AUDIENCE", AUDIENCE)
            .env("TELECOM_AUTH_JWKS", &self.environment.key_set)
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "chaos")
            .env("AWS_SECRET_ACCESS_KEY", "chaos")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env(
                "TELECOM_USER_USAGE_BILLING_QUEUE_URL",
                queue_url(&endpoint, BILLING),
            )
            .env(
                "TELECOM_PACKAGE_EXPIRING_QUEUE_URL",
                queue_url(&endpoint, EXPIRING),
            )
            .env("TELECOM_EVENT_BUS_NAME", BUS)
            // The longest packages last for three hours.
            .env("TELECOM_EXPIRY_NOTICE_HOURS", "1,2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .with_context(|| format!("Cannot start {}", self.environment.program.display()))?;
        self.link
            .pid
            .store(child.id().unwrap_or_default(), Ordering::SeqCst);
        let requests = child
            .stdin
            .take()
            .context("The process has no standard input.")?;
        let replies = BufReader::new(
            child
                .stdout
                .take()
                .context("The process has no standard output.")?,
        )
        .lines();
        Ok(Process {
            child,
            requests,
            replies,
        })
    }

    async fn stop(&mut self) {
        self.link.pid.store(0, Ordering::SeqCst);
        if let Some(mut process) = self.process.take() {
            // The process may have been killed before.
            let _ = process.child.kill().await;
        }
    }
}

fn log_file(folder: &Path, name: &str) -> Result<File> {
    let path = folder.join(format!("{name}.log"));
    let mut options = File::options();
    options
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("Cannot write {}", path.display()))
}

/// The Lambda event of a delivery of `messages`.
pub fn sqs_event(messages: &[crate::cloud::queue::Message]) -> Value {
    let records: Vec<Value> = messages
        .iter()
        .map(|message| {
            serde_json::json!({
                "messageId": message.id.to_string(),
                "receiptHandle": "chaos",
                "body": &*message.body,
                "attributes": {"SentTimestamp": message.sent_at.timestamp_millis().to_string(),
                    "SenderId": "chaos"},
            })
        })
        .collect();
    serde_json::json!({ "Records": records })
}

pub fn skewed(time: DateTime<Utc>, skew_ms: i64) -> DateTime<Utc> {
    time + TimeDelta::milliseconds(skew_ms)
}
