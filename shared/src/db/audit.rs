//! The audit log: changes, and accesses to secrets.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Connection, column};
use crate::domain::audit::AuditEntry;
use crate::error::Error;

/// Writes entries in the transaction of their action. If an entry cannot be written, the action
/// fails.
pub async fn write(connection: &mut Connection, entries: &[AuditEntry<'_>]) -> Result<(), Error> {
    let targets = column(entries, |entry| entry.target.stored());
    sqlx::query!(
        "/* audit.write */
        insert into telecom.audit_entry
            (created_at, actor_user_id, request_id, action, target_kind, target_id, before, after,
            reason)
        select * from unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::text[], $5::text[],
            $6::text[], $7::jsonb[], $8::jsonb[], $9::text[])",
        &column(entries, |entry| entry.at),
        &column(entries, |entry| entry.actor.user_id),
        &column(entries, |entry| entry.actor.request_id.as_deref()) as &[Option<&str>],
        &column(entries, |entry| entry.action) as &[&str],
        &column(&targets, |(kind, _)| *kind) as &[&str],
        &column(&targets, |(_, id)| id.as_str()) as &[&str],
        &column(entries, |entry| entry.before.clone()) as &[Option<Value>],
        &column(entries, |entry| entry.after.clone()) as &[Option<Value>],
        &column(entries, |entry| entry.reason) as &[Option<&str>],
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
