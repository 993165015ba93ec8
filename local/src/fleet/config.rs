//! Compares configurations whose secrets are masked.

use serde_json::{Map, Value};
use shared::domain::secret::{self, MASK};

use super::Fields;
use super::report::FieldChange;

/// Follows the mask of a secret that the file contains. It cannot be compared with the stored one.
const FROM_FILE: &str = " (from the file)";

/// What turns a stored configuration into that of a file.
#[derive(Debug, Default, PartialEq)]
pub struct ConfigDiff {
    /// JSON merge patch. For a new configuration, the configuration itself.
    pub patch: Fields,
    pub changes: Vec<FieldChange>,
    /// Fields that are masked in the file and not stored.
    pub left_out: Vec<String>,
    /// Lists that differ from the stored ones and contain a mask. They cannot be patched.
    pub masked_lists: Vec<String>,
}

impl ConfigDiff {
    /// Compares `given` of a file with `stored`. `name` is the field of the configuration. A field
    /// with `null` counts as missing, because a merge patch cannot set it.
    #[must_use]
    pub fn of(name: &str, given: &Value, stored: Option<&Value>) -> Self {
        let mut shown = given.clone();
        secret::mask(&mut shown);
        let [given, shown] = [given, &shown].map(without_nulls);
        let stored = stored.map(without_nulls);
        let mut diff = Self::default();
        diff.patch = diff.walk(
            name,
            given.as_object().unwrap_or(&Map::new()),
            shown.as_object(),
            stored.as_ref().and_then(Value::as_object),
        );
        diff
    }

    fn walk(
        &mut self,
        at: &str,
        given: &Fields,
        shown: Option<&Fields>,
        stored: Option<&Fields>,
    ) -> Fields {
        let mut patch = Fields::new();
        for (name, value) in given {
            let field = format!("{at}.{name}");
            let shown = shown.and_then(|fields| fields.get(name));
            let stored = stored.and_then(|fields| fields.get(name));
            if let Some(change) = self.compare(&field, value, shown, stored) {
                patch.insert(name.clone(), change);
            }
        }
        let removed = stored
            .into_iter()
            .flatten()
            .filter(|(name, _)| !given.contains_key(*name));
        for (name, before) in removed {
            self.change(format!("{at}.{name}"), before.clone(), Value::Null);
            patch.insert(name.clone(), Value::Null);
        }
        patch
    }

    /// The value in the patch. `None` if the stored value stays.
    fn compare(
        &mut self,
        field: &str,
        given: &Value,
        shown: Option<&Value>,
        stored: Option<&Value>,
    ) -> Option<Value> {
        if let Value::Object(fields) = given {
            let of_stored = stored.and_then(Value::as_object);
            let patch = self.walk(field, fields, shown.and_then(Value::as_object), of_stored);
            let is_needed = of_stored.is_none() || !patch.is_empty();
            return is_needed.then_some(Value::Object(patch));
        }
        match stored {
            None if contains_mask(given) => {
                self.left_out.push(field.to_owned());
                return None;
            }
            Some(_) if *given == MASK => return None,
            Some(stored) if *stored != MASK && same(given, stored) => return None,
            Some(_) if contains_mask(given) => {
                self.masked_lists.push(field.to_owned());
                return None;
            }
            _ => {}
        }
        let mut after = shown.cloned().unwrap_or_else(|| MASK.into());
        if let Value::String(text) = &mut after
            && text == MASK
        {
            text.push_str(FROM_FILE);
        }
        self.change(field.to_owned(), stored.cloned().unwrap_or_default(), after);
        Some(given.clone())
    }

    fn change(&mut self, field: String, before: Value, after: Value) {
        self.changes.push(FieldChange {
            field,
            before,
            after,
        });
    }
}

/// A configuration without its masked values, for checks of all others.
#[must_use]
pub fn without_masks(config: &Value) -> Value {
    match config {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| value.is_object() || !contains_mask(value))
            .map(|(name, value)| (name.clone(), without_masks(value)))
            .collect::<Fields>()
            .into(),
        other => other.clone(),
    }
}

