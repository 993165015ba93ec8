//! `NodeUsage`: what node software or a collector reported to our functions over HTTPS. Only our
//! functions send this message, so its sender is not checked again.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::usage_report::{self, MAX_LINE_BYTES, MAX_REPORT_BYTES, UsageReport, check_metrics};
use super::{PayloadHash, parse};
use crate::domain::node::Metrics;
use crate::domain::node_push::PushRow;
pub use crate::domain::node_push::UnreadableRow;
use crate::error::Error;

/// Value of the field `type`.
pub const TYPE: &str = "node.usage.v1";
/// Maximum number of rows in a message. A push with more rows is split into parts.
pub const MAX_ROWS: usize = 20_000;
/// Maximum number of unreadable rows whose key and reason are kept.
pub const MAX_UNREADABLE: usize = 100;
/// Maximum length of the key and of the reason of an unreadable row, in characters.
pub const MAX_UNREADABLE_CHARS: usize = 100;
/// Maximum value of `interval_seconds` and `client_timeout_seconds`.
pub const MAX_SECONDS: i32 = 3_600;

/// One push of node software, one part of it, or one report of a collector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeUsage {
    /// Always [`TYPE`], which names the version.
    #[serde(rename = "type")]
    pub kind: String,
    /// Id of this message, a UUID of version 7. A push is recorded under this id, and each part of
    /// a push has its own.
    pub push_id: Uuid,
    /// The node access with which the request was authenticated.
    pub access_id: i64,
    /// The server that the access names.
    pub server_id: i32,
    /// The client that the access or the request names. `None` if neither names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_client_id: Option<i32>,
    /// When the request arrived, by our clock. All parts of a push have the same time.
    pub arrived_at: DateTime<Utc>,
    /// How often the software pushes, in seconds.
    pub interval_seconds: i32,
    /// Time after which the software takes an unanswered request for lost, in seconds.
    pub client_timeout_seconds: i32,
    /// Whether the software adds the traffic of an unanswered push to the next one. True for
    /// unknown software.
    pub resends_larger: bool,
    /// What the node reported.
    pub content: NodeUsageContent,
}

/// What was reported: a push or a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeUsageContent {
    /// A push of node software, in the form that all protocols have in common.
    Push(Push),
    /// A report of a collector.
    Report(UsageReport),
}

/// A push, or one part of it. A push without rows is a heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Push {
    /// Rows by ascending user number, one per user, without rows of zero bytes.
    pub rows: Vec<PushRow>,
    /// The first unreadable rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<UnreadableRow>,
    /// Number of unreadable rows.
    #[serde(default)]
    pub unreadable_rows: i32,
    /// Metrics of the server. `None` if the push has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Position of this part in a push that was split, from 0.
    #[serde(default)]
    pub part: i32,
}

impl NodeUsage {
    /// Parses a body and checks every limit of this module. A report is checked as of its arrival,
    /// so that the time in the queue changes nothing.
    pub fn parse(body: &str) -> Result<Self, Error> {
        usage_report::check_body_size(body)?;
        let usage: Self = parse(body)?;
        usage.check()?;
        Ok(usage)
    }

    /// Checks every limit of this module but the size of the body.
    pub fn check(&self) -> Result<(), Error> {
        if self.kind != TYPE {
            return Err(Error::invalid(
                "unsupported_type",
                "type",
                format!("unknown type; expected {TYPE:?}"),
            ));
        }
        for (name, seconds) in [
            ("interval_seconds", self.interval_seconds),
            ("client_timeout_seconds", self.client_timeout_seconds),
        ] {
            if !(1..=MAX_SECONDS).contains(&seconds) {
                let message = format!("invalid value; expected 1 to {MAX_SECONDS}");
                return Err(Error::invalid("seconds_out_of_range", name, message));
            }
        }
        match &self.content {
            NodeUsageContent::Push(push) => push.check(),
            NodeUsageContent::Report(report) if report.server_id != self.server_id => {
                let message = "is not the server of the node access";
                let field = "content.report.server_id";
                Err(Error::invalid("server_not_allowed", field, message))
            }
            NodeUsageContent::Report(report) => report.check(self.arrived_at),
        }
    }

