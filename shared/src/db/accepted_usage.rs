//! The ledger of accepted usage, with which hourly usage is reconciled.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Connection, column};
use crate::domain::traffic::Traffic;
use crate::error::Error;

/// The usage of one billing run and one hour that one transaction accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedUsage {
    /// The billing run. `None` if another publisher sent the events.
    pub billing_run_id: Option<Uuid>,
    /// Start of the UTC hour.
    pub bucket_start: DateTime<Utc>,
    /// The accepted raw and billed bytes.
    pub traffic: Traffic,
}

/// Appends rows to the ledger.
pub async fn insert(connection: &mut Connection, accepted: &[AcceptedUsage]) -> Result<(), Error> {
    if accepted.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"/* accepted_usage.insert */
        insert into telecom.accepted_usage (
            bucket_start, billing_run_id, raw_upload_bytes, raw_download_bytes,
            billed_upload_bytes, billed_download_bytes
        )
        select * from unnest($1::timestamptz[], $2::uuid[], $3::bigint[], $4::bigint[],
        $5::bigint[], $6::bigint[])"#,
        &column(accepted, |row| row.bucket_start),
        &column(accepted, |row| row.billing_run_id) as &[Option<Uuid>],
        &column(accepted, |row| row.traffic.raw_upload),
        &column(accepted, |row| row.traffic.raw_download),
        &column(accepted, |row| row.traffic.billed_upload),
        &column(accepted, |row| row.traffic.billed_download)
    )
    .execute(connection)
    .await?;
    Ok(())
}
