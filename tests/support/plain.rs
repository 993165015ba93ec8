//! Responses without what the transports represent differently.

use serde_json::{Map, Number, Value};

/// Normalizes what the transports represent differently: names of enumerations, absent values,
/// integers and timestamps.
#[must_use]
pub fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, plain(value)));
            Value::Object(
                fields
                    .filter(|(_, value)| !is_absent(value))
                    .collect::<Map<_, _>>(),
            )
        }
        Value::Array(values) => Value::Array(values.into_iter().map(plain).collect()),
        Value::Number(number) => Value::Number(plain_number(&number)),
        Value::String(text) => Value::String(plain_text(&text)),
        other => other,
    }
}

fn is_absent(value: &Value) -> bool {
    value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty)
}

fn plain_number(number: &Number) -> Number {
    let whole = number
        .as_i64()
        .or_else(|| number.to_string().strip_suffix(".0")?.parse().ok());
    whole.map_or_else(
        || Number::from_f64(number.as_f64().unwrap()).unwrap(),
        Number::from,
    )
}

#[must_use]
pub fn plain_text(text: &str) -> String {
    const PREFIXES: [&str; 20] = [
        "DELIVERY_FAILURE_",
        "DELIVERY_STATUS_",
        "DRIFT_KIND_",
        "JOB_OUTCOME_",
        "LONG_RANGE_",
        "NODE_PROTOCOL_",
        "NODE_SOFTWARE_",
        "NODE_SERVER_STATUS_",
        "NODE_SERVER_COMPATIBILITY_",
        "PACKAGE_QUEUE_STATUS_",
        "PACKAGE_END_REASON_",
        "PUSH_DECISION_",
        "PUSH_DOUBT_",
        "QUARANTINE_REASON_",
        "RECENT_RANGE_",
        "TOP_MEASURE_",
        "TOP_NODE_KIND_",
        "USAGE_GROUPING_",
        "USAGE_INTERVAL_",
        "WEBHOOK_END_",
    ];
    if [
        "DELIVERY_FAILURE_UNSPECIFIED",
        "WEBHOOK_END_UNSPECIFIED",
        "JOB_OUTCOME_UNSPECIFIED",
        "PACKAGE_END_REASON_UNSPECIFIED",
        "PUSH_DECISION_UNSPECIFIED",
    ]
    .contains(&text)
    {
        return String::new();
    }
    if let Some(name) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        return name.to_lowercase();
    }
    match chrono::DateTime::parse_from_rfc3339(text) {
        Ok(at) => at.to_utc().to_rfc3339(),
        Err(_) => text.to_owned(),
    }
}