    /// The body of the message. An error if it exceeds [`usage_report::MAX_BODY_BYTES`], which a
    /// checked message does not.
    pub fn body(&self) -> Result<String, Error> {
        let body = serde_json::to_string(self).map_err(Error::internal)?;
        usage_report::check_body_size(&body)?;
        Ok(body)
    }
}

impl Push {
    fn check(&self) -> Result<(), Error> {
        self.check_rows()?;
        self.check_unreadable()?;
        if self.part < 0 {
            let message = "invalid value; expected a whole number of at least 0";
            return Err(Error::invalid(
                "part_out_of_range",
                "content.push.part",
                message,
            ));
        }
        match &self.metrics {
            Some(metrics) => check_metrics("content.push.metrics", metrics),
            None => Ok(()),
        }
    }

    fn check_rows(&self) -> Result<(), Error> {
        const FIELD: &str = "content.push.rows";
        if self.rows.len() > MAX_ROWS {
            let message = format!("has {} rows; the maximum is {MAX_ROWS}", self.rows.len());
            return Err(Error::invalid("too_many_rows", FIELD, message));
        }
        for (index, row) in self.rows.iter().enumerate() {
            let bytes = [row.upload_bytes, row.download_bytes];
            let in_range = bytes.iter().all(|b| (0..=MAX_LINE_BYTES).contains(b));
            if !in_range || bytes == [0, 0] || row.user_number < 1 {
                let message = format!(
                    "invalid value; expected a user number of at least 1, and 0 to \
                     {MAX_LINE_BYTES} bytes, not 0 in both directions"
                );
                let field = format!("{FIELD}[{index}]");
                return Err(Error::invalid("row_out_of_range", field, message));
            }
        }
        let by_number = |a: &PushRow, b: &PushRow| a.user_number.cmp(&b.user_number);
        if !self
            .rows
            .is_sorted_by(|a, b| by_number(a, b) == Ordering::Less)
        {
            let message = "are not in ascending order of different user numbers";
            return Err(Error::invalid("rows_not_canonical", FIELD, message));
        }
        if self.total_bytes() > MAX_REPORT_BYTES {
            let message = format!("the sum of all rows exceeds {MAX_REPORT_BYTES} bytes");
            return Err(Error::invalid("push_bytes_out_of_range", FIELD, message));
        }
        Ok(())
    }

    fn check_unreadable(&self) -> Result<(), Error> {
        const FIELD: &str = "content.push.unreadable";
        let count = usize::try_from(self.unreadable_rows).unwrap_or(0);
        if self.unreadable.len() > MAX_UNREADABLE.min(count) || self.unreadable_rows < 0 {
            let message = format!(
                "invalid value; expected at most {MAX_UNREADABLE} rows, and not more than \
                 unreadable_rows"
            );
            return Err(Error::invalid("unreadable_out_of_range", FIELD, message));
        }
        let fits = |text: &str| text.chars().count() <= MAX_UNREADABLE_CHARS;
        let too_long = |row: &UnreadableRow| !fits(&row.key) || !fits(&row.reason);
        if let Some(index) = self.unreadable.iter().position(too_long) {
            let message = format!("has a text of more than {MAX_UNREADABLE_CHARS} characters");
            let field = format!("{FIELD}[{index}]");
            return Err(Error::invalid("unreadable_out_of_range", field, message));
        }
        Ok(())
    }

    /// Sum of the upload and the download of all rows, bytes.
    #[must_use]
    pub fn total_bytes(&self) -> i64 {
        let sum = |total: i64, row: &PushRow| {
            total
                .saturating_add(row.upload_bytes)
                .saturating_add(row.download_bytes)
        };
        self.rows.iter().fold(0, sum)
    }

