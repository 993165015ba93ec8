//! The deadline of the current request. The handler sets it, and database calls read it.

use std::time::{Duration, Instant};

use crate::error::Error;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Runs work and cancels it after `time`. There is no limit if `time` is `None`.
pub async fn within<T>(
    time: Option<Duration>,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let Some((time, deadline)) =
        time.and_then(|time| Some((time, Instant::now().checked_add(time)?)))
    else {
        return work.await;
    };
    tokio::time::timeout(time, DEADLINE.scope(deadline, work))
        .await
        .unwrap_or_else(|_| Err(Error::deadline_exceeded()))
}

/// Time left until the deadline of the current work. `None` if it has no deadline.
#[must_use]
pub fn left() -> Option<Duration> {
    DEADLINE
        .try_with(|deadline| deadline.saturating_duration_since(Instant::now()))
        .ok()
}
