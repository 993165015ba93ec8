//! Plain types and pure rules.

pub mod bucket;
pub mod package;
pub mod traffic;