    /// Whether the push is a heartbeat: it has no rows, readable or not.
    #[must_use]
    pub fn is_heartbeat(&self) -> bool {
        self.rows.is_empty() && self.unreadable_rows == 0
    }

    /// SHA-256 of what a repeat of the push has in common with it: the part, the rows, and the
    /// unreadable rows. The metrics are left out.
    #[must_use]
    pub fn body_hash(&self) -> Vec<u8> {
        self.hash_of_rows().finish()
    }

    fn hash_of_rows(&self) -> PayloadHash {
        let mut hash = PayloadHash::default();
        hash.add(self.part.to_le_bytes());
        for row in &self.rows {
            hash.add([1]);
            hash.add(row.user_number.to_le_bytes());
            hash.add(row.upload_bytes.to_le_bytes());
            hash.add(row.download_bytes.to_le_bytes());
        }
        hash.add([0]);
        hash.add(self.unreadable_rows.to_le_bytes());
        for row in &self.unreadable {
            hash.add_text(&row.key);
            hash.add_text(&row.reason);
        }
        hash
    }

    /// SHA-256 of the push as one that `usage` carries: its rows, where it came from, and when it
    /// arrived. The period is left out, because a message that is delivered again may find another
    /// one.
    #[must_use]
    pub fn payload_hash(&self, usage: &NodeUsage) -> Vec<u8> {
        let mut hash = self.hash_of_rows();
        hash.add(usage.access_id.to_le_bytes());
        hash.add_option(usage.node_client_id.map(i32::to_le_bytes));
        hash.add(usage.arrived_at.timestamp_micros().to_le_bytes());
        hash.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::usage_report::MAX_BODY_BYTES;
    use super::*;

    fn body() -> Value {
        json!({
            "type": TYPE, "push_id": Uuid::from_u128(1), "access_id": 7, "server_id": 1,
            "node_client_id": 11, "arrived_at": "2026-03-10T12:00:00Z", "interval_seconds": 60,
            "client_timeout_seconds": 5, "resends_larger": true,
            "content": { "push": { "rows": [[17, 1000, 2000], [42, 87, 0]] } }
        })
    }

    fn changed(pointer: &str, value: Value) -> Value {
        let mut body = body();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    }

    fn push(value: Value) -> Value {
        changed("/content/push", value)
    }

    fn report(server_id: i32, period_end: &str) -> Value {
        json!({ "report": {
            "type": usage_report::TYPE, "report_id": Uuid::from_u128(2), "server_id": server_id,
            "period_start": "2026-03-10T11:59:00Z", "period_end": period_end, "usage": []
        } })
    }

    #[test]
    fn a_push_and_a_report_are_read_and_written_without_loss() {
        for body in [
            body(),
            changed("/content", report(1, "2026-03-10T12:00:00Z")),
        ] {
            let read = NodeUsage::parse(&body.to_string()).unwrap();
            assert_eq!(NodeUsage::parse(&read.body().unwrap()).unwrap(), read);
        }
    }

    #[rstest]
    #[case::another_type(changed("/type", json!("node.usage.v2")), "unsupported_type")]
    #[case::no_interval(changed("/interval_seconds", json!(0)), "seconds_out_of_range")]
    #[case::two_contents(
        changed("/content", json!({ "push": { "rows": [] }, "report": {} })),
        "malformed_json"
    )]
    #[case::no_content(changed("/content", json!({})), "malformed_json")]
    #[case::of_another_server(
        changed("/content", report(2, "2026-03-10T12:00:00Z")),
        "server_not_allowed"
    )]
    #[case::a_future_report(
        changed("/content", report(1, "2026-03-10T12:06:00Z")),
        "period_in_future"
    )]
    #[case::a_row_of_four(push(json!({ "rows": [[1, 2, 3, 4]] })), "malformed_json")]
    #[case::negative_bytes(push(json!({ "rows": [[1, -1, 3]] })), "row_out_of_range")]
    #[case::too_many_bytes(
        push(json!({ "rows": [[1, 0, MAX_LINE_BYTES + 1]] })),
        "row_out_of_range"
    )]
    #[case::a_row_of_zeros(push(json!({ "rows": [[1, 0, 0]] })), "row_out_of_range")]
    #[case::number_zero(push(json!({ "rows": [[0, 1, 1]] })), "row_out_of_range")]
    #[case::unsorted(push(json!({ "rows": [[2, 1, 1], [1, 1, 1]] })), "rows_not_canonical")]
    #[case::a_user_twice(push(json!({ "rows": [[1, 1, 1], [1, 1, 1]] })), "rows_not_canonical")]
    #[case::a_sum_too_large(
        push(json!({ "rows": (1..=5).map(|n| (n, MAX_LINE_BYTES, MAX_LINE_BYTES))
            .collect::<Vec<_>>() })),
        "push_bytes_out_of_range"
    )]
    #[case::uncounted_rows(
        push(json!({ "rows": [], "unreadable": [{ "key": "x", "reason": "y" }] })),
        "unreadable_out_of_range"
    )]
    #[case::a_long_key(
        push(json!({ "rows": [], "unreadable": [{ "key": "x".repeat(101), "reason": "y" }],
            "unreadable_rows": 1 })),
        "unreadable_out_of_range"
    )]
    #[case::a_bad_metric(
        push(json!({ "rows": [], "metrics": { "cpu_percent": 101 } })),
        "metric_out_of_range"
    )]
    #[case::a_negative_part(push(json!({ "rows": [], "part": -1 })), "part_out_of_range")]
    fn what_breaks_a_limit_is_refused(#[case] body: Value, #[case] code: &str) {
        assert_eq!(
            NodeUsage::parse(&body.to_string()).unwrap_err().code(),
            code
        );
    }

    #[test]
    fn the_largest_message_fits_a_message_of_the_queue() {
        let rows = (0..20_000).map(|n| PushRow::from((i32::MAX - 20_000 + n, 1 << 38, 1 << 37)));
        let unreadable = UnreadableRow {
            key: "\u{1}".repeat(MAX_UNREADABLE_CHARS),
            reason: "x".repeat(MAX_UNREADABLE_CHARS),
        };
        let mut usage = NodeUsage::parse(&body().to_string()).unwrap();
        usage.content = NodeUsageContent::Push(Push {
            rows: rows.collect(),
            unreadable: vec![unreadable; MAX_UNREADABLE],
            unreadable_rows: i32::MAX,
            ..Push::default()
        });
        usage.check().unwrap();
        assert!(usage.body().unwrap().len() < MAX_BODY_BYTES);
    }

    fn rows() -> impl Strategy<Value = Vec<PushRow>> {
        let bytes = 1..=MAX_LINE_BYTES;
        prop::collection::btree_map(1..=i32::MAX, (bytes.clone(), bytes), 0..4).prop_map(|rows| {
            rows.into_iter()
                .map(|(n, (u, d))| (n, u, d).into())
                .collect()
        })
    }

    proptest! {
        #[test]
        fn every_canonical_push_is_read_as_it_was_written(rows in rows(), part in 0..9) {
            let mut usage = NodeUsage::parse(&body().to_string()).unwrap();
            usage.content = NodeUsageContent::Push(Push { rows, part, ..Push::default() });
            prop_assert_eq!(NodeUsage::parse(&usage.body().unwrap()).unwrap(), usage);
        }

        #[test]
        fn pushes_have_equal_hashes_only_if_their_rows_are_equal(one in rows(), other in rows()) {
            let push = |rows: &Vec<PushRow>| Push { rows: rows.clone(), ..Push::default() };
            let equal = push(&one).body_hash() == push(&other).body_hash();
            prop_assert_eq!(equal, one == other);
        }
    }
}
