//! Facts on their way from the event bus to the receivers of webhooks.

pub mod fact;
pub mod keys;
pub mod lookup;
pub mod sender;
