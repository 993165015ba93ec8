//! The fields of a configuration, and the forms of their values.

use serde_json::{Map, Value};

use crate::error::Error;

/// The form that node software requires of a value. Most of it refuses a number in place of a text,
/// so a value of another type makes the whole configuration unreadable.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// A number from 1 to 65535.
    Port,
    /// A port as a text.
    PortText,
    /// A text, which may be empty.
    Text,
    /// A text that is not empty.
    FilledText,
    /// A text of digits.
    DigitsText,
    /// One of the named texts.
    OneOf(&'static [&'static str]),
    /// A whole number of this range.
    Whole(i64, i64),
    /// The value `true` or `false`.
    Flag,
    /// An object with any fields.
    Object,
    /// A list of any values.
    List,
    /// A list of texts.
    Texts,
}

impl Form {
    fn matches(self, value: &Value) -> bool {
        match self {
            Self::Port => matches!(value.as_i64(), Some(1..=65_535)),
            Self::PortText => value.as_str().is_some_and(|text| port(text).is_some()),
            Self::Text => value.is_string(),
            Self::FilledText => value.as_str().is_some_and(|text| !text.trim().is_empty()),
            Self::DigitsText => value.as_str().is_some_and(|text| {
                !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
            }),
            Self::OneOf(texts) => value.as_str().is_some_and(|text| texts.contains(&text)),
            Self::Whole(least, most) => value
                .as_i64()
                .is_some_and(|number| (least..=most).contains(&number)),
            Self::Flag => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::List => value.is_array(),
            Self::Texts => value
                .as_array()
                .is_some_and(|list| list.iter().all(Value::is_string)),
        }
    }

    /// What is accepted, worded for the end of an error message.
    fn accepted(self) -> String {
        match self {
            Self::Port => "a port from 1 to 65535".to_owned(),
            Self::PortText => "a port from 1 to 65535 as a text, such as \"443\"".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::FilledText => "a text that is not empty".to_owned(),
            Self::DigitsText => "a number as a text, such as \"0\"".to_owned(),
            Self::OneOf(texts) => format!("one of: {}", texts.join(", ")),
            Self::Whole(least, most) => super::super::whole_numbers(least, most),
            Self::Flag => "true or false".to_owned(),
            Self::Object => "an object".to_owned(),
            Self::List => "a list".to_owned(),
            Self::Texts => "a list of texts".to_owned(),
        }
    }
}

/// The port in a text.
pub(super) fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// A field, whose name may contain names of nested fields after dots, and its form.
pub(super) type Rule<'n> = (&'n str, Form);

/// The configuration of a server, overlaid by that of a client: a field of the client replaces the
/// field of the server as a whole. `null` counts as no value.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) server: &'a Map<String, Value>,
    pub(super) client: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The value of a field. `None` if there is none.
    pub(super) fn get(&self, path: &str) -> Option<&'a Value> {
        let mut names = path.split('.');
        let first = names.next()?;
        let first = self.client.get(first).or_else(|| self.server.get(first));
        names
            .fold(first, |value, name| value?.get(name))
            .filter(|value| !value.is_null())
    }

    /// The value of a field that is a text, or an empty text.
    pub(super) fn text(&self, path: &str) -> &'a str {
        self.get(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// All fields in one object.
    pub(super) fn merged(&self) -> Map<String, Value> {
        let mut merged = self.server.clone();
        merged.extend(self.client.clone());
        merged
    }

    /// Checks the fields that have a value.
    pub(super) fn check(&self, rules: &[Rule<'_>]) -> Result<(), Error> {
        let broken = rules.iter().find(|(path, form)| {
            let value = self.get(path);
            value.is_some_and(|value| !form.matches(value))
        });
        broken.map_or(Ok(()), |(path, form)| {
            Err(self.invalid(path, &form.accepted()))
        })
    }

    /// Checks the fields of the object in the field `parent`, and that it is an object.
    pub(super) fn check_object(&self, parent: &str, rules: &[Rule<'_>]) -> Result<(), Error> {
        if self.get(parent).is_some_and(|value| !value.is_object()) {
            return Err(self.invalid(parent, &Form::Object.accepted()));
        }
        for (name, form) in rules {
            let path = format!("{parent}.{name}");
            if self.get(&path).is_some_and(|value| !form.matches(value)) {
                return Err(self.invalid(&path, &form.accepted()));
            }
        }
        Ok(())
    }

    /// Checks the fields, each of which must have a value.
    pub(super) fn require(&self, rules: &[Rule<'_>]) -> Result<(), Error> {
        self.check(rules)?;
        let missing = rules.iter().find(|(path, _)| self.get(path).is_none());
        missing.map_or(Ok(()), |(path, form)| {
            Err(self.missing(path, &form.accepted()))
        })
    }

    /// The error for a field with an invalid value. `accepted` completes "expected …".
    pub(super) fn invalid(&self, path: &str, accepted: &str) -> Error {
        Error::parameter(&self.named(path), accepted)
    }

    /// The error for a field without a value. `accepted` completes "expected …".
    pub(super) fn missing(&self, path: &str, accepted: &str) -> Error {
        let message = format!("is missing, and a node needs it; expected {accepted}");
        Error::invalid("invalid_parameter", self.named(path), message)
    }

    /// The path of a field in the settings. A field that neither has belongs to the server.
    fn named(&self, path: &str) -> String {
        let name = path.split(['.', '[']).next().unwrap_or(path);
        let owner = if self.client.contains_key(name) {
            "client_config"
        } else {
            "server_config"
        };
        format!("{owner}.{path}")
    }
}
