//! Webhooks: receivers of facts over HTTPS, after the specification Standard Webhooks.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

pub mod address;
pub mod key;
pub mod retry;
pub mod secret;
pub mod url;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::page::PageBounds;

/// Limits of a page of webhooks.
pub const PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 200,
    max_offset: 10_000,
};
/// Limits of a page of deliveries. Matching deliveries are counted up to `max_offset`.
pub const DELIVERY_PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 200,
    max_offset: 10_000,
};
/// Maximum number of webhooks that are not disabled. Each of them may have
/// [`REQUESTS_PER_WEBHOOK`] open requests, so that none waits for another one.
pub const MAX_ENABLED: i64 = 50;
/// Maximum number of open requests to one receiver.
pub const REQUESTS_PER_WEBHOOK: usize = 8;
/// Maximum length of a description, in characters.
pub const MAX_DESCRIPTION: usize = 200;
/// Maximum number of types in a filter.
pub const MAX_TYPES: usize = 100;
/// How long the log of deliveries is kept.
pub const DELIVERIES_KEPT: TimeDelta = TimeDelta::days(30);

/// How long deliveries are also signed with the secret before a rotation, by default, in seconds.
pub const DEFAULT_OVERLAP_SECONDS: i64 = 86_400;
/// Maximum time for which deliveries are also signed with the secret before a rotation.
pub const MAX_OVERLAP_SECONDS: i64 = 7 * 86_400;

/// What an administrator chooses for a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookSettings {
    /// Where the receiver listens.
    pub url: String,
    /// What the webhook is for.
    pub description: String,
    /// Types of the facts that are delivered. Empty for all.
    pub event_types: Vec<String>,
}

/// Why a webhook is disabled.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    EnumString,
    IntoStaticStr,
    VariantNames,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum WebhookEnd {
    /// An administrator disabled it.
    Requested,
    /// The receiver answered `410 Gone`.
    Gone,
}

/// A webhook, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Webhook {
    /// Id of the webhook.
    pub id: Uuid,
    /// URL of the receiver of all deliveries.
    pub url: String,
    /// What the webhook is for.
    pub description: String,
    /// Types of the facts that are delivered. Empty for all.
    pub event_types: Vec<String>,
    /// When the webhook was created.
    pub created_at: DateTime<Utc>,
    /// Until when deliveries are also signed with the secret before the last rotation. `null` if
    /// the secret was never rotated.
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// When the webhook was disabled. `null` if it receives facts.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Why the webhook is disabled. `null` if it receives facts.
    pub disabled_by: Option<WebhookEnd>,
}

/// State of a delivery.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    EnumString,
    IntoStaticStr,
    VariantNames,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryStatus {
    /// An attempt is still to be made, unless the webhook is disabled.
    Pending,
    /// The receiver accepted the fact.
    Delivered,
    /// The receiver did not accept the fact for a day.
    Failed,
}

/// Why an attempt failed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    EnumString,
    IntoStaticStr,
    VariantNames,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryFailure {
    /// The receiver answered with another status than 200 to 299.
    Status,
    /// The receiver answered with a redirect, which is not followed.
    Redirect,
    /// There was no complete response within ten seconds.
    TimedOut,
    /// The name of the host has no address.
    UnknownHost,
    /// The name of the host has an address that is not public.
    ForbiddenAddress,
    /// The connection failed, was not trusted, or ended before the response.
    Connection,
    /// The secret of the webhook cannot be decrypted with the keys of this system.
    UnreadableSecret,
}

/// A delivery of a fact to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookDelivery {
    /// Id of the delivery.
    pub id: i64,
    /// Id of the webhook.
    pub webhook_id: Uuid,
    /// Id of the fact, which is the `webhook-id` of the requests.
    pub event_id: Uuid,
    /// Type of the fact.
    pub event_type: String,
    /// State of the delivery.
    pub status: DeliveryStatus,
    /// Number of attempts since the fact was recorded or its redelivery was requested.
    pub attempts: i32,
    /// When the fact was recorded for delivery.
    pub created_at: DateTime<Utc>,
    /// When the last attempt ended. `null` if there was none.
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// When the next attempt is due. `null` if none is.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// HTTP status of the last response. `null` if there was none.
    pub response_status: Option<i32>,
    /// Why the last attempt failed. `null` if it succeeded or there was none.
    pub failure: Option<DeliveryFailure>,
}
