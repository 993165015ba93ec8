//! Comparison of an answer with the shortened one that the guide shows.

use serde_json::{Value, json};
use telecom_tests::placeholders::{Placeholders, name_length};
use telecom_tests::plain::plain;

/// Stands for any number of elements at the start of an array.
const OMITTED: &str = "…";

/// An answer of the guide as JSON. A placeholder that is a number in the guide, and `…`, become
/// texts.
#[must_use]
pub fn parse(text: &str) -> Value {
    let mut json = String::new();
    for (position, part) in text.split('"').enumerate() {
        if position > 0 {
            json.push('"');
        }
        let is_text = position % 2 == 1;
        if is_text {
            json.push_str(part);
        } else {
            quote_placeholders(part, &mut json);
        }
    }
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn quote_placeholders(part: &str, json: &mut String) {
    let part = part.replace(OMITTED, &format!("\"{OMITTED}\""));
    let mut parts = part.split('$');
    json.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_at(name_length(part));
        json.extend(["\"$", name, "\"", rest]);
    }
}

/// Compares the fields that `shown` has with those of an answer. Sets the placeholders that have no
/// value yet. Returns the first difference.
pub fn compare(shown: &Value, answer: &Value, values: &mut Placeholders) -> Result<(), String> {
    let differs = || Err(format!("shown: {shown}, but the answer is {answer}"));
    match (shown, answer) {
        (Value::String(text), _) if text.starts_with('$') => {
            let name = &text[1..];
            let is_known = values.get(name).is_some();
            if !is_known && !answer.is_null() {
                values.set(name, answer.clone());
            }
            let text = answer
                .as_str()
                .map_or_else(|| answer.to_string(), str::to_owned);
            if values.fill(&format!("${name}")) == text {
                return Ok(());
            }
            differs()
        }
        (Value::Object(fields), Value::Object(_)) => {
            for (name, field) in fields {
                compare(field, answer.get(name).unwrap_or(&Value::Null), values)
                    .map_err(|error| format!("{name}: {error}"))?;
            }
            Ok(())
        }
        (Value::Array(shown), Value::Array(elements)) => {
            let omits = shown.first() == Some(&json!(OMITTED));
            let shown = if omits { &shown[1..] } else { shown };
            let Some(skipped) = elements.len().checked_sub(shown.len()) else {
                return differs();
            };
            if skipped > 0 && !omits {
                return differs();
            }
            let pairs = shown.iter().zip(&elements[skipped..]);
            for (shown, element) in pairs {
                compare(shown, element, values)?;
            }
            Ok(())
        }
        _ if plain(shown.clone()) == *answer => Ok(()),
        _ => differs(),
    }
}

/// Copies of an answer of the guide, each with another number or time in one place.
#[must_use]
pub fn with_one_mistake(shown: &Value) -> Vec<Value> {
    match shown {
        Value::Number(number) => {
            let wrong = number.as_i64().map(|number| json!(number + 1));
            vec![wrong.unwrap_or_else(|| json!(number.as_f64().unwrap() + 0.5))]
        }
        Value::String(time) if time.ends_with("00Z") => vec![json!(time.replace("00Z", "01Z"))],
        Value::Array(elements) => {
            let inner = elements.iter().enumerate();
            let wrong = inner.flat_map(|(index, element)| {
                let replace = move |wrong| {
                    let mut copy = elements.clone();
                    copy[index] = wrong;
                    Value::Array(copy)
                };
                with_one_mistake(element).into_iter().map(replace)
            });
            wrong.collect()
        }
        Value::Object(fields) => {
            let wrong = fields.iter().flat_map(|(name, field)| {
                let replace = move |wrong| {
                    let mut copy = fields.clone();
                    copy.insert(name.clone(), wrong);
                    Value::Object(copy)
                };
                with_one_mistake(field).into_iter().map(replace)
            });
            wrong.collect()
        }
        _ => Vec::new(),
    }
}
