//! When reports are made, and of what.

use std::collections::BTreeMap;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::clock::Now;
use crate::counters::{Absent, Bytes, Counter, Reading};
use crate::names::Names;
use crate::source::Observed;
use crate::start::Start;

const USER: &str = "7d0f3a52-7c52-4c0e-8f5a-0d3f6f1f0a01";
/// An hour begins at this instant, 10:00:00 UTC.
const HOUR: i64 = 1_795_168_800_000;
const DAY_MS: i64 = 24 * 3_600_000;

struct World {
    folder: TempDir,
    spool: Spool,
    now: Now,
    names: Names,
    readable: bool,
    counted: i64,
}

impl World {
    /// A spool with a baseline that was read at `wall_ms`.
    fn at(wall_ms: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Now {
            wall_ms,
            monotonic_ms: 1_000,
            boot: "a".to_owned(),
        };
        let mut spool = Spool::open(folder.path(), 7).unwrap();
        let source = || std::iter::once(("node", "first".to_owned()));
        spool.add_sources(source(), &now).unwrap();
        let mut world = Self {
            folder,
            spool,
            now,
            names: Names::default(),
            readable: true,
            counted: 500,
        };
        world.round(0, false);
        world
    }

    /// Counts 10 bytes and reads, `ms` after the last round.
    fn round(&mut self, ms: i64, due: bool) -> Collected {
        self.round_if(ms, due, true)
    }

    fn round_if(&mut self, ms: i64, due: bool, trusted: bool) -> Collected {
        self.now.wall_ms += ms;
        self.now.monotonic_ms += ms.max(0);
        self.counted += 10;
        let reading = Reading {
            start: Start::Unknown,
            absent: Absent::Ended,
            counters: vec![Counter {
                key: "key".to_owned(),
                name: USER.to_owned(),
                bytes: Bytes {
                    upload: 0,
                    download: self.counted,
                },
                since_ms: None,
            }],
            warning: None,
        };
        let observed = [Observed {
            source: "node".to_owned(),
            reading: self
                .readable
                .then_some(reading)
                .ok_or_else(|| "unreachable".to_owned()),
        }];
        let round = Round {
            now: &self.now,
            trusted,
            due,
            observed: &observed,
            names: &self.names,
            metrics: None,
        };
        self.spool.collect(&round).unwrap()
    }

    /// The reports that wait, and none after it.
    fn take(&mut self) -> Vec<Value> {
        let mut taken = Vec::new();
        while let Some(entry) = self.spool.next_entry().unwrap() {
            assert!(!entry.compressed);
            taken.push(serde_json::from_slice(&entry.content).unwrap());
            self.spool.accepted(&entry, self.now.wall_ms).unwrap();
        }
        taken
    }
}

fn download(report: &Value) -> i64 {
    let lines = report["usage"].as_array().unwrap().iter();
    lines.map(|line| line["download"].as_i64().unwrap()).sum()
}

#[test]
fn a_report_begins_where_the_last_one_ended() {
    let mut world = World::at(HOUR);
    world.round(10_000, false);
    world.round(50_000, true);
    world.round(60_000, true);
    let reports = world.take();
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0]["period_start"], "2026-11-20T10:00:00.000Z");
    assert_eq!(reports[0]["period_end"], "2026-11-20T10:01:00.000Z");
    assert_eq!(reports[1]["period_start"], reports[0]["period_end"]);
    assert_eq!((download(&reports[0]), download(&reports[1])), (20, 10));
    let summary = world.spool.summary(&world.names).unwrap();
    assert_eq!((summary.sent_reports, summary.sent_download), (2, 30));
}

#[test]
fn usage_of_one_hour_is_not_reported_in_the_next() {
    let mut world = World::at(HOUR - 25_000);
    world.round(10_000, false);
    world.round(10_000, false);
    // 10:00:05, before a report is due.
    world.round(10_000, false);
    let reports = world.take();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0]["period_end"], "2026-11-20T09:59:55.000Z");
    assert_eq!(download(&reports[0]), 20);
}

#[test]
fn while_many_reports_wait_one_is_made_per_hour() {
    let mut world = World::at(HOUR);
    for _ in 0..90 {
        world.round(30_000, true);
    }
    let reports = world.take();
    assert_eq!(reports.len(), 60);
    // 10:45. From here on, all of the hour is one report.
    let made: usize = (0..40).map(|_| world.round(1, false).reports).sum();
    assert_eq!(made, 0);
    let mut world = World::at(HOUR);
    for _ in 0..260 {
        world.round(30_000, true);
    }
    let reports = world.take();
    let ends: Vec<_> = reports[60..]
        .iter()
        .map(|r| r["period_end"].as_str().unwrap())
        .collect();
    assert_eq!(
        ends,
        ["2026-11-20T10:59:30.000Z", "2026-11-20T11:59:30.000Z"]
    );
    let rest = world.spool.summary(&world.names).unwrap().pending_download;
    assert_eq!(reports.iter().map(download).sum::<i64>() + rest, 2600);
}

