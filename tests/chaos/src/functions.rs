//! Invokes the functions as Lambda does: consumers with deliveries from their queues, API functions
//! with requests, and jobs every minute.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;
use shared::clock::Clock as _;

use crate::cloud::Inner;
use crate::cloud::queue::{Message, Origin, Queue};
use crate::desk::{Answer, Waiting};
use crate::processes::{Call, Worker, skewed, sqs_event};
use crate::protocol::{Function, Outcome};
use crate::proxy::{Armed, Fault, Link};
use crate::random::Random;
use crate::run::{Run, lock};

/// How long a delivery may take.
const TIME: Duration = Duration::from_secs(10);
/// How long a run of a job may take.
const JOB_TIME: Duration = Duration::from_secs(30);
/// Maximum deviation of a worker's clock, in milliseconds.
const SKEW_MS: i64 = 50_000;

/// A worker and the state of its invocations.
#[derive(Debug)]
pub struct Driver {
    pub run: Arc<Run>,
    pub worker: Worker,
    pub link: Arc<Link>,
    pub function: Function,
    pub random: Random,
    pub skew_ms: i64,
    /// When the last successful invocation began. A connection that was cut since then fails the
    /// next invocation.
    pub succeeded_at: Instant,
}

/// The result of an invocation.
struct Invoked {
    outcome: Result<Outcome>,
    began: Instant,
    /// If the invocation failed, a fault of the harness is the likely reason.
    disturbed: bool,
}

impl Driver {
    /// Invokes the worker until the run is over.
    ///
    /// Returns the worker alive, so that the state of its connection can be checked afterwards.
    pub async fn drive(mut self) -> Result<Self> {
        match self.function {
            Function::IngestUsageReport => self.consume(|cloud| &cloud.reports, 20).await,
            Function::IngestNodeUsage => self.consume(|cloud| &cloud.node_usage, 20).await,
            Function::ApplyUserUsageBilling => self.consume(|cloud| &cloud.billing, 20).await,
            Function::HandlePackageExpiring => self.consume(|cloud| &cloud.expiring, 60).await,
            Function::DeliverPackageOrder => self.consume(|cloud| &cloud.orders, 10).await,
            Function::Manage => self.serve().await,
            _ => self.repeat().await?,
        }
        Ok(self)
    }

    async fn consume(&mut self, queue: fn(&Inner) -> &Queue, most: usize) {
        let run = Arc::clone(&self.run);
        let queue = queue(&run.cloud);
        while !run.is_over() {
            let batch = queue.receive(self.random.index(1..=most));
            if batch.is_empty() {
                tokio::time::sleep(Duration::from_millis(30)).await;
                continue;
            }
            self.deliver(queue, batch).await;
        }
    }

    async fn deliver(&mut self, queue: &Queue, batch: Vec<Message>) {
        for message in &batch {
            if let Origin::Report(id) = message.origin {
                self.run.ledger.delivered(id);
            }
        }
        // Some invocations run out of time in the middle of the work.
        let runs_out_of_time = self.run.is_storm() && self.random.chance(40);
        let time = if runs_out_of_time {
            self.time_that_runs_out()
        } else {
            TIME
        };
        let invoked = self.invoke(time, Some(sqs_event(&batch))).await;
        let failed: HashSet<String> = match &invoked.outcome {
            Ok(Outcome::Delivered { failed }) => failed.iter().cloned().collect(),
            _ => batch.iter().map(|message| message.id.to_string()).collect(),
        };
        for message in batch
            .iter()
            .filter(|message| !failed.contains(&message.id.to_string()))
        {
            match message.origin {
                Origin::Report(id) => self.run.ledger.accepted(id),
                Origin::Order(id) => self.run.ledger.order_accepted(id),
                _ => {}
            }
        }
        let innocent = |message: &&Message| self.is_innocent(&message.origin);
        let all_failed = batch
            .iter()
            .filter(innocent)
            .all(|message| failed.contains(&message.id.to_string()));
        let disturbed = invoked.disturbed || runs_out_of_time;
        if !(all_failed && batch.iter().any(|message| innocent(&message))) {
            self.succeeded(invoked.began);
        } else if !disturbed {
            self.unexplained(&format!("{:?}", invoked.outcome));
        }
        queue.end_delivery(batch, &failed, disturbed);
    }

