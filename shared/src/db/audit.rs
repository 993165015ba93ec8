//! Who changed what, and who was shown secrets.

use chrono::{DateTime, Utc};

use super::Connection;
use crate::domain::audit::AuditEntry;
use crate::error::Error;

/// Adds an entry: in the transaction of the action, which fails if its entry cannot be written.
pub async fn write(connection: &mut Connection, entry: AuditEntry<'_>) -> Result<(), Error> {
    let (target_kind, target_id) = entry.target.stored();
    sqlx::query!(
        "/* audit.write */
        insert into telecom.audit_entry
            (created_at, actor_user_id, request_id, action, target_kind, target_id, before, after,
            reason)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        entry.at,
        entry.actor.user_id,
        entry.actor.request_id,
        entry.action,
        target_kind,
        target_id,
        entry.before,
        entry.after,
        entry.reason
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes entries made before `before`, at most `limit`; returns how many.
pub async fn delete(
    connection: &mut Connection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, Error> {
    let deleted = sqlx::query_scalar!(
        r#"/* audit.delete */ select telecom.delete_audit_entries($1, $2) as "deleted!""#,
        before,
        limit
    )
    .fetch_one(connection)
    .await?;
    u64::try_from(deleted).map_err(Error::internal)
}
