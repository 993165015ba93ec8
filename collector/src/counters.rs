//! Counters, and the bytes that they counted since the last reading.

use std::collections::{HashMap, HashSet};
use std::ops::AddAssign;

use anyhow::{Context, Result};

use crate::clock::Now;
use crate::start::Start;

/// Bytes in both directions, as the user sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    pub upload: i64,
    pub download: i64,
}

impl Bytes {
    /// Fails if a counter exceeds 2^63 - 1 bytes.
    pub fn counted(upload: u64, download: u64) -> Result<Self> {
        let convert = |bytes: u64| {
            i64::try_from(bytes).with_context(|| format!("the counter {bytes} is out of range"))
        };
        Ok(Self {
            upload: convert(upload)?,
            download: convert(download)?,
        })
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    fn fell_below(self, last: Self) -> bool {
        self.upload < last.upload || self.download < last.download
    }

    /// What was counted since `last`. A direction that fell was reset, so all of it is new.
    fn since(self, last: Self) -> Self {
        let since = |now: i64, last: i64| if now >= last { now - last } else { now };
        Self {
            upload: since(self.upload, last.upload),
            download: since(self.download, last.download),
        }
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Self) {
        self.upload = self.upload.saturating_add(other.upload);
        self.download = self.download.saturating_add(other.download);
    }
}

/// One counter of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// Identifies the counter for as long as it counts. Two counters that follow each other, such
    /// as those of two connections, have different keys.
    pub key: String,
    /// What the node software calls the user.
    pub name: String,
    pub bytes: Bytes,
    /// When the counter began at zero, by the wall clock, if the source says so.
    pub since_ms: Option<i64>,
}

/// What the absence of a known counter means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// This counter has ended. If it comes back, it begins at zero.
    Ended,
    /// The source never removes a single counter, so all of them began again at zero.
    Restarted,
}

/// All counters of a source at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub start: Start,
    pub absent: Absent,
    pub counters: Vec<Counter>,
    /// What could not be read, while the rest could.
    pub warning: Option<String>,
}

/// The last values of a source, by key.
pub type Last = HashMap<String, Bytes>;

/// What a reading changes.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Change {
    /// Bytes to report, by the name of the user.
    pub counted: HashMap<String, Bytes>,
    /// Keys whose last values are to be forgotten.
    pub ended: Vec<String>,
    pub restarted: bool,
    /// How many counters fell although their process was not restarted. Another program resets
    /// them.
    pub fell: i64,
}

/// Compares a reading with the last values. `last` is `None` at the first reading, from which
/// nothing is reported but what was certainly counted after `added`, the time at which the source
/// was configured. `replaced` says that another process counts since the last reading.
#[must_use]
pub fn compare(last: Option<&Last>, reading: &Reading, replaced: bool, added: &Now) -> Change {
    let Some(last) = last else {
        return first(reading, added);
    };
    let restarted = replaced || (reading.absent == Absent::Restarted && shrank(last, reading));
    let mut change = Change {
        restarted,
        ended: ended(last, reading),
        ..Change::default()
    };
    for counter in &reading.counters {
        let known = last.get(&counter.key).filter(|_| !restarted);
        let known = known.copied().unwrap_or_default();
        change.fell += i64::from(counter.bytes.fell_below(known));
        change.count(&counter.name, counter.bytes.since(known));
    }
    change
}

fn first(reading: &Reading, added: &Now) -> Change {
    let all = reading.start.is_after(added);
    let mut change = Change::default();
    for counter in &reading.counters {
        let later = counter.since_ms.is_some_and(|since| since > added.wall_ms);
        if all || later {
            change.count(&counter.name, counter.bytes);
        }
    }
    change
}

impl Change {
    fn count(&mut self, name: &str, bytes: Bytes) {
        if bytes.is_zero() {
            return;
        }
        if let Some(counted) = self.counted.get_mut(name) {
            *counted += bytes;
        } else {
            self.counted.insert(name.to_owned(), bytes);
        }
    }
}

fn ended(last: &Last, reading: &Reading) -> Vec<String> {
    let present: HashSet<&str> = reading.counters.iter().map(|c| c.key.as_str()).collect();
    let ended = last.keys().filter(|key| !present.contains(key.as_str()));
    ended.cloned().collect()
}