    /// Whether a function must accept a message of this origin.
    fn is_innocent(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Poison(_) => false,
            Origin::Report(id) => {
                let books = self.run.ledger.open();
                let report = books.reports.get(id);
                !report.is_some_and(|report| books.may_be_refused(report))
            }
            _ => true,
        }
    }

    /// Serves the operator's requests until the run is over.
    async fn serve(&mut self) {
        let run = Arc::clone(&self.run);
        while !run.is_over() {
            match run.desk.next() {
                Some(request) => self.answer(request).await,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn answer(&mut self, request: Waiting) {
        let runs_out_of_time = self.run.is_storm() && self.random.chance(30);
        let time = if runs_out_of_time {
            self.time_that_runs_out()
        } else {
            TIME
        };
        let invoked = self.invoke(time, Some(request.event.clone())).await;
        let answer = match &invoked.outcome {
            Ok(Outcome::Answered { status, body }) => Some(Answer {
                status: *status,
                body: body.clone(),
            }),
            _ => None,
        };
        if answer.as_ref().is_some_and(Answer::is_definite) {
            self.succeeded(invoked.began);
        } else if !(invoked.disturbed || runs_out_of_time) {
            self.unexplained(&format!("{:?}", invoked.outcome));
        }
        // The connection to the caller breaks before the answer arrives.
        let is_lost = self.run.is_storm() && self.random.chance(40);
        request.answer(answer.filter(|_| !is_lost));
    }

    /// A time limit that expires while BEGIN, COMMIT or a statement waits for its response.
    fn time_that_runs_out(&mut self) -> Duration {
        let faults = [Fault::StallBegin, Fault::StallCommit, Fault::Stall];
        if let Some(&fault) = self.random.pick(&faults).filter(|_| !self.link.is_armed()) {
            let passes = if fault == Fault::Stall {
                self.random.int(0..=8)
            } else {
                0
            };
            let passes = u32::try_from(passes).unwrap_or_default();
            self.link.arm(Some(Armed {
                fault,
                passes,
                bytes: 0,
                stall: Duration::from_secs(2),
            }));
        }
        self.random.millis(501..=800)
    }

    async fn repeat(&mut self) -> Result<()> {
        let minute = Duration::from_mins(1) / u32::try_from(self.run.plan.speed)?;
        while self.run.has_jobs() {
            tokio::time::sleep(
                minute.mul_f64(f64::from(u32::try_from(self.random.int(700..=1_300))?) / 1_000.0),
            )
            .await;
            let invoked = self.invoke(JOB_TIME, None).await;
            match &invoked.outcome {
                Ok(Outcome::Done { report }) => self.job_done(report, &invoked),
                other if !invoked.disturbed => self.unexplained(&format!("{other:?}")),
                _ => {}
            }
        }
        Ok(())
    }

    fn succeeded(&mut self, began: Instant) {
        self.succeeded_at = began;
        self.link.disturbed.store(false, Ordering::SeqCst);
    }

    fn job_done(&mut self, report: &Value, invoked: &Invoked) {
        self.succeeded(invoked.began);
        let complete = report
            .get("complete")
            .and_then(Value::as_bool)
            .unwrap_or(true);
        if self.function == Function::ExpirePackages && complete && !invoked.disturbed {
            lock(&self.run.expiries).push((invoked.began, Instant::now()));
        }
    }

    async fn invoke(&mut self, time: Duration, event: Option<Value>) -> Invoked {
        if self.run.is_storm() && self.random.chance(20) {
            // The skew is symmetric, so the clock steps back as often as forward.
            self.skew_ms = self.random.int(-SKEW_MS..=SKEW_MS);
        } else if !self.run.is_storm() {
            self.skew_ms = 0;
        }
        let now = skewed(self.run.clock.now(), self.skew_ms);
        let began = Instant::now();
        self.run.invoked();
        self.link.invocation_begins();
        let outcome = self
            .worker
            .invoke(Call {
                now,
                speed: self.run.plan.speed,
                time,
                event,
            })
            .await;
        self.link.invocation_ends();
        let disturbed =
            self.link.disturbed.load(Ordering::SeqCst) || !self.run.was_up_since(self.succeeded_at);
        Invoked {
            outcome,
            began,
            disturbed,
        }
    }

    /// Records a failure that no fault of this worker explains. The cause may be a lock that a
    /// disturbed worker left behind.
    fn unexplained(&self, what: &str) {
        self.run.count("invocations that failed undisturbed");
        let name = &self.worker.name;
        let what: String = what.chars().take(300).collect();
        if self.run.counted("invocations that failed undisturbed") <= 10 {
            eprintln!("  note: {name}: {what}");
        }
        if !self.run.is_storm() && self.function.is_job() {
            self.run
                .finding("a job fails in calm weather", || format!("{name}: {what}"));
        }
    }
}

/// The functions and the number of workers of each.
pub const WORKERS: [(Function, usize); 13] = [
    (Function::IngestUsageReport, 3),
    (Function::IngestNodeUsage, 2),
    (Function::ApplyUserUsageBilling, 4),
    (Function::HandlePackageExpiring, 2),
    (Function::DeliverPackageOrder, 2),
    (Function::Manage, 3),
    (Function::BillTraffic, 2),
    (Function::ExpirePackages, 2),
    (Function::ApplyPackageExtensions, 2),
    (Function::SummarizeUsage, 2),
    (Function::SweepOutbox, 2),
    (Function::RefreshServerStatus, 2),
    (Function::MaintainStorage, 2),
];
