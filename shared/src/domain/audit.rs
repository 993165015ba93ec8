//! What is recorded of an administrator's call.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// How long an entry is kept, days.
pub const KEPT_DAYS: i64 = 400;

/// The caller of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The token's `sub`.
    pub user_id: Uuid,
    /// The id of the request, or of its trace.
    pub request_id: Option<String>,
}

/// What an action was done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A node server, by its id.
    NodeServer(i32),
    /// A node client, by its id.
    NodeClient(i32),
}

impl Target {
    /// As the database writes it: a kind and an id.
    #[must_use]
    pub fn stored(self) -> (&'static str, String) {
        match self {
            Self::NodeServer(id) => ("node_server", id.to_string()),
            Self::NodeClient(id) => ("node_client", id.to_string()),
        }
    }
}

/// One action.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: &'a Actor,
    /// What, in `UpperCamelCase`.
    pub action: &'static str,
    /// On what.
    pub target: Target,
    /// What was changed, as it was before. Secrets are [masked](crate::domain::secret::mask).
    pub before: Option<Value>,
    /// The same as it is now.
    pub after: Option<Value>,
    /// Why, in the actor's words.
    pub reason: Option<&'a str>,
}
