//! The keys that reconciliation checks and the drifts that it finds.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::page::PageBounds;
use super::traffic::Traffic;

/// Limits of a page of drifts. Matching drifts are counted up to `max_offset`.
pub const PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 200,
    max_offset: 10_000,
};

/// The two amounts of traffic that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum DriftKind {
    /// The hourly rows and parked usage of an hour, compared with the usage accepted for the hour.
    Hour,
    /// The usage of an hour that is charged to no item although the user had one, compared with
    /// zero.
    Uncharged,
    /// The counters of an item, compared with its hourly rows.
    Item,
    /// The usage that a billing run billed, compared with its raw rows, folded again.
    Run,
    /// The usage accepted from a billing run, compared with the usage that the run billed.
    Applied,
    /// The usage of a node client, or of all servers, in an hour, compared with the hourly rows of
    /// users. The difference is the largest one of the hour.
    NodeHour,
    /// The usage of a node client on a day, compared with its hourly rows. The difference is the
    /// largest one of the day, and the key is the day's first hour.
    NodeDay,
    /// The usage of a user on a day, compared with the user's hourly rows. The difference is the
    /// largest one of the day, and the key is the day's first hour.
    UserDay,
}

/// Keys to check, all of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Starts of UTC hours.
    Hours(Vec<DateTime<Utc>>),
    /// Ids of package items.
    Items(Vec<i64>),
    /// Ids of billing runs.
    Runs(Vec<Uuid>),
}

impl Keys {
    /// Number of keys of any type.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Hours(hours) => hours.len(),
            Self::Items(items) => items.len(),
            Self::Runs(runs) => runs.len(),
        }
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Splits the keys into two halves. `None` if there are fewer than two keys.
    #[must_use]
    pub fn halves(mut self) -> Option<(Self, Self)> {
        let middle = self.len() / 2;
        let rest = match &mut self {
            _ if middle == 0 => return None,
            Self::Hours(hours) => Self::Hours(hours.split_off(middle)),
            Self::Items(items) => Self::Items(items.split_off(middle)),
            Self::Runs(runs) => Self::Runs(runs.split_off(middle)),
        };
        Some((self, rest))
    }
}

/// The hour, package item or billing run that has a drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum DriftKey {
    /// The key of [`DriftKind::Hour`], [`DriftKind::Uncharged`], [`DriftKind::NodeHour`],
    /// [`DriftKind::NodeDay`] and [`DriftKind::UserDay`].
    Hour {
        /// Start of the UTC hour.
        bucket_start: DateTime<Utc>,
    },
    /// The key of [`DriftKind::Item`].
    Item {
        /// Id of the package item.
        package_queue_id: i64,
        /// Owner of the item.
        user: Uuid,
    },
    /// The key of [`DriftKind::Run`] and [`DriftKind::Applied`].
    Run {
        /// Id of the billing run.
        billing_run_id: Uuid,
    },
}

/// A difference between two amounts of traffic that should be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The amounts that differ.
    pub kind: DriftKind,
    /// The hour, item or run that they belong to.
    #[serde(flatten)]
    pub key: DriftKey,
    /// Recorded or charged traffic minus expected traffic. It may be negative.
    #[serde(flatten)]
    pub difference: Traffic,
}

/// A recorded drift that no operator has accepted, as administrators see it. Of the hour, the item
/// and the billing run, only that to which its kind refers is not `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UsageDrift {
    /// Id of the drift. A drift that disappears and is found again gets a new one.
    pub id: i64,
    /// The amounts that differ.
    pub kind: DriftKind,
    /// Start of the UTC hour, or of the UTC day for `node_day` and `user_day`.
    pub bucket_start: Option<DateTime<Utc>>,
    /// Id of the package item.
    pub package_queue_id: Option<i64>,
    /// Owner of the package item.
    pub user: Option<Uuid>,
    /// Id of the billing run.
    pub billing_run_id: Option<Uuid>,
    /// Bytes sent as recorded minus as expected, before the traffic factor.
    pub raw_upload: i64,
    /// Bytes received as recorded minus as expected, before the traffic factor.
    pub raw_download: i64,
    /// Bytes charged for upload minus those expected.
    pub billed_upload: i64,
    /// Bytes charged for download minus those expected.
    pub billed_download: i64,
    /// When the amounts were first found to differ.
    pub first_found_at: DateTime<Utc>,
    /// When they were last found to differ by other bytes than before.
    pub found_at: DateTime<Utc>,
}