/// Whether two values are equal, however their numbers are written.
#[must_use]
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            a.as_f64() == b.as_f64()
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let is_in_b = |(name, a): (&String, &Value)| b.get(name).is_some_and(|b| same(a, b));
            a.len() == b.len() && a.iter().all(is_in_b)
        }
        _ => one == other,
    }
}

fn contains_mask(value: &Value) -> bool {
    match value {
        Value::String(text) => text == MASK,
        Value::Array(values) => values.iter().any(contains_mask),
        Value::Object(fields) => fields.values().any(contains_mask),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The value without the fields of objects that are `null`. Lists stay as they are, because a patch
/// replaces them as a whole.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), without_nulls(value)))
            .collect::<Fields>()
            .into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const PORT: &str = "server_port";

    #[rstest]
    #[case(json!({ PORT: 443 }), json!({ PORT: 443 }), json!({}))]
    #[case(json!({ PORT: 1e3 }), json!({ PORT: 1000 }), json!({}))]
    #[case(json!({ PORT: 8443 }), json!({ PORT: 443 }), json!({ PORT: 8443 }))]
    #[case(json!({}), json!({ PORT: 443 }), json!({ PORT: null }))]
    #[case(json!({ "a": { "b": 1, "c": 2 } }), json!({ "a": { "b": 1, "d": 3 } }),
        json!({ "a": { "c": 2, "d": null } }))]
    #[case(json!({ "a": { "b": 1 } }), json!({ "a": 5 }), json!({ "a": { "b": 1 } }))]
    #[case(json!({ "a": {} }), json!({}), json!({ "a": {} }))]
    #[case(json!({ "a": null }), json!({}), json!({}))]
    #[case(json!({}), json!({ "a": { "b": null } }), json!({ "a": null }))]
    #[case(json!({ "key": MASK }), json!({ "key": MASK }), json!({}))]
    #[case(json!({ "key": MASK }), json!({ "key": "" }), json!({}))]
    #[case(json!({ "key": "new" }), json!({ "key": MASK }), json!({ "key": "new" }))]
    #[case(json!({ "routes": [{ "match": MASK }] }), json!({ "routes": [{ "match": MASK }] }),
        json!({}))]
    fn the_patch_turns_the_stored_configuration_into_the_given_one(
        #[case] given: Value,
        #[case] stored: Value,
        #[case] patch: Value,
    ) {
        let diff = ConfigDiff::of("server_config", &given, Some(&stored));
        assert_eq!(Value::Object(diff.patch), patch);
        assert_eq!((diff.left_out.len(), diff.masked_lists.len()), (0, 0));
    }

    #[test]
    fn a_new_configuration_has_no_masks() {
        let given = json!({ PORT: 443, "key": MASK, "tls": { "key": MASK, "a": 1 }, "l": [MASK] });
        let diff = ConfigDiff::of("server_config", &given, None);
        assert_eq!(
            Value::Object(diff.patch),
            json!({ PORT: 443, "tls": { "a": 1 } })
        );
        let left_out = ["key", "l", "tls.key"].map(|path| format!("server_config.{path}"));
        assert_eq!(diff.left_out, left_out);
    }

    #[test]
    fn a_list_with_a_mask_that_differs_is_refused() {
        let stored = json!({ "routes": [{ "match": MASK }] });
        let given = json!({ "routes": [{ "match": MASK }, { "match": MASK }] });
        let diff = ConfigDiff::of("server_config", &given, Some(&stored));
        assert_eq!(diff.masked_lists, ["server_config.routes"]);
        assert!(diff.patch.is_empty());
    }

    #[test]
    fn a_secret_of_the_file_is_not_shown() {
        let given = json!({ "server_key": "very secret", "obfs": { "x": "also secret" } });
        let diff = ConfigDiff::of(
            "server_config",
            &given,
            Some(&json!({ "server_key": MASK })),
        );
        let shown = serde_json::to_string(&diff.changes).unwrap();
        assert!(!shown.contains("secret\""), "{shown}");
        assert_eq!(diff.changes.len(), 2, "{shown}");
    }
}
