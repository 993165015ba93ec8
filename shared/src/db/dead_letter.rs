//! Messages that could not be processed: their reasons, and how many wait in dead-letter queues.

use chrono::{DateTime, Utc};
use strum::VariantNames;

use super::{Connection, column, statements};
use crate::domain::dead_letter::{
    DeadLetterQueue, FailureReason, MAX_MESSAGES, MAX_REASONS, Queue,
};
use crate::error::Error;

/// A message whose processing failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedMessage {
    /// Id of the message, as SQS knows it.
    pub message_id: String,
    /// Code of the error.
    pub error_code: &'static str,
    /// Message of the error, with its cause.
    pub reason: String,
}

/// Records messages of a queue that failed at `now`. If a message failed before, its attempts are
/// counted and its reason is replaced. `messages` has one element per message and is sorted by id,
/// so that two transactions lock rows in the same order.
pub async fn insert(
    connection: &mut Connection,
    queue: Queue,
    messages: &[RejectedMessage],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "/* dead_letter.insert */
        insert into telecom.rejected_message as m
            (queue, message_id, error_code, reason, first_failed_at, last_failed_at)
        select $1::text, f.message_id, f.error_code, f.reason, $5::timestamptz, $5
        from unnest($2::text[], $3::text[], $4::text[]) as f (message_id, error_code, reason)
        on conflict (queue, message_id) do update set
            error_code = excluded.error_code, reason = excluded.reason, attempts = m.attempts + 1,
            last_failed_at = greatest(m.last_failed_at, excluded.last_failed_at)",
        <&str>::from(queue),
        &column(messages, |message| message.message_id.as_str()) as &[&str],
        &column(messages, |message| message.error_code) as &[&str],
        &column(messages, |message| message.reason.as_str()) as &[&str],
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores the numbers of messages in dead-letter queues, as counted at `now`.
pub async fn save_counts(
    connection: &mut Connection,
    counts: &[(Queue, i64)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "/* dead_letter.save_counts */
        insert into telecom.dead_letter_queue (queue, message_count, counted_at)
        select c.queue, c.message_count, $3::timestamptz
        from unnest($1::text[], $2::bigint[]) as c (queue, message_count)
        order by c.queue
        on conflict (queue) do update
        set message_count = excluded.message_count, counted_at = excluded.counted_at",
        &column(counts, |(queue, _)| <&str>::from(*queue)) as &[&str],
        &column(counts, |(_, messages)| *messages),
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// All queues with their dead letters, in the order of [`Queue`].
pub async fn list(connection: &mut Connection) -> Result<Vec<DeadLetterQueue>, Error> {
    let names: Vec<String> = Queue::VARIANTS.iter().map(ToString::to_string).collect();
    let counted = counts(connection, &names).await?;
    let mut reasons = reasons(connection, &names, MAX_MESSAGES, MAX_REASONS).await?;
    let queue = |row: QueueCount| {
        let of_queue = reasons.extract_if(.., |reason| reason.queue == row.queue);
        DeadLetterQueue {
            reasons: of_queue.map(CodeFailures::of_queue).collect(),
            queue: row.queue,
            dead_letters: row.message_count,
            counted_at: row.counted_at,
        }
    };
    Ok(counted.into_iter().map(queue).collect())
}

struct QueueCount {
    queue: String,
    message_count: Option<i64>,
    counted_at: Option<DateTime<Utc>>,
}

struct CodeFailures {
    queue: String,
    error_code: String,
    reason: String,
    messages: i64,
    last_message_id: String,
    first_failed_at: DateTime<Utc>,
    last_failed_at: DateTime<Utc>,
}

impl CodeFailures {
    fn of_queue(self) -> FailureReason {
        FailureReason {
            error_code: self.error_code,
            reason: self.reason,
            messages: self.messages,
            last_message_id: self.last_message_id,
            first_failed_at: self.first_failed_at,
            last_failed_at: self.last_failed_at,
        }
    }
}

statements! {
    fn counts(queues: &[String]) -> Rows<QueueCount> {
        r#"/* dead_letter.counts */
        select q.name as "queue!", d.message_count as "message_count?",
            d.counted_at as "counted_at?"
        from unnest($1::text[]) with ordinality q (name, position)
        left join telecom.dead_letter_queue d on d.queue = q.name
        order by q.position"#
    }

    /// Sums up the newest `max_messages` failed messages of each queue by the code of the error.
    fn reasons(queues: &[String], max_messages: i64, max_reasons: i64) -> Rows<CodeFailures> {
        r#"/* dead_letter.reasons */
        select q.name as "queue!", r.error_code as "error_code!", r.reason as "reason!",
            r.messages as "messages!", r.last_message_id as "last_message_id!",
            r.first_failed_at as "first_failed_at!", r.last_failed_at as "last_failed_at!"
        from unnest($1::text[]) q (name)
        cross join lateral (
            select m.error_code, count(*) as messages,
                (array_agg(m.reason order by m.last_failed_at desc, m.message_id desc))[1]
                    as reason,
                (array_agg(m.message_id order by m.last_failed_at desc, m.message_id desc))[1]
                    as last_message_id,
                min(m.first_failed_at) as first_failed_at, max(m.last_failed_at) as last_failed_at
            from (
                select * from telecom.rejected_message m
                where m.queue = q.name
                order by m.last_failed_at desc, m.message_id desc limit $2
            ) m
            group by m.error_code
            order by max(m.last_failed_at) desc, m.error_code limit $3
        ) r
        order by r.last_failed_at desc, r.error_code"#
    }

    /// Deletes at most `limit` failed messages that failed last before `before`. Returns their
    /// number.
    pub fn delete(before: DateTime<Utc>, limit: i64) -> Changed {
        "/* dead_letter.delete */
        delete from telecom.rejected_message where ctid = any(array(
            select ctid from telecom.rejected_message where last_failed_at < $1
            order by last_failed_at limit $2
        ))"
    }
}
