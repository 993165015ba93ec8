//! `UserUsageBillingEvent` (route `telecom.user_usage_billing`): a charge to a user.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{PayloadHash, parse};
use crate::domain::traffic::MAX_CHARGE_BYTES;
use crate::error::Error;

/// Name of the route.
pub const ROUTE: &str = "telecom.user_usage_billing";
/// Maximum number of events in a batch.
pub const MAX_EVENTS: usize = 10_000;

/// A charge to a user. The billing job of this system publishes charges in a [`BillingBatch`].
/// Other publishers may send them alone or in batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUsageBillingEvent {
    /// The node server that carried the traffic.
    pub server_id: i32,
    /// Id of the user who is charged.
    pub user: Uuid,
    /// Bytes charged for download.
    pub billed_download: i64,
    /// Bytes charged for upload.
    pub billed_upload: i64,
    /// Time of the usage in Unix seconds. The usage belongs to the UTC hour that contains this
    /// time.
    pub time: u64,
    /// Id of the node client. `None` if the publisher does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_client_id: Option<i32>,
    /// Bytes downloaded before the traffic factor. `None` if they equal `billed_download`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_download: Option<i64>,
    /// Bytes uploaded before the traffic factor. `None` if they equal `billed_upload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_upload: Option<i64>,
    /// Idempotency key of an event outside a batch. If `None`, the message id of the queue is the
    /// key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Uuid>,
}

/// Events in one message, which are applied together and once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingBatch<'a> {
    /// Idempotency key of the whole batch.
    pub batch_id: Uuid,
    /// Id of the run of the billing job that created the batch. `None` for batches of other
    /// publishers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_run_id: Option<Uuid>,
    /// The events, at least one.
    pub events: Cow<'a, [UserUsageBillingEvent]>,
}

/// A parsed message body: one event or a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserUsageBilling {
    /// The idempotency key. `None` if the body has none.
    pub key: Option<Uuid>,
    /// Id of the run of the billing job. `None` if the body has none.
    pub billing_run_id: Option<Uuid>,
    /// The event, or the events of the batch. Never empty.
    pub events: Vec<UserUsageBillingEvent>,
}

impl UserUsageBilling {
    /// Parses a body, which is one event or a batch, and checks every event.
    pub fn parse(body: &str) -> Result<Self, Error> {
        let (billing, in_batch) = match serde_json::from_str::<BillingBatch<'_>>(body) {
            Ok(BillingBatch {
                batch_id,
                billing_run_id,
                events,
            }) => (
                Self {
                    key: Some(batch_id),
                    billing_run_id,
                    events: events.into_owned(),
                },
                true,
            ),
            // Recognized by its fields, so that the error refers to the fields of a batch.
            Err(_) if is_batch(body) => return Err(batch_error(body)),
            Err(_) => {
                let event: UserUsageBillingEvent = parse(body)?;
                (
                    Self {
                        key: event.event_id,
                        billing_run_id: None,
                        events: vec![event],
                    },
                    false,
                )
            }
        };
        if billing.events.is_empty() || billing.events.len() > MAX_EVENTS {
            let message = format!(
                "has {} events; expected 1 to {MAX_EVENTS}",
                billing.events.len()
            );
            return Err(Error::invalid(
                "event_count_out_of_range",
                "events",
                message,
            ));
        }
        for (index, event) in billing.events.iter().enumerate() {
            if in_batch && event.event_id.is_some() {
                let message = "is not allowed in a batch, whose idempotency key is batch_id";
                return Err(Error::invalid(
                    "event_id_in_batch",
                    format!("events[{index}].event_id"),
                    message,
                ));
            }
            event.check().map_err(|(code, field, message)| {
                let path = if in_batch {
                    format!("events[{index}].{field}")
                } else {
                    field.to_owned()
                };
                Error::invalid(code, path, message)
            })?;
        }
        Ok(billing)
    }

    /// SHA-256 of the charges in the message.
    #[must_use]
    pub fn payload_hash(&self) -> Vec<u8> {
        let mut hash = PayloadHash::default();
        for event in &self.events {
            hash.add(event.server_id.to_le_bytes());
            hash.add(event.user.into_bytes());
            hash.add(event.billed_download.to_le_bytes());
            hash.add(event.billed_upload.to_le_bytes());
            hash.add(event.time.to_le_bytes());
            hash.add_option(event.node_client_id.map(i32::to_le_bytes));
            hash.add_option(event.raw_download.map(i64::to_le_bytes));
            hash.add_option(event.raw_upload.map(i64::to_le_bytes));
        }
        hash.finish()
    }
}

fn batch_error(body: &str) -> Error {
    parse::<BillingBatch<'_>>(body).err().unwrap_or_else(|| {
        Error::invalid(
            "malformed_json",
            ".",
            "is neither an event nor a batch of events",
        )
    })
}

fn is_batch(body: &str) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        batch_id: Option<serde::de::IgnoredAny>,
        events: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_str::<Probe>(body)
        .is_ok_and(|probe| probe.batch_id.is_some() || probe.events.is_some())
}

impl UserUsageBillingEvent {
    /// The time of the usage.
    ///
    /// [`UserUsageBilling::parse`] validates it, so a parsed event never needs the fallback.
    #[must_use]
    pub fn at(&self) -> DateTime<Utc> {
        self.checked_at().unwrap_or_default()
    }

    fn checked_at(&self) -> Option<DateTime<Utc>> {
        // Up to the end of the year 9999, which PostgreSQL and RFC 3339 both support.
        let seconds = i64::try_from(self.time)
            .ok()
            .filter(|seconds| *seconds <= 253_402_300_799)?;
        DateTime::from_timestamp(seconds, 0)
    }

    fn check(&self) -> Result<(), (&'static str, &'static str, String)> {
        if self.checked_at().is_none() {
            let message = "invalid value; expected Unix seconds up to the year 9999".to_owned();
            return Err(("time_out_of_range", "time", message));
        }
        let amounts = [
            ("billed_download", Some(self.billed_download)),
            ("billed_upload", Some(self.billed_upload)),
            ("raw_download", self.raw_download),
            ("raw_upload", self.raw_upload),
        ];
        match amounts
            .into_iter()
            .find(|(_, bytes)| bytes.is_some_and(|bytes| !(0..=MAX_CHARGE_BYTES).contains(&bytes)))
        {
            Some((field, _)) => Err((
                "bytes_out_of_range",
                field,
                format!("invalid value; expected 0 to {MAX_CHARGE_BYTES} bytes"),
            )),
            None => Ok(()),
        }
    }
}
