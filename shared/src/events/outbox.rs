//! Messages on their way from the database to the queues and the event bus.

use uuid::Uuid;

use crate::error::Error;

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Destination {
    /// The queue of route `telecom.user_usage_billing`.
    UserUsageBilling,
    /// The queue of route `telecom.package_expiring`.
    PackageExpiring,
    /// The event bus `TELECOM_EVENT_BUS_NAME`, which carries facts.
    EventBus,
}

impl Destination {
    /// All destinations, which [`Self::parse`] accepts.
    pub const ALL: [Self; 3] = [
        Self::UserUsageBilling,
        Self::PackageExpiring,
        Self::EventBus,
    ];

    /// As the database writes it. It goes over as text: a type of its own would cost look-ups on
    /// every new connection.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserUsageBilling => "user_usage_billing",
            Self::PackageExpiring => "package_expiring",
            Self::EventBus => "event_bus",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|destination| destination.as_str() == text)
            .ok_or_else(|| Error::internal(format!("unknown outbox destination {text:?}")))
    }
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Of the row; consumers find it in the body as event or batch id.
    pub id: Uuid,
    /// Queue or event bus that the message is sent to.
    pub destination: Destination,
    /// The bus entry's type; none for a queue.
    pub detail_type: Option<String>,
    /// The body, as it will arrive.
    pub body: String,
    /// X-Ray trace header of the invocation that wrote it.
    pub trace: Option<String>,
}
