//! What needs Docker: functions in containers, and their access to this machine's loopback address.

pub mod host_access;
pub mod sam;
