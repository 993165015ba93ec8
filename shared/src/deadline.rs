//! Until when an answer is waited for: known at the edge, needed where the database is asked.

use std::time::{Duration, Instant};

use crate::error::Error;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Does work and gives it up when its time is over; none: it may take as long as it needs.
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

/// What is left of the time of the work under way.
#[must_use]
pub fn left() -> Option<Duration> {
    DEADLINE
        .try_with(|deadline| deadline.saturating_duration_since(Instant::now()))
        .ok()
}
