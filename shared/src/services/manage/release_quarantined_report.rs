//! `ReleaseQuarantinedReport`: lets the quarantined lines of a report be billed.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, quarantined_report};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::node_settings::check_factor;
use crate::domain::quarantine::QuarantinedReport;
use crate::domain::{reason, within};
use crate::error::{Error, ErrorKind};
use crate::services::Operation;
use crate::services::change::{Change, Work};
use crate::telemetry::Cause;

/// Maximum number of unknown clients that a refusal names.
const MAX_NAMED: i64 = 10;

/// Releases all quarantined lines of a report. They become a report of their own that arrives now,
/// and the next billing run bills them, once, to the items that are active then. A line whose
/// client was known is billed at the factor that the client had when the report arrived.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReleaseQuarantinedReport {
    /// Id of the report in the quarantine.
    pub id: i64,
    /// Factor of the lines whose client the server did not have, 0 to 100 with at most four decimal
    /// places. They are billed without a client. `None` if there are no such lines.
    pub factor: Option<f64>,
    /// Reason in the administrator's words.
    pub reason: String,
}

impl Operation for ReleaseQuarantinedReport {
    const NAME: &'static str = "ReleaseQuarantinedReport";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

/// A released report, and how its lines are billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleasedReport {
    /// The report after the release.
    pub report: QuarantinedReport,
    /// Id of the report with which the lines are billed.
    pub billed_report_id: Uuid,
}

/// What the audit log compares.
#[derive(Serialize)]
struct Audited<'r> {
    #[serde(flatten)]
    report: &'r QuarantinedReport,
    billed_report_id: Option<Uuid>,
    factor: Option<f64>,
}

#[async_trait]
impl Change for ReleaseQuarantinedReport {
    type Output = ReleasedReport;

    fn checked(self) -> Result<Self, Error> {
        within("id", self.id, 1, i64::MAX)?;
        if let Some(factor) = self.factor {
            check_factor("factor", factor)?;
        }
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<ReleasedReport, Error> {
        // A second release waits here, and then finds the report released.
        quarantined_report::lock(tx, self.id)
            .await?
            .ok_or_else(|| self.not_found())?;
        let before = self.find(tx).await?;
        self.check(tx, &before).await?;
        let (now, by) = (work.now, work.actor.user_id.to_string());
        quarantined_report::release(tx, self.id, now, &by, &self.reason).await?;
        let billed_report_id = work.ids.next_id();
        let trace = Cause::current().as_ref().and_then(Cause::header);
        let seq =
            quarantined_report::insert_report(tx, self.id, billed_report_id, now, trace).await?;
        let lines = quarantined_report::copy_lines(tx, self.id, seq, now, self.factor).await?;
        if i64::try_from(lines) != Ok(before.lines) {
            return Err(Error::internal("lines of a released report are missing"));
        }
        let report = self.find(tx).await?;
        self.audit(work, &before, &report, billed_report_id)?;
        Ok(ReleasedReport {
            report,
            billed_report_id,
        })
    }
}

impl ReleaseQuarantinedReport {
    async fn find(&self, tx: &mut Connection) -> Result<QuarantinedReport, Error> {
        let report = quarantined_report::show(tx, &[self.id]).await?.pop();
        report.ok_or_else(|| self.not_found())
    }

    /// Refuses a report that is released, and one that this call cannot bill completely.
    async fn check(&self, tx: &mut Connection, report: &QuarantinedReport) -> Result<(), Error> {
        if report.released_at.is_some() {
            return Err(self.conflict("report_released", "is already released."));
        }
        match (report.lines_without_factor, self.factor) {
            (0, Some(_)) => {
                let accepted = "no value, because each line has the factor of its client";
                Err(Error::parameter("factor", accepted))
            }
            (0, None) | (_, Some(_)) => Ok(()),
            (lines, None) => {
                let clients = quarantined_report::unknown_clients(tx, self.id, MAX_NAMED).await?;
                let clients = clients.iter().flatten().map(ToString::to_string);
                let clients = clients.collect::<Vec<_>>().join(", ");
                let what = format!(
                    "has {lines} lines of node clients that the server did not have, such as \
                     {clients}. State the factor with which these lines are billed."
                );
                Err(self.conflict("factor_required", &what))
            }
        }
    }

    fn audit(
        &self,
        work: &mut Work<'_>,
        before: &QuarantinedReport,
        after: &QuarantinedReport,
        billed_report_id: Uuid,
    ) -> Result<(), Error> {
        let before = Audited {
            report: before,
            billed_report_id: None,
            factor: None,
        };
        let after = Audited {
            report: after,
            billed_report_id: Some(billed_report_id),
            factor: self.factor,
        };
        let target = Target::QuarantinedReport(self.id);
        work.changed(target, &before, &after, Some(&self.reason))
    }

    fn conflict(&self, code: &'static str, what: &str) -> Error {
        let message = format!("Quarantined report {} {what}", self.id);
        Error::new(ErrorKind::Conflict, code, message)
    }

    fn not_found(&self) -> Error {
        Error::not_found(&format!("Quarantined report {}", self.id))
    }
}
