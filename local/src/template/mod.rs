//! From `template.yaml` and the built functions to a deployed stack.

pub mod deploy;
pub mod schedule;
pub mod stage;
