//! Numbers of the whole fleet for monitoring systems.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::bucket::hour_of;

/// Age of the oldest hour whose usage [`ServerCounters`] count. Usage is charged within a minute,
/// unless its report was late.
const COUNTED: TimeDelta = TimeDelta::hours(24);
/// How far in the future the hour of usage may be, if the clock of a node is fast.
const AHEAD: TimeDelta = TimeDelta::hours(24);

/// Numbers of servers, items and users. Archived servers do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FleetNumbers {
    /// Number of node servers that are online.
    pub online_servers: i64,
    /// Number of node servers that are offline.
    pub offline_servers: i64,
    /// Number of node servers in maintenance.
    pub maintenance_servers: i64,
    /// Number of package items that wait in users' queues.
    pub waiting_items: i64,
    /// Number of active package items, which is the number of users with an active item.
    pub active_items: i64,
    /// Number of package items whose time or traffic is used up.
    pub consumed_items: i64,
    /// Number of cancelled package items.
    pub cancelled_items: i64,
    /// Number of users who are connected now, as far as nodes report it.
    pub online_users: i64,
    /// When the oldest report that is not billed was recorded. `None` if all are billed.
    pub oldest_unbilled_at: Option<DateTime<Utc>>,
}

/// Connections of a process to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConnections {
    /// Number of open connections that no call uses.
    pub idle: i64,
    /// Number of connections that calls use, or that are being opened.
    pub in_use: i64,
    /// Maximum number of connections.
    pub max: i64,
}

/// Raw traffic of one server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerBytes {
    /// Bytes that users sent.
    pub upload: i64,
    /// Bytes that users received.
    pub download: i64,
}

impl ServerBytes {
    fn combine(self, other: Self, combine: impl Fn(i64, i64) -> i64) -> Self {
        Self {
            upload: combine(self.upload, other.upload),
            download: combine(self.download, other.download),
        }
    }

    /// The difference to an earlier sum. A sum can only become smaller if usage was corrected.
    fn since(self, earlier: Self) -> Self {
        self.combine(earlier, |now, before| now.saturating_sub(before).max(0))
    }

    fn plus(self, other: Self) -> Self {
        self.combine(other, i64::saturating_add)
    }
}

/// The hours whose usage is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedHours {
    /// Start of the first hour that was summed at the previous read.
    pub previous_first: DateTime<Utc>,
    /// Start of the first hour of this read, which is not before `previous_first`.
    pub first: DateTime<Utc>,
    /// End of the last hour.
    pub end: DateTime<Utc>,
}

/// Traffic of one server in [`CountedHours`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUsage {
    /// Id of the node server.
    pub id: i32,
    /// Name of the node server.
    pub name: String,
    /// Whether the node server is archived.
    pub archived: bool,
    /// Sum from `previous_first` on.
    pub since_previous_first: ServerBytes,
    /// Sum from `first` on.
    pub since_first: ServerBytes,
}

/// Counts the traffic of servers from the first read on.
///
/// The database has sums per hour, which are deleted some day. A counter must never become smaller,
/// so it adds up by how much the sums of the last hours grew between two reads. Each read sums the
/// same hours as the one before, and the hours that the next read compares with.
#[derive(Debug, Default)]
pub struct ServerCounters {
    /// Start of the first hour of the last read, and the sums of that read.
    last: Option<(DateTime<Utc>, BTreeMap<i32, ServerBytes>)>,
    totals: BTreeMap<i32, (String, ServerBytes)>,
}

impl ServerCounters {
    /// The hours to sum at `now`.
    #[must_use]
    pub fn hours(&self, now: DateTime<Utc>) -> CountedHours {
        let first = hour_of(now) - COUNTED;
        let previous_first = match &self.last {
            Some((last, _)) if self.continues_at(first) => *last,
            _ => first,
        };
        CountedHours {
            previous_first,
            first: first.max(previous_first),
            end: hour_of(now) + AHEAD,
        }
    }

    /// Whether the last read is recent enough to compare with it.
    fn continues_at(&self, first: DateTime<Utc>) -> bool {
        self.last
            .as_ref()
            .is_some_and(|(last, _)| first - *last <= COUNTED)
    }