/// Whether any counter is missing or fell.
fn shrank(last: &Last, reading: &Reading) -> bool {
    let mut present = 0;
    for counter in &reading.counters {
        if let Some(last) = last.get(&counter.key) {
            present += 1;
            if counter.bytes.fell_below(*last) {
                return true;
            }
        }
    }
    present < last.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added() -> Now {
        Now {
            wall_ms: 1_000,
            monotonic_ms: 1_000,
            boot: "a".to_owned(),
        }
    }

    fn bytes(upload: i64, download: i64) -> Bytes {
        Bytes { upload, download }
    }

    fn reading(absent: Absent, counters: &[(&str, i64, i64)]) -> Reading {
        let counter = |(key, upload, download): &(&str, i64, i64)| Counter {
            key: (*key).to_owned(),
            name: key.chars().take(1).collect(),
            bytes: bytes(*upload, *download),
            since_ms: None,
        };
        Reading {
            start: Start::Unknown,
            absent,
            counters: counters.iter().map(counter).collect(),
            warning: None,
        }
    }

    fn last(counters: &[(&str, i64, i64)]) -> Last {
        let last = counters.iter();
        last.map(|(key, up, down)| ((*key).to_owned(), bytes(*up, *down)))
            .collect()
    }

    fn counted(change: &Change) -> Vec<(&str, i64, i64)> {
        let counted = change.counted.iter();
        let mut counted: Vec<_> = counted
            .map(|(name, bytes)| (name.as_str(), bytes.upload, bytes.download))
            .collect();
        counted.sort_unstable();
        counted
    }

    #[test]
    fn the_first_reading_reports_nothing() {
        let change = compare(
            None,
            &reading(Absent::Ended, &[("a", 5, 7)]),
            false,
            &added(),
        );
        assert_eq!(change, Change::default());
    }

    #[test]
    fn a_connection_younger_than_the_installation_is_reported_at_the_first_reading() {
        let mut reading = reading(Absent::Ended, &[("a1", 5, 7), ("b1", 1, 1)]);
        reading.counters[0].since_ms = Some(1_001);
        reading.counters[1].since_ms = Some(1_000);
        let change = compare(None, &reading, false, &added());
        assert_eq!(counted(&change), [("a", 5, 7)]);
    }

    #[test]
    fn a_later_reading_reports_the_difference_and_new_counters() {
        let reading = reading(Absent::Ended, &[("a", 8, 7), ("b", 0, 3), ("c", 0, 0)]);
        let change = compare(Some(&last(&[("a", 5, 7)])), &reading, false, &added());
        assert_eq!(counted(&change), [("a", 3, 0), ("b", 0, 3)]);
        assert_eq!((change.fell, change.restarted), (0, false));
    }

    #[test]
    fn after_a_restart_the_whole_counter_is_new_even_if_it_is_larger() {
        let reading = reading(Absent::Ended, &[("a", 9, 9)]);
        let change = compare(
            Some(&last(&[("a", 5, 7), ("b", 1, 1)])),
            &reading,
            true,
            &added(),
        );
        assert_eq!(counted(&change), [("a", 9, 9)]);
        assert_eq!(change.ended, ["b"]);
    }

    #[test]
    fn a_counter_that_fell_is_new_by_itself() {
        let reading = reading(Absent::Ended, &[("a", 2, 9), ("b", 6, 6)]);
        let change = compare(
            Some(&last(&[("a", 5, 7), ("b", 5, 5)])),
            &reading,
            false,
            &added(),
        );
        assert_eq!(counted(&change), [("a", 2, 2), ("b", 1, 1)]);
        assert_eq!(change.fell, 1);
    }

    #[test]
    fn if_counters_only_vanish_together_one_that_is_missing_restarts_all() {
        let known = last(&[("a", 5, 7), ("b", 5, 5)]);
        let missing = reading(Absent::Restarted, &[("a", 9, 9)]);
        let change = compare(Some(&known), &missing, false, &added());
        assert_eq!(counted(&change), [("a", 9, 9)]);
        let fell = reading(Absent::Restarted, &[("a", 9, 9), ("b", 1, 6)]);
        let change = compare(Some(&known), &fell, false, &added());
        assert_eq!(counted(&change), [("a", 9, 9), ("b", 1, 6)]);
        assert_eq!((change.fell, change.restarted), (0, true));
    }

    #[test]
    fn two_connections_of_a_user_are_added_up() {
        let reading = reading(Absent::Ended, &[("a1", 5, 7), ("a2", 1, 1)]);
        let change = compare(Some(&last(&[("a1", 4, 4)])), &reading, false, &added());
        assert_eq!(counted(&change), [("a", 2, 4)]);
    }
}
