//! Answers of changes, by idempotency key.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Connection, statements};
use crate::error::Error;

/// A call with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredCall {
    /// The caller. Callers have separate keys.
    pub actor_user_id: Uuid,
    /// The key that the caller chose.
    pub idempotency_key: String,
    /// SHA-256 of the operation and its input.
    pub request_hash: Vec<u8>,
}

/// What is stored under the key of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nothing was stored. The call is stored now, without an answer.
    Nothing,
    /// An earlier call with its answer.
    Answer {
        /// The hash of the earlier request.
        request_hash: Vec<u8>,
        /// The answer to it.
        answer: Value,
    },
}

/// Stores a call, or returns the earlier call with the same key. Waits for another transaction that
/// is storing a call with this key.
pub async fn insert_or_find(
    connection: &mut Connection,
    call: &AnsweredCall,
    now: DateTime<Utc>,
) -> Result<Found, Error> {
    let inserted = sqlx::query!(
        "/* answered_call.insert */
        insert into telecom.answered_call (actor_user_id, idempotency_key, request_hash, created_at)
        values ($1, $2, $3, $4)
        on conflict do nothing",
        call.actor_user_id,
        call.idempotency_key,
        call.request_hash,
        now
    )
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() > 0 {
        return Ok(Found::Nothing);
    }
    let earlier = sqlx::query!(
        r#"/* answered_call.find */
        select request_hash, answer as "answer!" from telecom.answered_call
        where actor_user_id = $1 and idempotency_key = $2"#,
        call.actor_user_id,
        call.idempotency_key
    )
    .fetch_optional(connection)
    .await?;
    // The job that deletes old records may have deleted this one in between.
    let earlier = earlier.ok_or_else(Error::conflict)?;
    Ok(Found::Answer {
        request_hash: earlier.request_hash,
        answer: earlier.answer,
    })
}

statements! {
    /// Stores the answer of a call that [`insert_or_find`] stored in this transaction.
    pub fn set_answer(call: &AnsweredCall, answer: &Value) -> Done {
        "/* answered_call.set_answer */
        update telecom.answered_call set answer = $3
        where actor_user_id = $1 and idempotency_key = $2",
        call.actor_user_id, call.idempotency_key, answer
    }

    /// Deletes at most `limit` calls made before `before`. Returns their number.
    pub fn delete(before: DateTime<Utc>, limit: i64) -> Changed {
        "/* answered_call.delete */
        delete from telecom.answered_call where ctid = any(array(
            select ctid from telecom.answered_call where created_at < $1 limit $2
        ))"
    }
}
