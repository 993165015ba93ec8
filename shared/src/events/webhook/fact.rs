//! Facts as the event bus passes them to a queue, and as receivers get them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::Error;
use crate::events::parse;

/// Maximum length of the name of a type.
const MAX_TYPE: usize = 64;

/// A fact to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookFact {
    /// Id of the fact, which is the `webhook-id` of its deliveries.
    pub event_id: Uuid,
    /// Type of the fact.
    pub event_type: String,
    /// Body of the requests.
    pub body: String,
}

/// What is read of an entry of the event bus.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: Box<RawValue>,
}

/// What is read of the detail of an entry.
#[derive(Deserialize)]
struct Detail {
    event_id: Uuid,
    time: DateTime<Utc>,
}

/// The body of a request, in the form that Standard Webhooks recommends.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    timestamp: DateTime<Utc>,
    data: &'a RawValue,
}

impl WebhookFact {
    /// Parses an entry of the event bus. The error names the invalid field.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let Entry {
            detail_type,
            detail,
        } = parse(text)?;
        let is_name = (1..=MAX_TYPE).contains(&detail_type.len())
            && detail_type.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_name {
            let expected = "invalid value; expected 1 to 64 ASCII letters and digits";
            return Err(Error::invalid("invalid_field", "detail-type", expected));
        }
        let Detail { event_id, time } = parse(detail.get())?;
        let body = Body {
            r#type: &detail_type,
            timestamp: time,
            data: &detail,
        };
        let body = serde_json::to_string(&body).map_err(Error::internal)?;
        Ok(Self {
            event_id,
            event_type: detail_type,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_body_has_type_time_and_the_unchanged_detail() {
        let entry = r#"{"version":"0","id":"x","detail-type":"PackageExpired","source":"telecom",
            "detail":{"event_id":"00000000-0000-0000-0000-000000000007","version":1,
            "time":"2026-03-10T10:30:00Z","reason":"time","n":1.50}}"#;
        let fact = WebhookFact::parse(entry).unwrap();
        assert_eq!(fact.event_id, Uuid::from_u128(7));
        let (head, data) = fact.body.split_once(r#","data":"#).unwrap();
        assert_eq!(
            head,
            r#"{"type":"PackageExpired","timestamp":"2026-03-10T10:30:00Z""#
        );
        assert!(data.ends_with(r#""reason":"time","n":1.50}}"#), "{data}");
    }

    #[rstest]
    #[case(r#"{"detail":{}}"#, "detail-type")]
    #[case(r#"{"detail-type":"A B","detail":{}}"#, "detail-type")]
    #[case(r#"{"detail-type":"","detail":{}}"#, "detail-type")]
    #[case(r#"{"detail-type":"A"}"#, "detail")]
    #[case(
        r#"{"detail-type":"A","detail":{"time":"2026-03-10T10:30:00Z"}}"#,
        "event_id"
    )]
    #[case(r#"{"detail-type":"A","detail":"canary"}"#, ".")]
    fn an_entry_without_its_parts_is_refused(#[case] text: &str, #[case] field: &str) {
        let error = WebhookFact::parse(text).unwrap_err();
        assert_eq!(error.field(), Some(field));
        assert!(!error.to_string().contains("canary"));
    }
}
