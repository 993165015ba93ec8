//! Usage that could not be charged, as administrators see it.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::page::PageBounds;
use crate::error::Error;

/// Limits of a page of parked events. Matching events are counted up to `max_offset`.
pub const PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 200,
    max_offset: 10_000,
};
/// Maximum number of parked events that one call retries.
pub const MAX_RETRIED: usize = 1_000;

/// Usage of one user, hour, server and client that could not be charged and waits for a retry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ParkedUsage {
    /// Id of the parked event.
    pub id: i64,
    /// The user to charge.
    pub user: Uuid,
    /// Start of the hour in which the usage occurred.
    pub bucket_start: DateTime<Utc>,
    /// Id of the node server that carried the traffic.
    pub server_id: i32,
    /// Id of the node client that carried the traffic. `null` if it is unknown.
    pub node_client_id: Option<i32>,
    /// Bytes uploaded, as carried.
    pub raw_upload: i64,
    /// Bytes downloaded, as carried.
    pub raw_download: i64,
    /// Bytes to charge for upload.
    pub billed_upload: i64,
    /// Bytes to charge for download.
    pub billed_download: i64,
    /// Why the last attempt failed: the code of the error, a colon, and its cause.
    pub reason: String,
    /// When the usage was parked.
    pub parked_at: DateTime<Utc>,
    /// Number of failed attempts to charge the usage.
    pub attempts: i32,
    /// From when on the next run of the billing job retries the event.
    pub retry_at: DateTime<Utc>,
}

/// Parked events to retry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The events with these ids, at most [`MAX_RETRIED`].
    Ids(Vec<i64>),
    /// The events of a user.
    User(Uuid),
    /// The parked events of all users.
    All,
}

impl Selection {
    /// Reads the parameters `ids`, `user` and `all`, of which exactly one must be given.
    pub fn parse(ids: Vec<i64>, user: Option<Uuid>, all: bool) -> Result<Self, Error> {
        match (ids.is_empty(), user, all) {
            (false, None, false) => Self::of(ids),
            (true, Some(user), false) => Ok(Self::User(user)),
            (true, None, true) => Ok(Self::All),
            _ => Err(Error::parameter(
                "ids",
                "exactly one of `ids`, `user` and `all`",
            )),
        }
    }

    fn of(ids: Vec<i64>) -> Result<Self, Error> {
        if ids.len() > MAX_RETRIED || ids.iter().any(|id| *id < 1) {
            let accepted = format!("1 to {MAX_RETRIED} whole numbers from 1");
            return Err(Error::parameter("ids", &accepted));
        }
        Ok(Self::Ids(ids))
    }
}

/// When a parked event is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Id of the parked event.
    pub id: i64,
    /// From when on the event is retried.
    pub retry_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const USER: Option<Uuid> = Some(Uuid::nil());

    #[rstest]
    #[case(vec![3, 4], None, false, Some(Selection::Ids(vec![3, 4])))]
    #[case(vec![1; MAX_RETRIED], None, false, Some(Selection::Ids(vec![1; MAX_RETRIED])))]
    #[case(vec![], USER, false, Some(Selection::User(Uuid::nil())))]
    #[case(vec![], None, true, Some(Selection::All))]
    #[case(vec![], None, false, None)]
    #[case(vec![3], USER, false, None)]
    #[case(vec![3], None, true, None)]
    #[case(vec![], USER, true, None)]
    #[case(vec![3, 0], None, false, None)]
    #[case(vec![1; MAX_RETRIED + 1], None, false, None)]
    fn events_are_selected_in_exactly_one_way(
        #[case] ids: Vec<i64>,
        #[case] user: Option<Uuid>,
        #[case] all: bool,
        #[case] selected: Option<Selection>,
    ) {
        assert_eq!(Selection::parse(ids, user, all).ok(), selected);
    }
}
