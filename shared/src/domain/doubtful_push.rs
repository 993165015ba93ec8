//! Pushes that may have billed too much or too little.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// What is doubtful about a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Doubt {
    /// The push may contain an earlier one, whose rows would then be billed twice.
    ContainsPrevious,
    /// The push has rows of users that do not exist. Nobody is billed for them.
    UnknownUsers,
    /// The push has rows that could not be read.
    UnreadableRows,
}
