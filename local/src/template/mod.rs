//! From `template.yaml` and the built functions to a deployed stack.

pub mod deploy;
pub mod stage;
