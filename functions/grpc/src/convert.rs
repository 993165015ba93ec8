//! Single values, from messages and into messages.

use chrono::{DateTime, Utc};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Timestamp, Value};
use shared::error::Error;
use strum::VariantNames;
use uuid::Uuid;

/// A moment.
pub fn timestamp(at: DateTime<Utc>) -> Timestamp {
    let nanos = at.timestamp_subsec_nanos().try_into().unwrap_or_default();
    Timestamp { seconds: at.timestamp(), nanos }
}

/// A moment that a request names.
pub fn moment(field: &str, timestamp: Option<Timestamp>) -> Result<Option<DateTime<Utc>>, Error> {
    let read = |at: Timestamp| {
        let nanos = u32::try_from(at.nanos).ok()?;
        // What google.protobuf.Timestamp allows: the years 1 to 9999.
        let seconds = Some(at.seconds).filter(|seconds| (-62_135_596_800..=253_402_300_799).contains(seconds))?;
        DateTime::from_timestamp(seconds, nanos).filter(|_| nanos < 1_000_000_000)
    };
    let accepted = || Error::parameter(field, "moments from year 1 to 9999, nanos from 0 to 999999999");
    timestamp.map(|at| read(at).ok_or_else(accepted)).transpose()
}

/// A number of which 0 means that it is not given, as proto3 has it.
pub fn given(number: impl Into<i64>) -> Option<i64> {
    Some(number.into()).filter(|number| *number != 0)
}

/// A UUID, empty where it is not given.
pub fn uuid(field: &str, text: &str) -> Result<Option<Uuid>, Error> {
    let read = |text: &str| text.parse().map_err(|_| Error::parameter(field, "UUIDs"));
    Some(text).filter(|text| !text.is_empty()).map(read).transpose()
}

/// The value of an enumeration, by the name that the rest of the system has for it; none where it is not given.
pub fn named<E, T>(field: &str, number: i32, name: impl Fn(E) -> &'static str, prefix: &str) -> Result<Option<T>, Error>
where
    E: TryFrom<i32>,
    T: std::str::FromStr + VariantNames,
{
    if number == 0 {
        return Ok(None);
    }
    let known = E::try_from(number).ok().map(name).and_then(|name| name.strip_prefix(prefix));
    let known = known.and_then(|name| name.to_lowercase().parse().ok());
    known.map(Some).ok_or_else(|| Error::parameter(field, &T::VARIANTS.join(", ")))
}

/// A JSON object; anything else becomes an object without fields, as configuration is always an object.
pub fn structure(value: serde_json::Value) -> Struct {
    match value {
        serde_json::Value::Object(fields) => {
            Struct { fields: fields.into_iter().map(|(name, value)| (name, json(value))).collect() }
        }
        _ => Struct::default(),
    }
}

fn json(value: serde_json::Value) -> Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(value),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.into_iter().map(json).collect() })
        }
        object @ serde_json::Value::Object(_) => Kind::StructValue(structure(object)),
    };
    Value { kind: Some(kind) }
}
