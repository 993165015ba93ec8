//! `GET /v1/admin/audit-entries`: lists who changed what.

use shared::http::operations::AuditEntries;
use shared::lambda::{BoxError, api};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    api::run::<AuditEntries>().await
}
