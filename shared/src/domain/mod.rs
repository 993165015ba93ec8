//! Data types and rules that need neither the database nor the network.

pub mod audit;
pub mod bucket;
pub mod drift;
pub mod line_rate;
pub mod node;
pub mod package;
pub mod page;
pub mod queued_package;
pub mod secret;
pub mod server_status;
pub mod time_range;
pub mod traffic;

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
