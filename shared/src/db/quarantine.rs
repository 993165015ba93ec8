//! Reports, or lines of reports, that are not billed until an administrator releases them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::copy::Copy;
use super::{Connection, column, statements};
use crate::domain::quarantine::QuarantineReason;
use crate::domain::traffic::Factor;
use crate::error::Error;

/// A report to store, of which all or some lines are quarantined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewQuarantinedReport<'r> {
    /// The `seq` of the report in `usage_report`.
    pub usage_report_seq: i64,
    /// The id that the collector assigned.
    pub report_id: Uuid,
    /// The server that the report is about.
    pub node_server_id: i32,
    /// SQS's `SenderId`. `None` if the queue did not provide it.
    pub sender_id: Option<&'r str>,
    /// Start of the period, inclusive.
    pub period_start: DateTime<Utc>,
    /// End of the period, exclusive.
    pub period_end: DateTime<Utc>,
    /// Why the report is in quarantine.
    pub reason: QuarantineReason,
}

statements! {
    /// Inserts quarantined reports. Their lines follow with [`copy_lines`].
    pub fn insert_reports(
        reports: &[NewQuarantinedReport<'_>],
        received_at: DateTime<Utc>
    ) -> Done {
        r#"/* quarantine.insert_reports */
        insert into telecom.quarantined_report (
            usage_report_seq, report_id, node_server_id, sender_id, period_start, period_end,
            reason, received_at)
        select *, $8::timestamptz
        from unnest($1::bigint[], $2::uuid[], $3::int[], $4::text[], $5::timestamptz[],
        $6::timestamptz[], $7::text[])"#,
        &column(reports, |r| r.usage_report_seq),
        &column(reports, |r| r.report_id),
        &column(reports, |r| r.node_server_id),
        &column(reports, |r| r.sender_id) as &[Option<&str>],
        &column(reports, |r| r.period_start),
        &column(reports, |r| r.period_end),
        &column(reports, |r| <&str>::from(r.reason)) as &[&str],
        received_at
    }
}

/// A quarantined usage line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarantinedLine {
    /// The `seq` of the report in `usage_report`.
    pub usage_report_seq: i64,
    /// The user whose traffic it is.
    pub user_id: Uuid,
    /// The reported client. If none is reported, the client that the line would be billed by.
    pub node_client_id: Option<i32>,
    /// The client's current factor. `None` if the server has no such client.
    pub traffic_factor: Option<Factor>,
    /// Bytes sent by the user, before the traffic factor.
    pub upload_bytes: i64,
    /// Bytes received by the user, before the traffic factor.
    pub download_bytes: i64,
}

/// Appends lines to `quarantined_usage` with one `COPY` statement.
pub async fn copy_lines(
    connection: &mut Connection,
    lines: impl Iterator<Item = QuarantinedLine>,
) -> Result<(), Error> {
    const STATEMENT: &str = "/* quarantine.copy_lines */ copy telecom.quarantined_usage \
        (usage_report_seq, \
         upload_bytes, download_bytes, user_id, node_client_id, traffic_factor) from stdin \
             with (format binary)";
    let mut copy = Copy::start(connection, STATEMENT).await?;
    for line in lines {
        copy.row(6)
            .await?
            .field(line.usage_report_seq)?
            .field(line.upload_bytes)?
            .field(line.download_bytes)?
            .field(line.user_id)?
            .field(line.node_client_id)?
            .field(line.traffic_factor)?;
    }
    copy.finish().await
}
