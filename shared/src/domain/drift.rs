//! What reconciliation compares, and what it finds.

use chrono::{DateTime, Utc};
use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::traffic::Traffic;

/// Which two numbers do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DriftKind {
    /// Hourly rows and parked usage of an hour; what was accepted for it.
    Hour,
    /// Usage of an hour that no item pays for although the user had one; none.
    Uncharged,
    /// An item's counters; its hourly rows.
    Item,
    /// What a billing run billed; its raw rows, folded again.
    Run,
    /// What was accepted of a billing run; what the run billed.
    Applied,
}

/// Some of what is checked: hours, items or billing runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Starts of UTC hours.
    Hours(Vec<DateTime<Utc>>),
    /// Package items.
    Items(Vec<i64>),
    /// Billing runs.
    Runs(Vec<Uuid>),
}

impl Keys {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Hours(hours) => hours.len(),
            Self::Items(items) => items.len(),
            Self::Runs(runs) => runs.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Two halves; `None` if it is only one.
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

/// What a drift is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum DriftKey {
    /// An hour.
    Hour {
        /// Start of the UTC hour.
        bucket_start: DateTime<Utc>,
    },
    /// A package item.
    Item {
        /// The item.
        package_queue_id: i64,
        /// Its owner.
        user: Uuid,
    },
    /// A billing run.
    Run {
        /// The run.
        billing_run_id: Uuid,
    },
}

/// Two numbers that do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// Which.
    pub kind: DriftKind,
    /// Of what.
    pub key: DriftKey,
    /// What is recorded or charged minus what should be.
    pub difference: Traffic,
}
