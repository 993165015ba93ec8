//! Plain types and pure rules.

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

/// Reads one of a type's names, given for the parameter `field`.
pub fn one_of<T: FromStr + VariantNames>(field: &str, text: &str) -> Result<T, Error> {
    text.parse()
        .map_err(|_| Error::parameter(field, &format!("one of: {}", T::VARIANTS.join(", "))))
}

/// The greatest id of a node server or a node client.
pub const MAX_NODE_ID: i64 = 2_147_483_647;

/// An id of a node server or a node client, as a caller gave it.
pub fn node_id(field: &str, id: i32) -> Result<i32, Error> {
    within(field, id.into(), 1, MAX_NODE_ID).map(|_| id)
}

/// A number that a caller gave, if it is from `least` to `most`.
pub fn within(field: &str, value: i64, least: i64, most: i64) -> Result<i64, Error> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Error::parameter(field, &whole_numbers(least, most)))
}

/// What such a parameter accepts, as the end of a sentence.
#[must_use]
pub fn whole_numbers(least: i64, most: i64) -> String {
    format!("a whole number from {least} to {most}")
}
