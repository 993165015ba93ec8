//! Plain types and pure rules.

pub mod bucket;
pub mod node;
pub mod node_log;
pub mod node_status;
pub mod node_watch;
pub mod package;
pub mod page;
pub mod queued_package;
pub mod secret;
pub mod time_range;
pub mod traffic;

use std::str::FromStr;

use strum::VariantNames;

use crate::error::Error;

/// Reads one of a type's names, given for the parameter `field`.
pub fn one_of<T: FromStr + VariantNames>(field: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::parameter(field, &T::VARIANTS.join(", ")))
}
