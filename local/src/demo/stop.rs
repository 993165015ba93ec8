//! How the parts of the simulator learn that they have to stop.

use std::time::Duration;

use tokio::sync::watch;

/// Waits for `time`, or until `stop` becomes true or its sender is dropped. Returns whether the
/// part has to stop.
pub(super) async fn stopped_within(stop: &mut watch::Receiver<bool>, time: Duration) -> bool {
    tokio::time::timeout(time, stop.wait_for(|stop| *stop))
        .await
        .is_ok()
}
