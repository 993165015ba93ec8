//! Audit entries of administrators' calls.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// Retention of audit entries, in days.
pub const KEPT_DAYS: i64 = 400;

/// The caller of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The `sub` claim of the caller's token.
    pub user_id: Uuid,
    /// Id of the request or of its trace. `None` if neither is known.
    pub request_id: Option<String>,
}

/// The object of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A node server, by its id.
    NodeServer(i32),
    /// A node client, by its id.
    NodeClient(i32),
    /// A package, by its id.
    Package(i64),
    /// A package item, by its id.
    PackageItem(i64),
    /// An order, by its id.
    Order(Uuid),
    /// An extension of many package items, by its id.
    Extension(Uuid),
    /// Parked usage of a user.
    ParkedUsage(Uuid),
}

impl Target {
    /// The kind and the id that the database stores.
    #[must_use]
    pub fn stored(self) -> (&'static str, String) {
        match self {
            Self::NodeServer(id) => ("node_server", id.to_string()),
            Self::NodeClient(id) => ("node_client", id.to_string()),
            Self::Package(id) => ("package", id.to_string()),
            Self::PackageItem(id) => ("package_item", id.to_string()),
            Self::Order(id) => ("order", id.to_string()),
            Self::Extension(id) => ("extension", id.to_string()),
            Self::ParkedUsage(id) => ("parked_usage", id.to_string()),
        }
    }
}

/// An action to record.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry<'a> {
    /// Time of the action.
    pub at: DateTime<Utc>,
    /// Caller who performed the action.
    pub actor: &'a Actor,
    /// Name of the action, in `UpperCamelCase`.
    pub action: &'static str,
    /// Object of the action.
    pub target: Target,
    /// The changed fields before the action. Secrets are [masked](crate::domain::secret::mask).
    /// `None` if the action changed nothing.
    pub before: Option<Value>,
    /// The changed fields after the action, masked like `before`.
    pub after: Option<Value>,
    /// Reason that the actor entered. `None` if there is none.
    pub reason: Option<&'a str>,
}