    /// Adds what was charged since the previous read. `usage` has all servers.
    pub fn add(&mut self, hours: CountedHours, usage: Vec<ServerUsage>) {
        let earlier = self
            .last
            .take()
            .filter(|(first, _)| *first == hours.previous_first);
        let before = std::mem::take(&mut self.totals);
        let mut sums = BTreeMap::new();
        for server in usage {
            let grown = earlier
                .as_ref()
                .map_or_else(ServerBytes::default, |(_, sums)| {
                    let before = sums.get(&server.id).copied().unwrap_or_default();
                    server.since_previous_first.since(before)
                });
            sums.insert(server.id, server.since_first);
            if !server.archived {
                let total = before.get(&server.id).map(|(_, total)| *total);
                let total = total.unwrap_or_default().plus(grown);
                self.totals.insert(server.id, (server.name, total));
            }
        }
        self.last = Some((hours.first, sums));
    }

    /// Id, name and traffic of each server that is not archived.
    pub fn totals(&self) -> impl Iterator<Item = (i32, &str, ServerBytes)> {
        self.totals
            .iter()
            .map(|(id, (name, total))| (*id, name.as_str(), *total))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(100) + TimeDelta::minutes(minutes)
    }

    /// What a server was charged: start of the hour in minutes, and bytes.
    type Charges = [(i64, i64)];

    fn usage(charges: &Charges, hours: CountedHours) -> Vec<ServerUsage> {
        let sum = |first: DateTime<Utc>| ServerBytes {
            upload: charges
                .iter()
                .filter(|(hour, _)| (first..hours.end).contains(&hour_of(at(*hour))))
                .map(|(_, bytes)| bytes)
                .sum(),
            download: 0,
        };
        vec![ServerUsage {
            id: 7,
            name: "s7".to_owned(),
            archived: false,
            since_previous_first: sum(hours.previous_first),
            since_first: sum(hours.first),
        }]
    }

    fn read(counters: &mut ServerCounters, minutes: i64, charges: &Charges) -> i64 {
        let hours = counters.hours(at(minutes));
        counters.add(hours, usage(charges, hours));
        counters.totals().map(|(_, _, total)| total.upload).sum()
    }

    #[test]
    fn usage_from_before_the_first_read_is_not_counted() {
        let mut counters = ServerCounters::default();
        assert_eq!(read(&mut counters, 0, &[(0, 5)]), 0);
        assert_eq!(read(&mut counters, 1, &[(0, 5), (0, 3)]), 3);
    }

    #[test]
    fn a_counter_starts_again_with_the_usage_after_a_long_pause() {
        let mut counters = ServerCounters::default();
        read(&mut counters, 0, &[]);
        assert_eq!(read(&mut counters, 30, &[(0, 4)]), 4);
        let paused = 3 * 24 * 60;
        assert_eq!(read(&mut counters, paused, &[(0, 4), (paused, 9)]), 4);
        let charges = [(0, 4), (paused, 9), (paused, 2)];
        assert_eq!(read(&mut counters, paused + 1, &charges), 6);
    }

    #[test]
    fn a_correction_never_makes_a_counter_smaller() {
        let mut counters = ServerCounters::default();
        read(&mut counters, 0, &[]);
        assert_eq!(read(&mut counters, 1, &[(0, 8)]), 8);
        assert_eq!(read(&mut counters, 2, &[(0, 8), (0, -3)]), 8);
    }

    #[test]
    fn an_archived_server_is_not_shown() {
        let mut counters = ServerCounters::default();
        let hours = counters.hours(at(0));
        let mut archived = usage(&[], hours);
        for server in &mut archived {
            server.archived = true;
        }
        counters.add(hours, archived);
        assert_eq!(counters.totals().count(), 0);
    }

    proptest! {
        #[test]
        fn all_usage_of_the_last_day_is_counted_once(
            steps in prop::collection::vec((0_i64..300, 0_i64..1_380, 0_i64..1_000), 1..40),
        ) {
            let (mut counters, mut charges, mut now) = (ServerCounters::default(), Vec::new(), 0);
            read(&mut counters, now, &charges);
            let mut expected = 0;
            for (pause, age, bytes) in steps {
                now += pause;
                charges.push((now - age, bytes));
                expected += bytes;
                prop_assert_eq!(read(&mut counters, now, &charges), expected);
            }
        }
    }
}
