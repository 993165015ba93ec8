//! Peak memory of each function, and time to its first response. The release build runs in its own
//! process and is invoked through a stand-in of the runtime API.

mod apis;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use apis::Api;
use hyper::body::Bytes;
use local::demo::token::{Issuer, Role};
use serde::Serialize;
use serde_json::{Value, json};
use shared::clock::{Clock, System};
use sqlx::PgConnection;

use crate::cli::Cli;
use crate::database::{Database, run};
use crate::fleet::{self, Device};
use crate::function::{Function, Measured, Surroundings};
use crate::messaging::{BILLING, EXPIRING, Messaging};
use crate::pipeline::MESSAGES_PER_DELIVERY;
use crate::progress::step;
use crate::throughput::middle;
use crate::token;
use crate::workload::{Collectors, REPORTS_PER_DELIVERY, Rhythm, deliveries, delivery, past_hour};

/// Measurements of one function.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Name of the function's binary.
    pub function: String,
    /// Description of the input.
    pub with: String,
    /// Maximum resident set size (`VmHWM`), in units of 2^20 bytes.
    pub peak_mb: f64,
    /// Milliseconds from the start of the process to its first response.
    pub first_answer_ms: f64,
    pub bound: Bound,
}

impl Memory {
    fn of(measured: Measured, with: String, bound: Bound) -> Self {
        let Measured {
            function,
            peak_mb,
            first_answer_ms,
        } = measured;
        Self {
            function,
            with,
            peak_mb,
            first_answer_ms,
            bound,
        }
    }
}

/// The bar that applies to a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    None,
    /// The peak memory of a queue function.
    Memory,
    /// The time to the first response of an API function.
    FirstAnswer,
}

/// Number of starts of an API function. Their median counts.
const STARTS: usize = 5;
/// Number of batches of 10,000 rows that a queue function processes in succession, to detect memory
/// that grows.
const BATCHES: usize = 3;
/// Maximum size of a delivery. Lambda delivers at most 6 MB.
const LARGEST_DELIVERY_BYTES: usize = 5_800_000;

struct Session<'c> {
    surroundings: Surroundings<'c>,
    connection: PgConnection,
    reports: Vec<String>,
    results: Vec<Memory>,
}

/// Measures every function, in the order in which the pipeline calls them.
pub async fn measure(cli: &Cli) -> Result<Vec<Memory>> {
    let database = step("Memory: creating the database", Database::create(cli, "")).await?;
    let devices = fleet::devices();
    let mut connection = database.connect().await?;
    fleet::seed(&mut connection).await?;
    let surroundings = Surroundings {
        binaries: Path::new(&cli.functions),
        database_url: database.url.clone(),
        messaging: Messaging::start().await?,
        issuer: Issuer::generate()?,
    };
    let mut session = Session {
        surroundings,
        connection,
        reports: reports(&devices)?,
        results: Vec::new(),
    };
    step("Memory: queue functions and their jobs", session.pipeline()).await?;
    step("Memory: other jobs and the API", session.others(&devices)).await?;
    Ok(session.results)
}

/// Enough reports for all deliveries.
fn reports(devices: &[Device]) -> Result<Vec<String>> {
    let rhythm = Rhythm {
        name: "",
        period: std::time::Duration::from_secs(10),
        minutes: 1,
        at_once: 1,
    };
    Collectors::new(devices, 1, past_hour(System.now()))
        .bodies(&rhythm)
        .map(|(bodies, _)| bodies)
}

