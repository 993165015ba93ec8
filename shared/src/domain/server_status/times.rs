//! How long a server had which status.

/// How long a server had which status within a range, in seconds. Time that was not recorded, or in
/// which no server could be observed, is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct StatusTimes {
    /// Seconds online, without outages of the collection.
    pub online_seconds: i64,
    /// Seconds offline, without outages of the collection.
    pub offline_seconds: i64,
    /// Seconds in maintenance, including outages of the collection.
    pub maintenance_seconds: i64,
    /// Seconds of which the status is not known.
    pub unknown_seconds: i64,
}

impl StatusTimes {
    /// `online_seconds` / (`online_seconds` + `offline_seconds`), from 0 to 1. `None` if both are
    /// 0.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "seconds of a range of months are exact"
    )]
    pub fn availability(&self) -> Option<f64> {
        let known = self.online_seconds.checked_add(self.offline_seconds)?;
        (known > 0).then(|| self.online_seconds as f64 / known as f64)
    }
}
