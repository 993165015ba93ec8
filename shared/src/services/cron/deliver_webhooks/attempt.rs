//! One attempt at one delivery.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Claimed;
use crate::clock::Context;
use crate::db::webhook_delivery::Attempted;
use crate::domain::webhook::key::WebhookKeys;
use crate::domain::webhook::retry::Failed;
use crate::domain::webhook::secret::WebhookSecret;
use crate::domain::webhook::{DeliveryFailure, DeliveryStatus};
use crate::events::webhook::sender::{WebhookClient, WebhookRequest, WebhookResponse};

/// Status with which a receiver says that it wants no more facts.
const GONE: u16 = 410;

/// An attempt that is to be made.
pub(super) struct Attempt {
    delivery: Claimed,
    claimed_until: DateTime<Utc>,
    /// The secrets to sign with. `None` if they cannot be decrypted.
    secrets: Option<Vec<WebhookSecret>>,
}

/// An attempt that was made.
pub(super) struct Finished {
    /// Whose receiver got the request.
    pub webhook_id: Uuid,
    /// What the log records.
    pub attempted: Attempted,
    /// Whether the receiver wants no more facts.
    pub is_gone: bool,
}

impl Attempt {
    /// An attempt of a claimed delivery at `now`.
    pub fn new(
        delivery: Claimed,
        claimed_until: DateTime<Utc>,
        keys: &WebhookKeys,
        now: DateTime<Utc>,
    ) -> Self {
        let overlaps = delivery
            .previous_secret_until
            .is_some_and(|until| now < until);
        let previous = delivery
            .sealed_previous_secret
            .as_ref()
            .filter(|_| overlaps);
        let sealed = std::iter::once(&delivery.sealed_secret).chain(previous);
        let secrets = sealed
            .map(|sealed| keys.open(delivery.webhook_id, sealed))
            .collect();
        Self {
            delivery,
            claimed_until,
            secrets,
        }
    }

    /// Sends the request, and decides what follows.
    pub async fn send(mut self, client: &WebhookClient, context: &Context) -> Finished {
        let response = match self.request(context.now()) {
            Some(request) => client.send(request).await,
            None => WebhookResponse::failed(DeliveryFailure::UnreadableSecret),
        };
        self.finish(response, context.now())
    }

    fn request(&mut self, now: DateTime<Utc>) -> Option<WebhookRequest> {
        let (id, timestamp) = (self.delivery.event_id, now.timestamp());
        let body = std::mem::take(&mut self.delivery.body);
        let sign = |secret: &WebhookSecret| secret.sign(id, timestamp, &body);
        let signatures: Vec<String> = self.secrets.as_ref()?.iter().map(sign).collect();
        Some(WebhookRequest {
            url: std::mem::take(&mut self.delivery.url),
            id,
            timestamp,
            signatures: signatures.join(" "),
            body,
        })
    }

    fn finish(&self, response: WebhookResponse, now: DateTime<Utc>) -> Finished {
        let is_gone = response.status == Some(GONE);
        let failed = Failed {
            delivery_id: self.delivery.id,
            attempts: self.delivery.attempts.saturating_add(1),
            retry_until: self.delivery.retry_until,
            retry_after: response.retry_after,
        };
        let next = failed.next_attempt(now).filter(|_| !is_gone);
        let status = match (response.failure, next) {
            (None, _) => DeliveryStatus::Delivered,
            (Some(_), Some(_)) => DeliveryStatus::Pending,
            (Some(_), None) => DeliveryStatus::Failed,
        };
        Finished {
            webhook_id: self.delivery.webhook_id,
            is_gone,
            attempted: Attempted {
                id: self.delivery.id,
                status,
                at: now,
                due_at: next.unwrap_or(now),
                claimed_until: self.claimed_until,
                response_status: response.status.map(i32::from),
                failure: response.failure,
            },
        }
    }
}