impl Session<'_> {
    async fn pipeline(&mut self) -> Result<()> {
        let batches = self.take_reports(BATCHES)?;
        self.consume(
            "ingest-usage-report",
            "10,000 usage rows",
            Bound::Memory,
            heartbeat()?,
            batches,
        )
        .await?;
        self.job("bill-traffic", "30,000 usage rows").await?;
        let messages = self.surroundings.messaging.take(BILLING)?;
        let batches = deliveries(&messages, MESSAGES_PER_DELIVERY)?;
        self.consume(
            "apply-user-usage-billing",
            "10,000 billing events",
            Bound::Memory,
            charge()?,
            batches,
        )
        .await?;

        let (largest, rows) = self.largest_delivery()?;
        self.consume(
            "ingest-usage-report",
            &format!("{rows} usage rows, 6 MB"),
            Bound::Memory,
            heartbeat()?,
            vec![largest],
        )
        .await?;
        self.job("bill-traffic", &format!("{rows} usage rows"))
            .await?;
        let messages = self.surroundings.messaging.take(BILLING)?;
        let largest = vec![delivery(messages.get(..20).unwrap_or(&messages))?];
        self.consume(
            "apply-user-usage-billing",
            "20,000 billing events, 5 MB",
            Bound::Memory,
            charge()?,
            largest,
        )
        .await?;
        self.expiry().await
    }

    async fn expiry(&mut self) -> Result<()> {
        let expire = "update telecom.package_queue set expires_at = now() where id <= 100";
        run(&mut self.connection, expire).await?;
        self.job("expire-packages", "100 items past their time")
            .await?;
        let events = self.surroundings.messaging.take(EXPIRING)?;
        ensure!(
            events.len() >= 100,
            "Only {} of 100 packages expired.",
            events.len()
        );
        let batches = deliveries(&events, 100)?;
        let first = delivery(events.get(..1).unwrap_or_default())?;
        self.consume(
            "handle-package-expiring",
            "100 expiring packages",
            Bound::Memory,
            first,
            batches,
        )
        .await
    }

    async fn others(&mut self, devices: &[Device]) -> Result<()> {
        self.job("sweep-outbox", "nothing to send").await?;
        self.job("maintain-storage", "nothing to drop").await?;
        self.job("apply-package-extensions", "nothing to extend")
            .await?;
        self.job("summarize-usage", "all of it").await?;
        self.job("reconcile-usage", "all of it").await?;
        self.job("deliver-webhooks", "no webhooks").await?;
        self.job("migrate", "nothing to apply").await?;
        let device = devices.get(1).context("The fleet has no users.")?;
        let token = token::token(&self.surroundings.issuer, device.user_id, Role::Admin)?;
        let mut apis: Vec<(Api, Vec<Measured>)> = apis::all(&token)?
            .into_iter()
            .map(|api| (api, Vec::new()))
            .collect();
        // In turns, so that a slow phase of the machine affects one start of each.
        for _ in 0..STARTS {
            for (api, starts) in &mut apis {
                starts.push(self.first_answer(api).await?);
            }
        }
        for (api, starts) in apis {
            let measured = Measured {
                function: api.function,
                peak_mb: starts.iter().map(|one| one.peak_mb).fold(0.0, f64::max),
                first_answer_ms: middle(starts.iter().map(|one| one.first_answer_ms)),
            };
            self.results
                .push(Memory::of(measured, api.what, Bound::FirstAnswer));
        }
        Ok(())
    }

    /// Starts an API function and sends it a request.
    async fn first_answer(&self, api: &Api) -> Result<Measured> {
        let mut function = Function::start(&self.surroundings, &api.function).await?;
        let answer = function.invoke(serde_json::to_vec(&api.event)?).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        // What an example asks for need not exist in the database.
        let status = answer.get("statusCode").and_then(Value::as_u64);
        ensure!(
            matches!(status, Some(200 | 404)),
            "{} returned {answer}.",
            api.function
        );
        function.finish().await
    }

    /// Starts a function and invokes it with `first`, then with each of `batches`.
    async fn consume(
        &mut self,
        name: &'static str,
        with: &str,
        bound: Bound,
        first: Vec<u8>,
        batches: Vec<Vec<u8>>,
    ) -> Result<()> {
        let mut function = Function::start(&self.surroundings, name).await?;
        function.invoke(first).await?;
        for batch in batches {
            accepted(name, &function.invoke(batch).await?)?;
        }
        self.results
            .push(Memory::of(function.finish().await?, with.to_owned(), bound));
        Ok(())
    }

    async fn job(&mut self, name: &'static str, with: &str) -> Result<()> {
        self.consume(name, with, Bound::None, b"{}".to_vec(), Vec::new())
            .await
    }

    fn take_reports(&mut self, batches: usize) -> Result<Vec<Vec<u8>>> {
        let taken: Vec<String> = self
            .reports
            .drain(..batches * REPORTS_PER_DELIVERY)
            .collect();
        deliveries(&taken, REPORTS_PER_DELIVERY)
    }

    /// As many reports as fit into 6 MB, and their number of rows.
    fn largest_delivery(&mut self) -> Result<(Vec<u8>, usize)> {
        let mut bytes = 0;
        let fits = |body: &&String| {
            bytes += body.len() + body.matches('"').count() + 600;
            bytes < LARGEST_DELIVERY_BYTES
        };
        let bodies: Vec<String> = self.reports.iter().take_while(fits).cloned().collect();
        let rows = bodies.len() * usize::try_from(fleet::LINES_PER_SERVER)?;
        Ok((delivery(&bodies)?, rows))
    }
}

fn accepted(name: &str, answer: &Bytes) -> Result<()> {
    let answer: Value = serde_json::from_slice(answer)?;
    let failures = answer
        .get("batchItemFailures")
        .and_then(Value::as_array)
        .map(Vec::len);
    ensure!(failures == Some(0), "{name} rejected messages: {answer}");
    Ok(())
}

/// A report without usage, which is the smallest one.
fn heartbeat() -> Result<Vec<u8>> {
    let now = System.now();
    let body = json!({
        "type": "usage.report.v1", "report_id": uuid::Uuid::new_v4(), "server_id": 1,
        "period_start": now, "period_end": now, "usage": []
    });
    delivery(&[body.to_string()])
}

/// A billing event in the format of other publishers, of a user who has no package.
fn charge() -> Result<Vec<u8>> {
    let body = json!({
        "server_id": 1, "user": uuid::Uuid::new_v4(), "billed_download": 1, "billed_upload": 1,
        "time": System.now().timestamp()
    });
    delivery(&[body.to_string()])
}
