//! Conversion of single values from and to protobuf messages.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Timestamp, Value};
use proto::v1;
use serde_json::{Map, Number};
use shared::domain::time_range::{YEARS, in_years};
use shared::error::Error;
use uuid::Uuid;

pub fn timestamp(at: DateTime<Utc>) -> Timestamp {
    let nanos = at.timestamp_subsec_nanos().try_into().unwrap_or_default();
    Timestamp {
        seconds: at.timestamp(),
        nanos,
    }
}

/// The timestamp in a field of a request.
pub fn requested_time(
    field: &str,
    timestamp: Option<Timestamp>,
) -> Result<Option<DateTime<Utc>>, Error> {
    let read = |at: Timestamp| {
        let nanos = u32::try_from(at.nanos).ok()?;
        DateTime::from_timestamp(at.seconds, nanos)
            .filter(|_| nanos < 1_000_000_000)
            .and_then(in_years)
    };
    let invalid = || {
        Error::parameter(
            field,
            &format!("a timestamp {YEARS}, with nanos from 0 to 999999999"),
        )
    };
    timestamp.map(|at| read(at).ok_or_else(invalid)).transpose()
}

/// The timestamp in a required field of a request.
pub fn required_time(field: &str, timestamp: Option<Timestamp>) -> Result<DateTime<Utc>, Error> {
    let time = requested_time(field, timestamp)?;
    time.ok_or_else(|| Error::parameter(field, "a timestamp"))
}

/// A proto3 number without presence, in which 0 means that it is not set.
pub fn given(number: impl Into<i64>) -> Option<i64> {
    Some(number.into()).filter(|number| *number != 0)
}

/// The UUID in a field of a request. `None` if the text is empty.
pub fn uuid(field: &str, text: &str) -> Result<Option<Uuid>, Error> {
    let read = |text: &str| text.parse().map_err(|_| Error::parameter(field, "a UUID"));
    given_text(text).map(read).transpose()
}

/// A proto3 text without presence, in which an empty text means that it is not set.
pub fn given_text(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The UUID in a required field of a request.
pub fn required_uuid(field: &str, text: &str) -> Result<Uuid, Error> {
    uuid(field, text)?.ok_or_else(|| Error::parameter(field, "a UUID"))
}

/// A protobuf enumeration whose value names begin with a common prefix.
pub trait Enumeration: TryFrom<i32> {
    const PREFIX: &'static str;

    /// The name of the value, with the prefix.
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
enumeration!(v1::LongRange, "LONG_RANGE_");
enumeration!(v1::NodeServerCompatibility, "NODE_SERVER_COMPATIBILITY_");
enumeration!(v1::NodeServerStatus, "NODE_SERVER_STATUS_");
enumeration!(v1::PackageQueueStatus, "PACKAGE_QUEUE_STATUS_");
enumeration!(v1::NodeProtocol, "NODE_PROTOCOL_");
enumeration!(v1::NodeSoftware, "NODE_SOFTWARE_");
enumeration!(v1::JobOutcome, "JOB_OUTCOME_");
enumeration!(v1::PushDoubt, "PUSH_DOUBT_");
enumeration!(v1::DoubtState, "DOUBT_STATE_");
enumeration!(v1::PushRemedy, "PUSH_REMEDY_");
enumeration!(v1::DriftKind, "DRIFT_KIND_");
enumeration!(v1::QuarantineReason, "QUARANTINE_REASON_");
enumeration!(v1::QuarantineState, "QUARANTINE_STATE_");
enumeration!(v1::UsageInterval, "USAGE_INTERVAL_");
enumeration!(v1::UsageGrouping, "USAGE_GROUPING_");
enumeration!(v1::TopMeasure, "TOP_MEASURE_");
enumeration!(v1::TopNodeKind, "TOP_NODE_KIND_");
enumeration!(v1::DeliveryStatus, "DELIVERY_STATUS_");

/// Converts a required enumeration value to the type of the same name in `shared`.
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

/// Like [`named`], for an optional value. `None` if it is 0.
pub fn named_or_none<E: Enumeration, T: FromStr>(
    field: &str,
    number: i32,
) -> Result<Option<T>, Error> {
    (number != 0)
        .then(|| named::<E, T>(field, number))
        .transpose()
}

/// Like [`named`], for an optional value. The default if it is 0.
pub fn named_or_default<E: Enumeration, T: FromStr + Default>(
    field: &str,
    number: i32,
) -> Result<T, Error> {
    Ok(named_or_none::<E, T>(field, number)?.unwrap_or_default())
}

/// Converts a JSON object. Any other value becomes an empty struct, because a configuration is
/// always an object.
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

/// The JSON object in a field of a request. Empty if it is absent.
pub fn object(
    field: &str,
    object: Option<Struct>,
) -> Result<Map<String, serde_json::Value>, Error> {
    let invalid = || Error::parameter(field, "values that JSON can express, such as no NaN");
    fields(object.unwrap_or_default()).ok_or_else(invalid)
}

fn fields(object: Struct) -> Option<Map<String, serde_json::Value>> {
    let fields = object.fields.into_iter();
    fields
        .map(|(name, value)| Some((name, from_json(value)?)))
        .collect()
}

/// `None` if a value is not set or not a number of JSON.
fn from_json(value: Value) -> Option<serde_json::Value> {
    Some(match value.kind? {
        Kind::NullValue(_) => serde_json::Value::Null,
        Kind::BoolValue(value) => value.into(),
        Kind::NumberValue(number) => whole(number)
            .map(Number::from)
            .or_else(|| Number::from_f64(number))?
            .into(),
        Kind::StringValue(text) => text.into(),
        Kind::ListValue(list) => list
            .values
            .into_iter()
            .map(from_json)
            .collect::<Option<_>>()?,
        Kind::StructValue(object) => fields(object)?.into(),
    })
}

/// A number that has no fraction, as protobuf has no whole numbers in its objects. `None` if a
/// double cannot express it exactly.
fn whole(number: f64) -> Option<i64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() < LARGEST)
        .then(|| format!("{number:.0}").parse().ok())
        .flatten()
}
