//! The audit log: changes, and accesses to secrets.

use chrono::{DateTime, Utc};

use super::Connection;
use crate::domain::audit::AuditEntry;
use crate::error::Error;

/// Writes an entry in the transaction of the action. If the entry cannot be written, the action
/// fails.
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

/// Deletes at most `limit` entries made before `before`. Returns their number.
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
