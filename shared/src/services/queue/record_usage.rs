//! Records usage reports, each once, whichever queue they came from.

mod fleet;
mod records;

use chrono::{DateTime, TimeDelta, Utc};

use crate::db::Connection;
use crate::db::usage_report::ReportKey;
use crate::domain::line_rate::LineRate;
use crate::error::Error;
use crate::events::usage_report::UsageReport;
use crate::services::Outcomes;
use crate::telemetry::Cause;
pub(super) use fleet::Fleet;
use records::Records;
pub(super) use records::{Record, Recorded};

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
    /// What caused the message of the report. `None` if that is unknown.
    pub cause: Option<Cause>,
}

impl HashedReport {
    /// The key under which the report is recorded once.
    pub(super) fn key(&self) -> ReportKey {
        ReportKey {
            report_id: self.report.report_id,
            node_server_id: self.report.server_id,
        }
    }
}

/// Records those of `reports` whose check succeeded. Returns the checks of all reports, and what
/// was recorded.
pub(super) async fn record(
    tx: &mut Connection,
    reports: &[&HashedReport],
    mut checks: Outcomes,
    fleet: &Fleet,
    line_rate: LineRate,
    now: DateTime<Utc>,
) -> Result<(Outcomes, Recorded), Error> {
    let acceptable = reports
        .iter()
        .zip(&checks)
        .filter(|(_, check)| check.is_ok())
        .map(|(hashed, _)| *hashed);
    let mut recorded = Records::new(acceptable, fleet, line_rate)
        .write(tx, now)
        .await?;
    recorded.add_earlier(tx, reports, &mut checks).await?;
    Ok((checks, recorded))
}
