//! What the changes of node servers and node clients share.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::db::node_client::ClientConfig;
use crate::db::node_server::{ServerOfClients, Stored};
use crate::domain::audit::Target;
use crate::domain::node_config::NodeConfig;
use crate::domain::node_settings::{NodeServerSettings, Settings};
use crate::domain::secret;
use crate::error::{Error, ErrorKind};
use crate::events;
use crate::services::change::Work;

/// A JSON merge patch (RFC 7396) of settings: a given field replaces the stored one, objects are
/// merged field by field, and `null` removes a field.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Patch(pub Map<String, Value>);

impl Patch {
    /// The settings after the patch, checked as a whole.
    fn apply<S: Settings>(&self, settings: &S) -> Result<S, Error> {
        let mut patched = serde_json::to_value(settings).map_err(Error::internal)?;
        json_patch::merge(&mut patched, &Value::Object(self.0.clone()));
        events::parse::<S>(&patched.to_string())?.checked()
    }
}

impl<S: Settings + PartialEq> Stored<S> {
    /// The settings of `target` after a patch, which is recorded in the audit log. `None` if the
    /// patch changes nothing. Fails if the caller has read another revision, or if `target` is
    /// archived.
    pub(super) fn patched(
        &self,
        patch: &Patch,
        work: &mut Work<'_>,
        target: Target,
    ) -> Result<Option<S>, Error> {
        work.check_revision(self.revision)?;
        if self.archived_at.is_some() {
            return Err(archived(target));
        }
        let settings = patch.apply(&self.settings)?;
        if settings == self.settings {
            return Ok(None);
        }
        let (before, after) = masked_change(&self.settings, &settings)?;
        work.changed(target, &before, &after, None)?;
        Ok(Some(settings))
    }
}

/// Checks what the node of a new or changed client receives.
pub(super) fn check_client(
    server: &ServerOfClients,
    client_config: &Map<String, Value>,
) -> Result<(), Error> {
    NodeConfig::effective(server.compatibility, &server.server_config, client_config).map(drop)
}

/// Checks what the nodes of a changed server receive. The error names the first client whose node
/// could not use its configuration.
pub(super) fn check_clients(
    server: &NodeServerSettings,
    clients: Vec<ClientConfig>,
) -> Result<(), Error> {
    for client in clients {
        let config = match client.client_config {
            Value::Object(config) => config,
            _ => Map::new(),
        };
        NodeConfig::effective(server.compatibility, &server.server_config, &config)
            .map_err(|error| of_client(client.id, &error))?;
    }
    Ok(())
}

fn of_client(id: i32, error: &Error) -> Error {
    let message = format!("{} (node client {id})", error.message());
    Error::invalid(
        error.code(),
        error.field().unwrap_or("server_config"),
        message,
    )
}

/// The audited field of an archived server or client.
#[derive(Debug, Serialize)]
struct Archived {
    archived_at: Option<DateTime<Utc>>,
}

/// Records in the audit log that `target` was archived.
pub(super) fn record_archived(
    work: &mut Work<'_>,
    target: Target,
    reason: &str,
) -> Result<(), Error> {
    let before = Archived { archived_at: None };
    let after = Archived {
        archived_at: Some(work.now),
    };
    work.changed(target, &before, &after, Some(reason))
}

/// The error of a change of an archived server or client.
pub(super) fn archived(target: Target) -> Error {
    let (kind, id) = target.stored();
    let kind = kind.replace('_', " ");
    Error::new(
        ErrorKind::Conflict,
        "archived",
        format!("The {kind} {id} is archived. Create a new one."),
    )
}

/// Settings for the audit log, with secrets masked.
pub(super) fn masked<S: Settings>(settings: &S) -> Result<Value, Error> {
    Ok(masked_change(settings, settings)?.1)
}

/// Settings before and after a change for the audit log, with secrets masked. A secret that changed
/// is marked.
fn masked_change<S: Settings>(before: &S, after: &S) -> Result<(Value, Value), Error> {
    let fields = |settings: &S| serde_json::to_value(settings).map_err(Error::internal);
    let (mut before, mut after) = (fields(before)?, fields(after)?);
    if let (Some(old), Some(new)) = (before.get_mut(S::CONFIG), after.get_mut(S::CONFIG)) {
        (*old, *new) = secret::mask_change(old, new);
    }
    Ok((before, after))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::domain::node_settings::NodeClientSettings;

    fn client() -> NodeClientSettings {
        serde_json::from_value(json!({ "server_id": 1, "name": "a", "country": "DE" })).unwrap()
    }

    fn patch(value: Value) -> Patch {
        Patch(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let first =
            patch(json!({ "speed_limit": 5, "client_config": { "a": { "b": 1, "c": 2 } } }));
        let second = patch(json!({ "name": "b", "speed_limit": null,
            "client_config": { "a": { "b": null } } }));
        let patched = second.apply(&first.apply(&client()).unwrap()).unwrap();
        let expected = NodeClientSettings {
            name: "b".to_owned(),
            client_config: serde_json::from_value(json!({ "a": { "c": 2 } })).unwrap(),
            ..client()
        };
        assert_eq!(patched, expected);
    }

    #[rstest]
    #[case(json!({ "traffic_factor": "1" }), "traffic_factor")]
    #[case(json!({ "traffic_factor": 0.00005 }), "traffic_factor")]
    #[case(json!({ "name": null }), "name")]
    #[case(json!({ "client_config": [] }), "client_config")]
    #[case(json!({ "id": 1 }), ".")]
    fn an_invalid_patch_names_the_field(#[case] change: Value, #[case] field: &str) {
        let error = patch(change).apply(&client()).unwrap_err();
        assert_eq!(error.field(), Some(field), "{error}");
    }

    #[test]
    fn the_audit_log_shows_which_secret_changed_but_not_the_secret() {
        let of = |key: &str| {
            let config = json!({ "client_config": { "port": 443, "list": [1], "key": key } });
            patch(config).apply(&client()).unwrap()
        };
        let (before, after) = masked_change(&of("first"), &of("second")).unwrap();
        assert_eq!(before["client_config"]["key"], "********");
        assert_eq!(after["client_config"]["key"], "******** (changed)");
        let (_, same) = masked_change(&of("first"), &of("first")).unwrap();
        assert_eq!(same, before);
    }
}
