//! Single values, from messages and into messages.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Timestamp, Value};
use proto::v1;
use shared::domain::time_range::{YEARS, in_years};
use shared::error::Error;
use uuid::Uuid;

/// A moment.
pub fn timestamp(at: DateTime<Utc>) -> Timestamp {
    let nanos = at.timestamp_subsec_nanos().try_into().unwrap_or_default();
    Timestamp {
        seconds: at.timestamp(),
        nanos,
    }
}

/// A moment that a request names.
pub fn moment(field: &str, timestamp: Option<Timestamp>) -> Result<Option<DateTime<Utc>>, Error> {
    let read = |at: Timestamp| {
        let nanos = u32::try_from(at.nanos).ok()?;
        DateTime::from_timestamp(at.seconds, nanos)
            .filter(|_| nanos < 1_000_000_000)
            .and_then(in_years)
    };
    let refused = || {
        Error::parameter(
            field,
            &format!("a timestamp {YEARS}, with nanos from 0 to 999999999"),
        )
    };
    timestamp.map(|at| read(at).ok_or_else(refused)).transpose()
}

/// A number of which 0 means that it is not given, as proto3 has it.
pub fn given(number: impl Into<i64>) -> Option<i64> {
    Some(number.into()).filter(|number| *number != 0)
}

/// A UUID, empty where it is not given.
pub fn uuid(field: &str, text: &str) -> Result<Option<Uuid>, Error> {
    let read = |text: &str| text.parse().map_err(|_| Error::parameter(field, "a UUID"));
    Some(text)
        .filter(|text| !text.is_empty())
        .map(read)
        .transpose()
}

/// An enumeration whose names begin with its own.
pub trait Enumeration: TryFrom<i32> {
    /// How its names begin.
    const PREFIX: &'static str;

    /// The whole name.
    fn name(self) -> &'static str;
}

macro_rules! enumeration {
    ($type:ty, $prefix:literal) => {
        impl Enumeration for $type {
            const PREFIX: &'static str = $prefix;

            fn name(self) -> &'static str {
                self.as_str_name()
            }
        }
    };
}
enumeration!(v1::RecentRange, "RECENT_RANGE_");
enumeration!(v1::NodeServerStatus, "NODE_SERVER_STATUS_");
enumeration!(v1::PackageQueueStatus, "PACKAGE_QUEUE_STATUS_");

/// The value of an enumeration that must be given, by the name that the rest of the system has for
/// it.
pub fn named<E: Enumeration, T: FromStr>(field: &str, number: i32) -> Result<T, Error> {
    let name = |number| Some(E::try_from(number).ok().filter(|_| number != 0)?.name());
    let known =
        name(number).and_then(|name| name.strip_prefix(E::PREFIX)?.to_lowercase().parse().ok());
    let accepted = || (1..).map_while(|number| Some(format!("{} ({number})", name(number)?)));
    known.ok_or_else(|| {
        let accepted = accepted().collect::<Vec<_>>().join(", ");
        Error::parameter(field, &format!("one of: {accepted}"))
    })
}

/// The same of one that need not be given: 0 is none.
pub fn named_or_none<E: Enumeration, T: FromStr>(
    field: &str,
    number: i32,
) -> Result<Option<T>, Error> {
    (number != 0)
        .then(|| named::<E, T>(field, number))
        .transpose()
}

/// A JSON object; anything else becomes an object without fields, as configuration is always an
/// object.
pub fn structure(value: serde_json::Value) -> Struct {
    match value {
        serde_json::Value::Object(fields) => Struct {
            fields: fields
                .into_iter()
                .map(|(name, value)| (name, json(value)))
                .collect(),
        },
        _ => Struct::default(),
    }
}

fn json(value: serde_json::Value) -> Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(value),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(json).collect(),
        }),
        object @ serde_json::Value::Object(_) => Kind::StructValue(structure(object)),
    };
    Value { kind: Some(kind) }
}
