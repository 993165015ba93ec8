//! What needs Docker: functions in containers, and their way to this machine's loopback.

pub mod host_access;
pub mod sam;
