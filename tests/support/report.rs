//! Bodies of usage reports.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{NOW, SERVER, at};

/// A report of [`SERVER`] for the minute before [`NOW`].
#[must_use]
pub fn report(id: u128, usage: &[(Uuid, i64, i64)]) -> Value {
    report_of(id, SERVER, at(NOW), usage)
}

/// A report of a server for the minute before `end`.
#[must_use]
pub fn report_of(id: u128, server: i32, end: DateTime<Utc>, usage: &[(Uuid, i64, i64)]) -> Value {
    let lines: Vec<Value> = usage
        .iter()
        .map(|(user, upload, download)| {
            json!({ "user": user, "upload": upload,
            "download": download })
        })
        .collect();
    json!({
        "type": "usage.report.v1",
        "report_id": Uuid::from_u128(id),
        "server_id": server,
        "period_start": end - TimeDelta::minutes(1),
        "period_end": end,
        "usage": lines,
    })
}

/// `value` with the field at a JSON pointer set.
#[must_use]
pub fn with(mut value: Value, pointer: &str, field: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[name] = field;
    value
}

/// JSON bodies as strings.
#[must_use]
pub fn texts(values: &[Value]) -> Vec<String> {
    values.iter().map(Value::to_string).collect()
}
