//! `IngestUsageReports`: writes raw rows, report ids, heartbeats and metrics of a batch of reports
//! in one transaction.

use async_trait::async_trait;
use sqlx::PgPool;

pub use super::record_usage::HashedReport;

use super::record_usage::{Fleet, Recorded, record};
use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::config::TelecomConfig;
use crate::db::report_sender::{self, SenderOfServer};
use crate::db::{self, Connection};
use crate::domain::dead_letter::Queue;
use crate::domain::line_rate::LineRate;
use crate::error::{Error, ErrorKind};
use crate::events::usage_report::UsageReport;
use crate::services::{Batch, Consumer, Outcomes, Processor, Received};

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

impl Consumer for IngestUsageReports {
    type Message = HashedReport;
    const QUEUE: Queue = Queue::UsageReport;

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
            cause: received.cause.clone(),
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
        Ok(recorded.outcomes(&reports, checks))
    }
}

impl IngestUsageReports {
    /// Records the acceptable reports. Returns the outcome of each report, and what was recorded.
    async fn record(
        &self,
        tx: &mut Connection,
        reports: &[&HashedReport],
    ) -> Result<(Outcomes, Recorded), Error> {
        let servers = reports.iter().map(|hashed| hashed.report.server_id);
        let fleet = Fleet::read(tx, servers).await?;
        let senders = check_senders(tx, reports).await?;
        let check = |(hashed, sender): (&&HashedReport, Result<(), Error>)| {
            sender.and_then(|()| fleet.check_server(&hashed.report))
        };
        let checks: Outcomes = reports.iter().zip(senders).map(check).collect();
        let now = self.context.now();
        record(tx, reports, checks, &fleet, self.line_rate, now).await
    }
}

/// Checks for each report whether its sender may report for its server.
async fn check_senders(
    connection: &mut Connection,
    reports: &[&HashedReport],
) -> Result<Vec<Result<(), Error>>, Error> {
    let pairs: Vec<SenderOfServer<'_>> = reports
        .iter()
        .map(|hashed| SenderOfServer {
            sender_id: hashed.sender_id.as_deref(),
            node_server_id: hashed.report.server_id,
        })
        .collect();
    let forbidden = report_sender::forbidden(connection, &pairs).await?;
    let check = |(position, _): (usize, &&HashedReport)| {
        let is_forbidden = forbidden.contains(&position);
        if is_forbidden {
            Err(Error::new(
                ErrorKind::PermissionDenied,
                "sender_not_allowed",
                "The sender is not allowed to report for this node server.",
            ))
        } else {
            Ok(())
        }
    };
    Ok(reports.iter().enumerate().map(check).collect())
}
