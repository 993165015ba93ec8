//! Audit entries of administrators' calls.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use strum::{EnumDiscriminants, EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::one_of;
use super::page::PageBounds;
use crate::error::Error;

/// Retention of audit entries, in days.
pub const KEPT_DAYS: i64 = 400;
/// Limits of a page of audit entries. Matching entries are counted up to `max_offset`. A caller
/// reads further by the id of the last entry.
pub const PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 200,
    max_offset: 10_000,
};
/// Maximum length of the name of an action, in characters.
pub const MAX_ACTION: usize = 64;

/// The caller of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The `sub` claim of the caller's token.
    pub user_id: Uuid,
    /// Id of the request or of its trace. `None` if neither is known.
    pub request_id: Option<String>,
}

/// The object of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumDiscriminants)]
#[strum_discriminants(
    name(TargetKind),
    doc = "The kind of an action's object, named as the database stores it.",
    derive(EnumString, IntoStaticStr, VariantNames),
    strum(serialize_all = "snake_case")
)]
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
    /// A doubtful push, by its id.
    DoubtfulPush(i64),
    /// A report in quarantine, by its id there.
    QuarantinedReport(i64),
    /// A correction of usage, by its id.
    UsageCorrection(i64),
    /// Access of node software or of a collector, by its id.
    NodeAccess(i64),
    /// The number and the secret of a user for nodes, by the id of the user.
    NodeCredential(Uuid),
    /// A webhook, by its id.
    Webhook(Uuid),
    /// A delivery to a webhook, by its id.
    WebhookDelivery(i64),
}

impl Target {
    /// The kind and the id that the database stores.
    #[must_use]
    pub fn stored(self) -> (&'static str, String) {
        let id = match self {
            Self::NodeServer(id) | Self::NodeClient(id) => id.to_string(),
            Self::Package(id)
            | Self::PackageItem(id)
            | Self::NodeAccess(id)
            | Self::WebhookDelivery(id)
            | Self::UsageCorrection(id)
            | Self::QuarantinedReport(id)
            | Self::DoubtfulPush(id) => id.to_string(),
            Self::Order(id)
            | Self::Extension(id)
            | Self::ParkedUsage(id)
            | Self::NodeCredential(id)
            | Self::Webhook(id) => id.to_string(),
        };
        (TargetKind::from(self).into(), id)
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

/// Selects audit entries. An entry must match every field that is not `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Caller who performed the action.
    pub actor: Option<Uuid>,
    /// Name of the action.
    pub action: Option<String>,
    /// Object of the action.
    pub target: Option<TargetFilter>,
    /// Earliest time of the action, inclusive.
    pub start: Option<DateTime<Utc>>,
    /// Latest time of the action, exclusive.
    pub end: Option<DateTime<Utc>>,
    /// Id of an entry. Only older entries match. If there is no such entry, none matches.
    pub older_than: Option<i64>,
}

/// Selects the entries of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFilter {
    /// Kind of the object.
    pub kind: TargetKind,
    /// Id of the object, as the database stores it.
    pub id: String,
}

impl TargetFilter {
    /// Parses the parameters `target_kind` and `target_id`. An id alone may belong to objects of
    /// several kinds, and a kind alone to most of the entries, so either both are given or neither.
    pub fn parse(kind: Option<&str>, id: Option<&str>) -> Result<Option<Self>, Error> {
        let kind: Option<TargetKind> = kind.map(|kind| one_of("target_kind", kind)).transpose()?;
        let id = id.map(target_id).transpose()?;
        match (kind, id) {
            (None, None) => Ok(None),
            (Some(kind), Some(id)) => Ok(Some(Self { kind, id })),
            (Some(_), None) => Err(Error::parameter("target_id", "an id beside `target_kind`")),
            (None, Some(_)) => Err(Error::parameter("target_kind", "a kind beside `target_id`")),
        }
    }
}

/// Accepted ids of a target, worded for the end of an error message.
pub const TARGET_ID: &str = "a whole number from 1, or a UUID";

/// Pattern of the ids of a target, for the OpenAPI document.
pub const TARGET_ID_PATTERN: &str = concat!(
    "^([1-9][0-9]{0,17}|",
    "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"
);

