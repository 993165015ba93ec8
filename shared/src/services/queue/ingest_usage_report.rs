//! `IngestUsageReports`: writes raw rows, report ids, heartbeats and metrics of a batch of reports
//! in one transaction.

mod fleet;
mod record;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::config::TelecomConfig;
use crate::db::usage_report::ReportKey;
use crate::db::{self, Connection};
use crate::domain::line_rate::LineRate;
use crate::error::Error;
use crate::events::usage_report::UsageReport;
use crate::services::{Batch, Consumer, Outcomes, Processor, Received};
use fleet::Fleet;
use record::{Recorded, Records};

/// Records usage reports, each once.
#[derive(Debug, Clone)]
pub struct IngestUsageReports {
    pool: PgPool,
    context: Context,
    line_rate: LineRate,
}

impl IngestUsageReports {
    /// A consumer with a database and the default line rate.
    #[must_use]
    pub fn new(pool: PgPool, context: Context) -> Self {
        Self {
            pool,
            context,
            line_rate: LineRate::default(),
        }
    }

    /// Applies the rules of a deployment.
    #[must_use]
    pub fn with_config(self, config: &TelecomConfig) -> Self {
        Self {
            line_rate: config.node_line_rate,
            ..self
        }
    }
}

#[async_trait]
impl FromApp for IngestUsageReports {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.context()).with_config(&app.config()?))
    }
}

/// A report with the attributes of its message and the hash of its payload.
#[derive(Debug, Clone, PartialEq)]
pub struct HashedReport {
    /// The parsed and validated body of the message.
    pub report: UsageReport,
    /// When the server was alive: the end of the period, but not later than the report was sent,
    /// and not later than now.
    pub seen_at: DateTime<Utc>,
    /// The end of the period minus the time at which the report was sent. `None` if the message has
    /// no such time.
    pub clock_skew: Option<TimeDelta>,
    /// The principal that sent the message. `None` if the message does not name it.
    pub sender_id: Option<String>,
    /// SHA-256 of the payload.
    pub payload_hash: Vec<u8>,
}

impl HashedReport {
    /// The key under which the report is recorded once.
    fn key(&self) -> ReportKey {
        ReportKey {
            report_id: self.report.report_id,
            node_server_id: self.report.server_id,
        }
    }
}

impl Consumer for IngestUsageReports {
    type Message = HashedReport;

    fn parse(&self, received: &Received, body: &str) -> Result<HashedReport, Error> {
        let now = self.context.now();
        let report = UsageReport::parse(body, now)?;
        let seen_at = report
            .period_end
            .min(received.sent_at.unwrap_or(now))
            .min(now);
        let clock_skew = received.sent_at.map(|sent_at| report.period_end - sent_at);
        let payload_hash = report.payload_hash();
        Ok(HashedReport {
            report,
            seen_at,
            clock_skew,
            sender_id: received.sender_id.clone(),
            payload_hash,
        })
    }
}

#[async_trait]
impl Processor<Batch<HashedReport>> for IngestUsageReports {
    type Output = Outcomes;

    #[tracing::instrument(name = "ingest_usage_reports", skip_all, fields(reports = reports.len()))]
    async fn process(&self, reports: Batch<HashedReport>) -> Result<Outcomes, Error> {
        let reports: Vec<&HashedReport> = reports.iter().map(AsRef::as_ref).collect();
        let work = async |tx: &mut Connection| self.record(tx, &reports).await;
        let (checks, recorded) = db::write_tx(&self.pool, "ingest_usage_reports", work).await?;
        recorded.log();
        let outcomes = reports
            .iter()
            .zip(checks)
            .map(|(hashed, check)| check.and_then(|()| recorded.check(hashed)));
        Ok(outcomes.collect())
    }
}

impl IngestUsageReports {
    /// Records the acceptable reports. Returns the outcome of each report, and what was recorded.
    async fn record(
        &self,
        tx: &mut Connection,
        reports: &[&HashedReport],
    ) -> Result<(Outcomes, Recorded), Error> {
        let now = self.context.now();
        let fleet = Fleet::read(tx, reports).await?;
        let senders = fleet::check_senders(tx, reports).await?;
        let check = |(hashed, sender): (&&HashedReport, Result<(), Error>)| {
            sender.and_then(|()| fleet.check_server(&hashed.report))
        };
        let mut checks: Outcomes = reports.iter().zip(senders).map(check).collect();
        let acceptable = reports
            .iter()
            .zip(&checks)
            .filter(|(_, check)| check.is_ok())
            .map(|(hashed, _)| *hashed);
        let mut recorded = Records::new(acceptable, &fleet, self.line_rate)
            .write(tx, now)
            .await?;
        recorded.add_earlier(tx, reports, &mut checks).await?;
        Ok((checks, recorded))
    }
}
