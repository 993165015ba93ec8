//! Texts with placeholders such as `$SERVER`.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values by the name of their placeholder, without the `$`.
#[derive(Debug, Clone, Default)]
pub struct Placeholders(BTreeMap<String, Value>);

impl Placeholders {
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// `text` with the value in place of each placeholder.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let mut parts = text.split('$');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_at(name_length(part));
            match self.0.get(name) {
                Some(Value::String(value)) => filled.push_str(value),
                Some(value) => filled.push_str(&value.to_string()),
                None => panic!("${name} has no value in {text}"),
            }
            filled.push_str(rest);
        }
        filled
    }
}

/// Length of the name at the start of `text`.
#[must_use]
pub fn name_length(text: &str) -> usize {
    text.find(|letter: char| !letter.is_ascii_uppercase() && letter != '_')
        .unwrap_or(text.len())
}