/// Returns the id of a target in the form in which it is stored.
fn target_id(text: &str) -> Result<String, Error> {
    let number = text.parse().ok().filter(|number: &i64| *number > 0);
    let number = number.map(|number| number.to_string());
    let uuid = || text.parse().ok().map(|id: Uuid| id.to_string());
    number
        .or_else(uuid)
        .ok_or_else(|| Error::parameter("target_id", TARGET_ID))
}

/// Accepted names of actions, worded for the end of an error message.
#[must_use]
pub fn actions() -> String {
    format!("the name of an operation, 1 to {MAX_ACTION} ASCII letters")
}

/// Returns the name of an action, or an error for the parameter `action` if no action can have it.
pub fn action(text: &str) -> Result<String, Error> {
    let is_name = (1..=MAX_ACTION).contains(&text.len())
        && text.bytes().all(|letter| letter.is_ascii_alphabetic());
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| Error::parameter("action", &actions()))
}

/// An entry of the audit log, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RecordedAction {
    /// Id of the entry.
    pub id: i64,
    /// Time of the action.
    pub created_at: DateTime<Utc>,
    /// The `sub` claim of the token of the caller who performed the action.
    pub actor_user_id: Uuid,
    /// Id of the request or of its trace. `null` if neither is known.
    pub request_id: Option<String>,
    /// Name of the operation that performed the action, or `RevealSecrets`.
    pub action: String,
    /// Kind of the object: `node_server`, `node_client`, `package`, `package_item`, `order`,
    /// `extension`, `parked_usage`, `node_access`, `node_credential`, `doubtful_push`,
    /// `quarantined_report`, `usage_correction`, `webhook` or `webhook_delivery`.
    pub target_kind: String,
    /// Id of the object. Of `parked_usage` and `node_credential`, the id of the user.
    pub target_id: String,
    /// The changed fields before the action, secrets masked. `null` if the action created the
    /// object or changed nothing.
    pub before: Option<Value>,
    /// The changed fields after the action, secrets masked. `null` if the action changed nothing.
    pub after: Option<Value>,
    /// Reason that the caller gave. `null` if there is none.
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ORDER: &str = "7c0a0922-8d33-5b16-82d0-242a322a3b64";

    #[rstest]
    #[case(Target::NodeServer(7), "node_server", "7")]
    #[case(Target::PackageItem(1 << 40), "package_item", "1099511627776")]
    #[case(Target::Order(ORDER.parse().unwrap()), "order", ORDER)]
    #[case(Target::ParkedUsage(ORDER.parse().unwrap()), "parked_usage", ORDER)]
    #[case(Target::NodeAccess(7), "node_access", "7")]
    #[case(Target::NodeCredential(ORDER.parse().unwrap()), "node_credential", ORDER)]
    fn a_stored_target_is_found_by_its_kind_and_id(
        #[case] target: Target,
        #[case] kind: &str,
        #[case] id: &str,
    ) {
        assert_eq!(target.stored(), (kind, id.to_owned()));
        let filter = TargetFilter::parse(Some(kind), Some(id)).unwrap().unwrap();
        assert_eq!((filter.kind, filter.id), (target.into(), id.to_owned()));
    }

    #[rstest]
    #[case(Some("node_server"), None, "target_id")]
    #[case(None, Some("7"), "target_kind")]
    #[case(Some("planet"), Some("7"), "target_kind")]
    #[case(Some("node_server"), Some("0"), "target_id")]
    #[case(Some("node_server"), Some(""), "target_id")]
    fn a_target_needs_a_known_kind_and_an_id(
        #[case] kind: Option<&str>,
        #[case] id: Option<&str>,
        #[case] field: &str,
    ) {
        let error = TargetFilter::parse(kind, id).unwrap_err();
        assert_eq!(error.field(), Some(field));
    }

    #[test]
    fn ids_are_compared_in_the_form_in_which_they_are_stored() {
        let id = |text: &str| target_id(text).unwrap();
        assert_eq!(id("007"), "7");
        assert_eq!(id(&ORDER.to_uppercase()), ORDER);
        assert_eq!(id(&ORDER.replace('-', "")), ORDER);
    }
}
