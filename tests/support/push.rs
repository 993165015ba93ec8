//! Messages of node software.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{CLIENT, NOW, SERVER, World, at, deliver_event, failures, message_id, user};

/// A push, with the time of its arrival in seconds after [`NOW`].
#[derive(Debug, Clone)]
pub struct Push {
    /// Id of the message.
    pub id: u128,
    /// Arrival, in seconds after [`NOW`].
    pub at: f64,
    /// Rows of a user number, an upload and a download.
    pub rows: Vec<(i32, i64, i64)>,
    /// Whether the software adds the traffic of an unanswered push to the next one.
    pub resends_larger: bool,
    /// Seconds after its arrival at which the queue accepted the message.
    pub accepted_after: f64,
    /// Fields of the message that differ, by JSON pointer.
    pub fields: Vec<(&'static str, Value)>,
}

/// A push of software that may send a larger push after an unanswered one.
#[must_use]
pub fn push(id: u128, at: f64, rows: &[(i32, i64, i64)]) -> Push {
    Push {
        id,
        at,
        rows: rows.to_vec(),
        resends_larger: true,
        accepted_after: 0.05,
        fields: Vec::new(),
    }
}

impl Push {
    /// The same push of software that clears its counters before it sends.
    #[must_use]
    pub fn of_clearing_software(self) -> Self {
        Self {
            resends_larger: false,
            ..self
        }
    }

    /// The same push, accepted later than its sender waits.
    #[must_use]
    pub fn accepted_late(self) -> Self {
        Self {
            accepted_after: 5.5,
            ..self
        }
    }

    /// The same push with another field.
    #[must_use]
    pub fn with(mut self, pointer: &'static str, value: Value) -> Self {
        self.fields.push((pointer, value));
        self
    }

    fn arrived_at(&self) -> DateTime<Utc> {
        seconds_after_now(self.at)
    }

    /// The body of the message.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({
            "type": "node.usage.v1", "push_id": Uuid::from_u128(self.id), "access_id": 7,
            "server_id": SERVER, "node_client_id": CLIENT, "arrived_at": self.arrived_at(),
            "interval_seconds": 60, "client_timeout_seconds": 5,
            "resends_larger": self.resends_larger,
            "content": { "push": { "rows": self.rows } }
        });
        for (pointer, value) in &self.fields {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[name] = value.clone();
        }
        body
    }

    fn record(&self, index: usize) -> Value {
        let sent_at = seconds_after_now(self.at + self.accepted_after);
        json!({
            "messageId": message_id(index), "receiptHandle": "r", "body": self.body().to_string(),
            "attributes": { "SentTimestamp": sent_at.timestamp_millis().to_string() }
        })
    }
}

fn seconds_after_now(seconds: f64) -> DateTime<Utc> {
    at(NOW) + TimeDelta::from_std(std::time::Duration::from_secs_f64(seconds)).unwrap()
}

impl World {
    /// Makes users 1 to `count` known to node software under these numbers. Without items, no user
    /// is charged, but usage is recorded.
    pub async fn number_users(&self, count: i32) {
        for number in 1..=count {
            sqlx::query(
                "insert into telecom.node_user (user_id, number) overriding system value
                 values ($1, $2)",
            )
            .bind(user(number.try_into().unwrap()))
            .bind(number)
            .execute(&self.pool)
            .await
            .unwrap();
        }
    }

    /// Delivers pushes together, and returns the ids (by position) of the messages that failed.
    pub async fn push(&self, pushes: &[Push]) -> Vec<String> {
        let records: Vec<Value> = pushes
            .iter()
            .enumerate()
            .map(|(index, push)| push.record(index))
            .collect();
        let event = json!({ "Records": records });
        failures(&deliver_event(&self.ingest_node_usage(), event).await)
    }

    /// Delivers each push alone, in the given order, and asserts that none fails.
    pub async fn push_each(&self, pushes: &[Push]) {
        for push in pushes {
            let failed = self.push(std::slice::from_ref(push)).await;
            assert_eq!(failed, Vec::<String>::new(), "{push:?}");
        }
    }
}
