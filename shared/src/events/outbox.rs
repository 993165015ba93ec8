//! Messages on their way from the database to the queues and the event bus.

use strum::{EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

/// Where a message goes. The database stores the name as text. A type of its own would cost
/// look-ups on every new connection.
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Destination {
    /// The queue of route `telecom.user_usage_billing`.
    UserUsageBilling,
    /// The queue of route `telecom.package_expiring`.
    PackageExpiring,
    /// The event bus `TELECOM_EVENT_BUS_NAME`, which carries facts.
    EventBus,
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
    /// X-Ray trace header of the work that wrote it.
    pub trace: Option<String>,
}
