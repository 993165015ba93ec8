//! Waiting for what happens at another place.

use std::time::{Duration, Instant};

/// Waits until a condition is met, 10 s at most.
pub async fn until(what: &str, mut met: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !met().await {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{what}: not within 10 s"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
