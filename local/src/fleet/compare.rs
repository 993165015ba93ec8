//! Compares a row of a file with the server or client that it stands for.

use serde_json::Value;
use shared::domain::node_settings::{NodeClientSettings, NodeServerSettings, Settings};
use shared::error::Error;
use shared::events;

use super::config::{ConfigDiff, same, without_masks};
use super::report::{Action, FieldChange, Outcome, RowReport};
use super::step::{Fault, Pair, Place, Send, Step, fault};
use super::{Fields, Kind};

/// Returns what is sent for a row, which is checked by the rules of the API. `new_server` is the
/// name of the server that the file creates for a client.
pub fn compare(pair: Pair<'_>, new_server: Option<&str>) -> Result<Step, Fault> {
    let stored = pair.existing.map(|found| &found.fields);
    let given = given_settings(pair);
    let config = compare_config(pair.kind, &given, stored)?;
    let checked = match pair.kind {
        Kind::Server => checked::<NodeServerSettings>(pair.kind, &given, stored),
        Kind::Client => checked::<NodeClientSettings>(pair.kind, &given, stored),
    }?;
    let (mut changes, mut patch) = compare_fields(pair.kind, &given, &checked, stored);
    changes.extend(config.changes);
    if !config.patch.is_empty() {
        patch.insert(pair.kind.config().to_owned(), config.patch.into());
    }
    let server = match pair.place {
        Some(Place::New(server)) => patch.remove("server_id").map(|_| server),
        _ => None,
    };
    let server_change = changes
        .iter_mut()
        .find(|change| change.field == "server_id");
    if let (Some(change), Some(name)) = (server_change, new_server) {
        change.after = format!("new: {name}").into();
    }
    let (action, send) = match pair.existing {
        None => (Action::Create, Send::Create(patch, pair.index)),
        Some(_) if patch.is_empty() && server.is_none() => (Action::Unchanged, Send::Nothing),
        Some(found) => (Action::Update, Send::Update(patch, found.revision)),
    };
    let name = checked.get("name").and_then(Value::as_str);
    Ok(Step {
        row: RowReport {
            kind: pair.kind.name(),
            source: Some(pair.row.source.clone()),
            id: pair.existing.map(|found| found.id),
            name: name.unwrap_or_default().to_owned(),
            action,
            changes,
            left_out: config.left_out,
            outcome: Outcome::Planned,
        },
        kind: pair.kind,
        send,
        new_server: server,
    })
}

/// The settings that a row has. A new server has no id yet, so the check of its clients uses a
/// valid id that is never sent.
fn given_settings(pair: Pair<'_>) -> Fields {
    let mut given: Fields = pair.row.fields.clone();
    let is_setting = |name: &str| pair.kind.settings().contains(&name) && name != "server_id";
    given.retain(|name, _| is_setting(name));
    if let Some(place) = pair.place {
        let id = match place {
            Place::Exists(id) => id,
            Place::New(_) => 1,
        };
        given.insert("server_id".to_owned(), id.into());
    }
    given
}

/// Compares the configuration. A row without one leaves the stored one as it is.
fn compare_config(
    kind: Kind,
    given: &Fields,
    stored: Option<&Fields>,
) -> Result<ConfigDiff, Fault> {
    let Some(config) = given.get(kind.config()).filter(|config| config.is_object()) else {
        return Ok(ConfigDiff::default());
    };
    let stored = stored.and_then(|fields| fields.get(kind.config()));
    let diff = ConfigDiff::of(kind.config(), config, stored);
    match diff.masked_lists.first() {
        None => Ok(diff),
        Some(path) => Err(fault(
            path,
            "a list that changes has a mask; expected the secret itself",
        )),
    }
}

/// The settings after the import, as the API would store them but for the secrets.
fn checked<S: Settings>(
    kind: Kind,
    given: &Fields,
    stored: Option<&Fields>,
) -> Result<Fields, Fault> {
    let mut settings = stored.cloned().unwrap_or_default();
    settings.retain(|name, _| kind.settings().contains(&name.as_str()));
    settings.extend(given.clone());
    if let Some(config) = settings.get_mut(kind.config()) {
        *config = without_masks(config);
    }
    let settings = events::parse::<S>(&Value::Object(settings).to_string());
    let settings = settings.and_then(S::checked);
    match settings.map(serde_json::to_value) {
        Ok(Ok(Value::Object(fields))) => Ok(fields),
        Ok(_) => Err(fault(".", "cannot be written as JSON")),
        Err(error) => Err(of_error(&error)),
    }
}

fn of_error(error: &Error) -> Fault {
    fault(error.field().unwrap_or("."), error.message())
}

/// The fields but the configuration that change, and the part of the request body with them. A new
/// row sends all fields.
fn compare_fields(
    kind: Kind,
    given: &Fields,
    checked: &Fields,
    stored: Option<&Fields>,
) -> (Vec<FieldChange>, Fields) {
    let (mut changes, mut patch) = (Vec::new(), Fields::new());
    for field in kind
        .settings()
        .iter()
        .filter(|field| **field != kind.config())
    {
        let is_given = given.contains_key(*field);
        let before = stored.and_then(|fields| fields.get(*field));
        let after = checked.get(*field).cloned().unwrap_or_default();
        let is_same = before.is_some_and(|before| same(before, &after));
        if is_same || (stored.is_some() && !is_given) {
            continue;
        }
        if is_given {
            changes.push(FieldChange {
                field: (*field).to_owned(),
                before: before.cloned().unwrap_or_default(),
                after: after.clone(),
            });
        }
        patch.insert((*field).to_owned(), after);
    }
    (changes, patch)
}
