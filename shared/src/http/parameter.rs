//! Parameters of requests. One definition validates a value, words the error and documents it.

use chrono_tz::TZ_VARIANTS;
use serde_json::{Value, json};

use crate::domain;
use crate::domain::audit;
use crate::domain::page::PageBounds;
use crate::domain::time_range::{YEAR_PATTERN, YEARS};

/// A parameter of a query or a path.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Name in the query.
    pub name: &'static str,
    /// Description in the OpenAPI document.
    pub about: &'static str,
    /// Type and limits of the value.
    pub kind: Kind,
    /// Whether a request without the parameter is rejected.
    pub required: bool,
}

/// Accepted values of a parameter.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A whole number from `min` to `max`.
    Integer {
        /// Minimum, inclusive.
        min: i64,
        /// Maximum, inclusive.
        max: i64,
        /// Value if the parameter is absent. `None` if it has no default.
        default: Option<i64>,
    },
    /// One of the listed words.
    OneOf(&'static [&'static str]),
    /// A UUID, with or without hyphens.
    Uuid,
    /// The name of an action in the audit log.
    Action,
    /// The id of an object in the audit log.
    TargetId,
    /// An RFC 3339 timestamp.
    Time,
    /// The name of an IANA time zone.
    TimeZone,
    /// `true` or `false`.
    Flag,
}

/// Id of a node server or a node client.
pub const ID: Kind = Kind::Integer {
    min: 1,
    max: domain::MAX_NODE_ID,
    default: None,
};
/// Id of a package or a package item.
pub const LONG_ID: Kind = Kind::Integer {
    min: 1,
    max: i64::MAX,
    default: None,
};
/// An id that no server and no client has, for examples.
pub const UNKNOWN_NODE: &str = "2147483647";
/// An id that no package and no package item has, for examples.
pub const UNKNOWN_ID: &str = "4611686018427387904";
/// Name of the schema that lists the time zones.
pub const TIME_ZONE: &str = "TimeZone";
/// Returns archived servers or clients, too.
pub const INCLUDE_ARCHIVED: Parameter = Parameter::optional(
    "include_archived",
    "Return archived ones, too. Default: `false`.",
    Kind::Flag,
);
/// Returns configurations with their keys and passwords.
pub const REVEAL_SECRETS: Parameter = Parameter::optional(
    "reveal_secrets",
    "Return keys and passwords of the configuration unmasked. Requires the additional scope \
     `telecom:secrets`.",
    Kind::Flag,
);

impl Parameter {
    /// A parameter that a request may omit.
    #[must_use]
    pub const fn optional(name: &'static str, about: &'static str, kind: Kind) -> Self {
        Self {
            name,
            about,
            kind,
            required: false,
        }
    }

    /// A parameter without which a request is rejected.
    #[must_use]
    pub const fn required(name: &'static str, about: &'static str, kind: Kind) -> Self {
        Self {
            name,
            about,
            kind,
            required: true,
        }
    }

    /// The parameter `limit` of a list.
    #[must_use]
    pub const fn limit(bounds: PageBounds) -> Self {
        let kind = Kind::Integer {
            min: 1,
            max: bounds.max_limit,
            default: Some(bounds.default_limit),
        };
        Self::optional("limit", "Maximum number of items to return.", kind)
    }

    /// The parameter `offset` of a list.
    #[must_use]
    pub const fn offset(bounds: PageBounds) -> Self {
        let kind = Kind::Integer {
            min: 0,
            max: bounds.max_offset,
            default: Some(0),
        };
        Self::optional("offset", "Number of items to skip.", kind)
    }
}

impl Kind {
    /// Whether an integer is within its limits. Other kinds are validated where they are parsed.
    #[must_use]
    pub fn allows(&self, text: &str) -> bool {
        match self {
            Self::Integer { min, max, .. } => text
                .parse()
                .is_ok_and(|number: i64| (*min..=*max).contains(&number)),
            _ => true,
        }
    }

    /// Description of the accepted values that completes "expected ...".
    #[must_use]
    pub fn accepted(&self) -> String {
        match self {
            Self::Integer { min, max, .. } => domain::whole_numbers(*min, *max),
            Self::OneOf(words) => format!("one of: {}", words.join(", ")),
            Self::Uuid => "a UUID".to_owned(),
            Self::Action => audit::actions(),
            Self::TargetId => audit::TARGET_ID.to_owned(),
            Self::Time => {
                format!(
                    "an RFC 3339 timestamp {YEARS}, such as 2026-03-01T00:00:00Z or \
                     2026-03-01T01:00:00+01:00"
                )
            }
            Self::TimeZone => "an IANA name such as Europe/Berlin, or UTC".to_owned(),
            Self::Flag => "true or false".to_owned(),
        }
    }

    /// JSON Schema of the accepted values.
    #[must_use]
    pub fn schema(&self) -> Value {
        match self {
            Self::Integer {
                min,
                max,
                default: None,
            } => {
                json!({ "type": "integer", "minimum": min, "maximum": max })
            }
            Self::Integer {
                min,
                max,
                default: Some(default),
            } => {
                json!({ "type": "integer", "minimum": min, "maximum": max, "default": default })
            }
            Self::OneOf(words) => json!({ "type": "string", "enum": words }),
            Self::Uuid => json!({ "type": "string", "format": "uuid" }),
            Self::Action => {
                let max = audit::MAX_ACTION;
                json!({ "type": "string", "pattern": "^[A-Za-z]+$", "maxLength": max })
            }
            Self::TargetId => {
                json!({ "type": "string", "pattern": audit::TARGET_ID_PATTERN, "examples": ["7"] })
            }
            Self::Time => {
                json!({ "type": "string", "format": "date-time", "pattern": YEAR_PATTERN })
            }
            Self::TimeZone => {
                let schemas = "#/components/schemas";
                json!({ "$ref": format!("{schemas}/{TIME_ZONE}"), "default": "UTC" })
            }
            Self::Flag => json!({ "type": "boolean", "default": false }),
        }
    }
}

/// JSON Schema of the accepted time zones, which parameters refer to.
#[must_use]
pub fn time_zones() -> Value {
    let names: Vec<&str> = TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
    json!({ "type": "string", "description": "Name of an IANA time zone, such as `Europe/Berlin`.",
        "enum": names })
}
