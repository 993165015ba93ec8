//! Sends requests to the receivers of webhooks.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use uuid::Uuid;

use super::lookup::{Addresses, Lookup, NoAddress, SystemLookup};
use crate::domain::webhook::DeliveryFailure;
use crate::domain::webhook::url::Receivers;
use crate::error::Error;

/// Maximum time of a request, from the look-up of the host to the head of the response.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A request to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// URL of the receiver.
    pub url: String,
    /// Id of the fact, the same for each attempt.
    pub id: Uuid,
    /// Time of this attempt, in seconds since 1970.
    pub timestamp: i64,
    /// The signatures, separated by blanks.
    pub signatures: String,
    /// The body over which the signatures are.
    pub body: String,
}

/// What became of a request. The body of the response is not read: it could only be of use to a
/// caller who wants to see what another system answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookResponse {
    /// HTTP status. `None` if there was no response.
    pub status: Option<u16>,
    /// Why the receiver did not accept the fact. `None` if it did.
    pub failure: Option<DeliveryFailure>,
    /// Pause that the receiver asks for.
    pub retry_after: Option<Duration>,
}

/// Sends requests with a new HTTP client per run of the job, because connections do not survive the
/// pause of a frozen function.
#[derive(Debug, Clone)]
pub struct WebhookSender {
    addresses: Addresses,
    timeout: Duration,
}

/// The connections of one run.
#[derive(Debug, Clone)]
pub struct WebhookClient {
    client: reqwest::Client,
    receivers: Receivers,
}

impl WebhookSender {
    /// A sender to these receivers.
    #[must_use]
    pub fn new(receivers: Receivers) -> Self {
        Self::with(Arc::new(SystemLookup), receivers, REQUEST_TIMEOUT)
    }

    /// A sender with another source of addresses and another maximum time of a request, for tests.
    #[must_use]
    pub fn with(lookup: Arc<dyn Lookup>, receivers: Receivers, timeout: Duration) -> Self {
        Self {
            addresses: Addresses { lookup, receivers },
            timeout,
        }
    }

    /// Creates the HTTP client of a run. It follows no redirect, uses no proxy, and connects to the
    /// checked addresses only.
    pub fn client(&self) -> Result<WebhookClient, Error> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .https_only(self.addresses.receivers == Receivers::Public)
            .dns_resolver(Arc::new(self.addresses.clone()))
            .timeout(self.timeout)
            .user_agent(concat!("telecom-webhooks/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::internal)?;
        Ok(WebhookClient {
            client,
            receivers: self.addresses.receivers,
        })
    }
}

impl WebhookClient {
    /// Sends a request once.
    pub async fn send(&self, request: WebhookRequest) -> WebhookResponse {
        // Checked again, because the URL may be from a time with other rules, and because the
        // client looks up nothing if the host is an address.
        let Some(url) = self.receivers.read(&request.url) else {
            return WebhookResponse::failed(DeliveryFailure::ForbiddenAddress);
        };
        let sent = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", request.id.to_string())
            .header("webhook-timestamp", request.timestamp)
            .header("webhook-signature", request.signatures)
            .body(request.body)
            .send()
            .await;
        match sent {
            Ok(response) => WebhookResponse::of(&response),
            Err(error) => WebhookResponse::failed(failure(&error)),
        }
    }
}

impl WebhookResponse {
    /// A request without a response.
    #[must_use]
    pub fn failed(failure: DeliveryFailure) -> Self {
        Self {
            status: None,
            failure: Some(failure),
            retry_after: None,
        }
    }

    fn of(response: &reqwest::Response) -> Self {
        let status = response.status();
        let seconds = response.headers().get(RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Self {
            status: Some(status.as_u16()),
            failure: match status.as_u16() {
                200..=299 => None,
                300..=399 => Some(DeliveryFailure::Redirect),
                _ => Some(DeliveryFailure::Status),
            },
            retry_after: seconds.map(Duration::from_secs),
        }
    }
}

fn failure(error: &reqwest::Error) -> DeliveryFailure {
    if error.is_timeout() {
        return DeliveryFailure::TimedOut;
    }
    let mut cause = error.source();
    while let Some(found) = cause {
        match found.downcast_ref::<NoAddress>() {
            Some(NoAddress::Unknown) => return DeliveryFailure::UnknownHost,
            Some(NoAddress::Forbidden) => return DeliveryFailure::ForbiddenAddress,
            None => cause = found.source(),
        }
    }
    DeliveryFailure::Connection
}
