//! The outbox: messages that are written in the transaction that causes them, and deleted when they
//! have been sent.

use chrono::{DateTime, Utc};
use strum::VariantNames;
use uuid::Uuid;

use super::copy::Copy;
use super::statement::all_rows;
use super::{Connection, column, statements, stored};
use crate::error::Error;
use crate::events::outbox::{Destination, OutboxMessage};

/// Writes messages, leased to the caller until `send_after`. The caller sends them after the
/// commit.
///
/// Uses `COPY` because bodies are large. The database stores one body while the next is encoded.
pub async fn insert(
    connection: &mut Connection,
    messages: impl Iterator<Item = Result<OutboxMessage, Error>>,
    created_at: DateTime<Utc>,
    send_after: DateTime<Utc>,
) -> Result<Vec<OutboxMessage>, Error> {
    const STATEMENT: &str = "/* outbox.insert */ copy telecom.outbox (id, destination, \
        detail_type, body, trace, \
         created_at, send_after) from stdin with (format binary)";
    let mut copy = Copy::start(connection, STATEMENT).await?;
    let mut written = Vec::with_capacity(messages.size_hint().0);
    for message in messages {
        let message = message?;
        copy.row(7)
            .await?
            .field(message.id)?
            .field(<&str>::from(message.destination))?
            .field(message.detail_type.as_deref())?
            .field(message.body.as_str())?
            .field(message.trace.as_deref())?
            .field(created_at)?
            .field(send_after)?;
        written.push(message);
    }
    copy.finish().await?;
    Ok(written)
}

/// Leases due messages until `lease_until`, oldest first, at most `limit`. Skips messages for a
/// destination that this version does not know. A newer version that was rolled back wrote them,
/// and they wait until it is deployed again.
pub async fn lease(
    connection: &mut Connection,
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<OutboxMessage>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* outbox.lease */
        with due as (
            select id from telecom.outbox
            where send_after <= $1 and destination::text = any($4)
            order by send_after
            limit $3
            for update skip locked
        )
        update telecom.outbox o set send_after = $2, attempts = o.attempts + 1
        from due where o.id = due.id
        returning o.id, o.destination::text as "destination!", o.detail_type, o.body, o.trace"#,
            now,
            lease_until,
            limit,
            Destination::VARIANTS as &[&str]
        ),
        connection,
    )
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(OutboxMessage {
                id: row.id,
                destination: stored(&row.destination)?,
                detail_type: row.detail_type,
                body: row.body,
                trace: row.trace,
            })
        })
        .collect()
}

statements! {
    /// Time at which the oldest pending message was written. `None` if no message is pending.
    pub fn oldest() -> Value<Option<DateTime<Utc>>> {
        r#"/* outbox.oldest */ select min(created_at) from telecom.outbox"#
    }

    /// Deletes messages that have been sent.
    pub fn delete(ids: &[Uuid]) -> Done {
        r#"/* outbox.delete */ delete from telecom.outbox where id = any($1)"#
    }

    /// Stores why messages could not be sent. The sweep sends them again.
    pub fn record_failures(failures: &[(Uuid, String)]) -> Done {
        r#"/* outbox.record_failures */
        update telecom.outbox o set last_error = f.error
        from unnest($1::uuid[], $2::text[]) as f (id, error)
        where o.id = f.id"#,
        &column(failures, |f| f.0),
        &column(failures, |f| f.1.clone())
    }
}