#[test]
fn a_heartbeat_needs_a_source_that_can_be_read_and_an_empty_queue() {
    let mut world = World::at(HOUR);
    world.counted -= 10;
    assert_eq!(world.round(60_000, true).reports, 1);
    world.counted -= 10;
    assert_eq!(world.round(60_000, true).reports, 0);
    assert_eq!(world.take()[0]["usage"], serde_json::json!([]));
    world.readable = false;
    assert_eq!(world.round(60_000, true).reports, 0);
}

#[test]
fn counted_bytes_are_reported_even_if_the_source_has_failed_since() {
    let mut world = World::at(HOUR);
    world.round(10_000, false);
    world.readable = false;
    world.round(50_000, true);
    assert_eq!(download(&world.take()[0]), 10);
    let summary = world.spool.summary(&world.names).unwrap();
    assert_eq!(summary.sources[0].error.as_deref(), Some("unreachable"));
}

#[test]
fn a_clock_that_was_set_back_ends_no_period_before_the_last_one() {
    let mut world = World::at(HOUR);
    world.round(60_000, true);
    world.round(-1_800_000, true);
    world.round(60_000, true);
    let reports = world.take();
    assert_eq!(reports.len(), 3);
    for report in &reports[1..] {
        assert_eq!(report["period_start"], "2026-11-20T10:01:00.000Z");
        assert_eq!(report["period_end"], "2026-11-20T10:01:00.000Z");
        assert_eq!(download(report), 10);
    }
}

#[test]
fn while_the_clock_is_not_trusted_bytes_wait_for_a_report() {
    let mut world = World::at(HOUR);
    let trusted = world.spool.trusted().unwrap().unwrap();
    world.round_if(2 * DAY_MS, true, false);
    world.round_if(60_000, true, false);
    assert_eq!(world.take(), Vec::<Value>::new());
    assert_eq!(world.spool.trusted().unwrap(), Some(trusted));
    world.now.wall_ms = HOUR;
    world.round(60_000, true);
    let reports = world.take();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0]["period_end"], "2026-11-20T10:01:00.000Z");
    assert_eq!(download(&reports[0]), 30);
}

#[test]
fn a_period_is_at_most_34_days_long() {
    let mut world = World::at(HOUR);
    world.round(50 * DAY_MS, true);
    assert_eq!(world.take()[0]["period_start"], "2026-12-06T10:00:00.000Z");
}

#[test]
fn a_source_with_another_address_begins_with_a_baseline() {
    let mut world = World::at(HOUR);
    world.round(10_000, false);
    let same = std::iter::once(("node", "first".to_owned()));
    world.spool.add_sources(same, &world.now).unwrap();
    world.round(10_000, false);
    let other = std::iter::once(("node", "second".to_owned()));
    world.spool.add_sources(other, &world.now).unwrap();
    world.round(10_000, true);
    assert_eq!(download(&world.take()[0]), 20);
}

#[test]
fn an_ignored_name_is_not_reported() {
    let mut world = World::at(HOUR);
    world.names.add_source("node", None, &[USER.to_owned()]);
    world.round(60_000, true);
    assert_eq!(download(&world.take()[0]), 0);
    world.names = Names::new(&BTreeMap::new(), None).unwrap();
    world.round(60_000, true);
    assert_eq!(download(&world.take()[0]), 10);
}

#[test]
fn a_full_spool_says_why() {
    let mut world = World::at(HOUR);
    let now_ms = world.now.wall_ms;
    assert_eq!(world.spool.full(now_ms, i64::MAX).unwrap(), None);
    let why = world.spool.full(now_ms, 1).unwrap().unwrap();
    assert!(why.contains("spool_max_mib"), "{why}");
    world.round(60_000, true);
    let later = now_ms + 60_000 + 35 * DAY_MS;
    assert_eq!(world.spool.full(later - 1, i64::MAX).unwrap(), None);
    let why = world.spool.full(later, i64::MAX).unwrap().unwrap();
    assert!(why.contains("35 days"), "{why}");
}

#[test]
fn one_report_that_was_set_aside_can_be_queued_again() {
    let mut world = World::at(HOUR);
    for _ in 0..2 {
        world.round(60_000, true);
        let entry = world.spool.next_entry().unwrap().unwrap();
        world.spool.set_aside(&entry, 422, "test", 1).unwrap();
    }
    let summary = world.spool.summary(&world.names).unwrap();
    assert_eq!((summary.refused_total, summary.waiting_reports), (2, 0));
    let id = summary.refused[0].report_id.parse().unwrap();
    assert_eq!(world.spool.requeue(Some(id), 2).unwrap(), 1);
    assert_eq!(world.spool.next_entry().unwrap().unwrap().report_id, id);
    assert_eq!(world.spool.summary(&world.names).unwrap().refused_total, 1);
    assert_eq!(world.spool.requeue(None, 2).unwrap(), 1);
}

#[test]
fn the_lock_is_free_again_when_its_holder_ends() {
    let world = World::at(HOUR);
    let folder = world.folder.path();
    assert_eq!(Lock::holder(folder).unwrap(), None);
    let lock = Lock::take(folder).unwrap();
    let error = Lock::take(folder).unwrap_err();
    assert!(error.to_string().contains("Another collector"), "{error}");
    let own = i32::try_from(std::process::id()).unwrap();
    assert_eq!(Lock::holder(folder).unwrap(), Some(own));
    drop(lock);
    assert_eq!(Lock::holder(folder).unwrap(), None);
}
