//! Data types and rules that need neither the database nor the network.

pub mod audit;
pub mod bucket;
pub mod condition;
pub mod dead_letter;
pub mod doubtful_push;
pub mod drift;
pub mod expiry_notice;
pub mod fleet_metrics;
pub mod job_run;
pub mod levels;
pub mod line_rate;
pub mod node;
pub mod node_access;
pub mod node_config;
pub mod node_metrics;
pub mod node_push;
pub mod node_settings;
pub mod online;
pub mod order;
pub mod overview;
pub mod package;
pub mod package_extension;
pub mod package_version;
pub mod page;
pub mod parked_usage;
pub mod quarantine;
pub mod queued_package;
pub mod recent_range;
pub mod secret;
pub mod server_status;
pub mod time_range;
pub mod top;
pub mod traffic;
pub mod traffic_usage;
pub mod usage_explanation;
pub mod webhook;

use std::str::FromStr;

use strum::VariantNames;

use crate::error::Error;

/// Parses a variant name of `T`. The error names the parameter `field` and the accepted names.
pub fn one_of<T: FromStr + VariantNames>(field: &str, text: &str) -> Result<T, Error> {
    text.parse()
        .map_err(|_| Error::parameter(field, &format!("one of: {}", T::VARIANTS.join(", "))))
}

/// Maximum id of a node server or a node client.
pub const MAX_NODE_ID: i64 = 2_147_483_647;

/// Checks the id of a node server or a node client, passed as the parameter `field`.
pub fn node_id(field: &str, id: i32) -> Result<i32, Error> {
    within(field, id.into(), 1, MAX_NODE_ID).map(|_| id)
}

/// Returns a text without the blanks around it, or an error for the parameter `field` if it is not
/// one line of 1 to `max` characters.
pub fn line(field: &str, text: &str, max: usize) -> Result<String, Error> {
    let text = text.trim();
    if (1..=max).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    let accepted =
        format!("1 to {max} characters, not blanks alone, without line ends and other controls");
    Err(Error::parameter(field, &accepted))
}

/// Pattern of the texts that [`line()`] accepts, for the OpenAPI document: no control character,
/// and at least one character that is not blank.
pub const LINE_PATTERN: &str = concat!(
    r"^[^\u0000-\u001f\u007f-\u009f]*",
    r"[^\s\u0000-\u001f\u007f-\u009f]",
    r"[^\u0000-\u001f\u007f-\u009f]*$"
);

/// Pattern of a text of one line that may be empty, for the OpenAPI document.
pub const LABEL_PATTERN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// Maximum length of a reason, in characters.
pub const MAX_REASON: usize = 500;

/// Checks a reason that a caller gives for a change.
pub fn reason(text: &str) -> Result<String, Error> {
    line("reason", text, MAX_REASON)
}

/// Returns `value` if it is from `least` to `most`, otherwise an error for the parameter `field`.
pub fn within(field: &str, value: i64, least: i64, most: i64) -> Result<i64, Error> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Error::parameter(field, &whole_numbers(least, most)))
}

/// Accepted range of an integer parameter, worded for the end of an error message.
#[must_use]
pub fn whole_numbers(least: i64, most: i64) -> String {
    format!("a whole number from {least} to {most}")
}
