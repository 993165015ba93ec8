//! What a request may say: the same words read it, refuse it and document it.

use serde_json::{Value, json};

use crate::domain;
use crate::domain::page::PageBounds;
use crate::domain::time_range::YEARS;

/// A parameter of a query or a path.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub about: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// It must be given.
    pub required: bool,
}

/// What a parameter accepts.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A whole number.
    Integer {
        /// The least.
        least: i64,
        /// The greatest.
        most: i64,
        /// What is taken where it is not given.
        default: Option<i64>,
    },
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// A UUID.
    Uuid,
    /// A moment, RFC 3339.
    Time,
    /// An IANA time zone.
    TimeZone,
    /// `true` or `false`.
    Flag,
}

/// The id of a server or a client.
pub const ID: Kind = Kind::Integer {
    least: 1,
    most: domain::MAX_NODE_ID,
    default: None,
};
/// Shows secrets as they are.
pub const REVEAL_SECRETS: Parameter = Parameter::optional(
    "reveal_secrets",
    "Show keys and passwords of the configuration as they are; needs the scope `telecom:secrets` \
     besides.",
    Kind::Flag,
);

impl Parameter {
    /// One that may be left out.
    #[must_use]
    pub const fn optional(name: &'static str, about: &'static str, kind: Kind) -> Self {
        Self {
            name,
            about,
            kind,
            required: false,
        }
    }

    /// One that must be given.
    #[must_use]
    pub const fn required(name: &'static str, about: &'static str, kind: Kind) -> Self {
        Self {
            name,
            about,
            kind,
            required: true,
        }
    }

    /// `limit` of a list.
    #[must_use]
    pub const fn limit(bounds: PageBounds) -> Self {
        let kind = Kind::Integer {
            least: 1,
            most: bounds.max_limit,
            default: Some(bounds.default_limit),
        };
        Self::optional("limit", "At most so many.", kind)
    }

    /// `offset` of a list.
    #[must_use]
    pub const fn offset(bounds: PageBounds) -> Self {
        let kind = Kind::Integer {
            least: 0,
            most: bounds.max_offset,
            default: Some(0),
        };
        Self::optional("offset", "Leave out so many at the beginning.", kind)
    }
}

impl Kind {
    /// Whether a number is within its limits; all else is judged by whoever reads it.
    #[must_use]
    pub fn allows(&self, text: &str) -> bool {
        match self {
            Self::Integer { least, most, .. } => text
                .parse()
                .is_ok_and(|number: i64| (*least..=*most).contains(&number)),
            _ => true,
        }
    }

    /// What is accepted, as the end of a sentence.
    #[must_use]
    pub fn accepted(&self) -> String {
        match self {
            Self::Integer { least, most, .. } => domain::whole_numbers(*least, *most),
            Self::OneOf(words) => words.join(", "),
            Self::Uuid => "UUIDs".to_owned(),
            Self::Time => {
                format!(
                    "times {YEARS} such as 2026-03-01T00:00:00Z and 2026-03-01T01:00:00+01:00 \
                     (RFC 3339)"
                )
            }
            Self::TimeZone => "IANA names such as Europe/Berlin, and UTC".to_owned(),
            Self::Flag => "true and false".to_owned(),
        }
    }

    /// The JSON Schema of its values.
    #[must_use]
    pub fn schema(&self) -> Value {
        match self {
            Self::Integer {
                least,
                most,
                default: None,
            } => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Self::Integer {
                least,
                most,
                default: Some(default),
            } => {
                json!({ "type": "integer", "minimum": least, "maximum": most, "default": default })
            }
            Self::OneOf(words) => json!({ "type": "string", "enum": words }),
            Self::Uuid => json!({ "type": "string", "format": "uuid" }),
            Self::Time => json!({ "type": "string", "format": "date-time" }),
            Self::TimeZone => {
                json!({ "type": "string", "default": "UTC", "examples": ["Europe/Berlin"] })
            }
            Self::Flag => json!({ "type": "boolean", "default": false }),
        }
    }
}
