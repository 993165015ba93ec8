//! The bodies of reports, `usage.report.v1`.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use uuid::Uuid;

use crate::counters::Bytes;
use crate::machine::Metrics;
use crate::names::Payer;

/// Limits of the receiver.
const MAX_LINES: usize = 10_000;
const MAX_BODY_BYTES: usize = 1_048_576;
const MAX_LINE_BYTES: i64 = 1 << 50;
const MAX_REPORT_BYTES: i64 = 1 << 53;
/// What a body needs besides its lines.
const ENVELOPE_BYTES: usize = 2_048;
/// Smaller bodies fit into one packet, so they are not compressed.
const COMPRESS_FROM_BYTES: usize = 1_024;

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub server_id: i32,
    pub start_ms: i64,
    pub end_ms: i64,
}

/// A report as it will be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub report_id: Uuid,
    pub lines: usize,
    pub bytes: Bytes,
    pub compressed: bool,
    pub content: Vec<u8>,
}

#[derive(Serialize)]
struct Report<'a> {
    r#type: &'static str,
    #[serde(rename = "report_id")]
    id: Uuid,
    server_id: i32,
    period_start: String,
    period_end: String,
    usage: &'a [Line],
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'a Metrics>,
}

#[derive(Serialize)]
struct Line {
    user: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_client_id: Option<i32>,
    upload: i64,
    download: i64,
}

/// Splits the usage into as many reports as the limits require, at least one.
pub fn bodies(
    period: Period,
    usage: &BTreeMap<Payer, Bytes>,
    metrics: Option<&Metrics>,
    mut next_id: impl FnMut() -> Uuid,
) -> Result<Vec<Body>> {
    let mut bodies = Vec::new();
    let mut open = Open::default();
    for (payer, bytes) in usage {
        for line in lines(*payer, *bytes) {
            if !open.has_room(&line) {
                bodies.push(open.close(
                    period,
                    metrics.filter(|_| bodies.is_empty()),
                    next_id(),
                )?);
                open = Open::default();
            }
            open.add(line);
        }
    }
    if bodies.is_empty() || !open.lines.is_empty() {
        bodies.push(open.close(period, metrics.filter(|_| bodies.is_empty()), next_id())?);
    }
    Ok(bodies)
}

/// More bytes than a line may have are several lines.
fn lines(payer: Payer, mut rest: Bytes) -> impl Iterator<Item = Line> {
    std::iter::from_fn(move || {
        if rest.is_zero() {
            return None;
        }
        let part = Bytes {
            upload: rest.upload.min(MAX_LINE_BYTES),
            download: rest.download.min(MAX_LINE_BYTES),
        };
        rest.upload -= part.upload;
        rest.download -= part.download;
        Some(Line {
            user: payer.user,
            node_client_id: payer.client,
            upload: part.upload,
            download: part.download,
        })
    })
}

/// A report that gets lines.
#[derive(Default)]
struct Open {
    lines: Vec<Line>,
    bytes: Bytes,
    body_bytes: usize,
}

impl Open {
    fn has_room(&self, line: &Line) -> bool {
        let total = self.bytes.upload + self.bytes.download + line.upload + line.download;
        self.lines.len() < MAX_LINES
            && self.body_bytes + line.body_bytes() <= MAX_BODY_BYTES - ENVELOPE_BYTES
            && total <= MAX_REPORT_BYTES
    }

    fn add(&mut self, line: Line) {
        self.body_bytes += line.body_bytes();
        self.bytes += Bytes {
            upload: line.upload,
            download: line.download,
        };
        self.lines.push(line);
    }

    fn close(&self, period: Period, metrics: Option<&Metrics>, report_id: Uuid) -> Result<Body> {
        let content = serde_json::to_vec(&Report {
            r#type: "usage.report.v1",
            id: report_id,
            server_id: period.server_id,
            period_start: rfc3339(period.start_ms)?,
            period_end: rfc3339(period.end_ms)?,
            usage: &self.lines,
            metrics,
        })?;
        let compressed = content.len() >= COMPRESS_FROM_BYTES;
        Ok(Body {
            report_id,
            lines: self.lines.len(),
            bytes: self.bytes,
            compressed,
            content: if compressed { gzip(&content)? } else { content },
        })
    }
}

impl Line {
    fn body_bytes(&self) -> usize {
        let digits = |number: i64| number.checked_ilog10().map_or(1, |log| log + 1);
        let numbers = digits(self.upload) + digits(self.download);
        let client = if self.node_client_id.is_some() { 30 } else { 0 };
        // {"user":"","upload":,"download":}, and a user.
        34 + 36 + client + usize::try_from(numbers).unwrap_or(40)
    }
}

/// An instant as reports and people write it.
pub fn rfc3339(ms: i64) -> Result<String> {
    let time = DateTime::from_timestamp_millis(ms);
    let time = time.with_context(|| format!("the time {ms} is out of range"))?;
    Ok(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const PERIOD: Period = Period {
        server_id: -2_147_483_648,
        start_ms: 1_795_168_800_000,
        end_ms: 1_795_168_860_123,
    };

    fn made(usage: &[(u128, Option<i32>, i64, i64)], metrics: Option<&Metrics>) -> Vec<Value> {
        let usage = usage.iter().map(|(user, client, upload, download)| {
            let user = Uuid::from_u128(*user);
            let bytes = Bytes {
                upload: *upload,
                download: *download,
            };
            (
                Payer {
                    user,
                    client: *client,
                },
                bytes,
            )
        });
        let mut ids = 0;
        let bodies = bodies(PERIOD, &usage.collect(), metrics, || {
            ids += 1;
            Uuid::from_u128(ids)
        });
        bodies.unwrap().iter().map(json).collect()
    }

    fn json(body: &Body) -> Value {
        let mut content = Vec::new();
        if body.compressed {
            GzDecoder::new(&body.content[..])
                .read_to_end(&mut content)
                .unwrap();
        } else {
            content.clone_from(&body.content);
        }
        assert!(content.len() <= MAX_BODY_BYTES);
        let json: Value = serde_json::from_slice(&content).unwrap();
        assert_eq!(json["usage"].as_array().unwrap().len(), body.lines);
        assert_eq!(json["report_id"], body.report_id.to_string());
        json
    }

    fn valid(report: &Value) -> bool {
        let schema = include_str!("../../docs/schemas/usage-report.schema.json");
        jsonschema::is_valid(&serde_json::from_str(schema).unwrap(), report)
    }

    fn sum(reports: &[Value], direction: &str) -> i128 {
        let lines = reports
            .iter()
            .flat_map(|report| report["usage"].as_array().unwrap());
        lines
            .map(|line| i128::from(line[direction].as_i64().unwrap()))
            .sum()
    }

    #[test]
    fn usage_becomes_a_report_of_the_documented_form() {
        let metrics = Metrics {
            load1: Some(0.5),
            ..Metrics::default()
        };
        let reports = made(
            &[(1, Some(19), 1000, 2000), (2, None, 0, 7)],
            Some(&metrics),
        );
        assert_eq!(reports.len(), 1);
        assert!(valid(&reports[0]));
        assert_eq!(reports[0]["period_end"], "2026-11-20T10:01:00.123Z");
        assert_eq!(reports[0]["usage"][0]["node_client_id"], 19);
        assert!(reports[0]["usage"][1].get("node_client_id").is_none());
        assert_eq!(reports[0]["metrics"], serde_json::json!({ "load1": 0.5 }));
    }

    #[test]
    fn no_usage_is_one_heartbeat() {
        let reports = made(&[], None);
        assert_eq!(reports.len(), 1);
        assert!(valid(&reports[0]) && reports[0]["usage"] == serde_json::json!([]));
    }

    #[test]
    fn large_usage_is_split_below_both_limits() {
        let usage: Vec<_> = (0..12_000)
            .map(|user| (user, Some(i32::MIN), MAX_LINE_BYTES / 2_000, 1))
            .collect();
        let reports = made(&usage, Some(&Metrics::default()));
        assert!(reports.len() > 1);
        assert!(reports.iter().all(valid));
        assert_eq!(sum(&reports, "download"), 12_000);
        let with_metrics = reports
            .iter()
            .filter(|report| report.get("metrics").is_some());
        assert_eq!(with_metrics.count(), 1);
        let ids: std::collections::HashSet<_> = reports
            .iter()
            .map(|report| report["report_id"].to_string())
            .collect();
        assert_eq!(ids.len(), reports.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn no_byte_is_lost_by_splitting(
            usage in prop::collection::vec((0..50_u128, 0..=1_i64 << 54, 0..=1_i64 << 54), 1..20)
        ) {
            let usage: BTreeMap<_, _> = usage
                .into_iter()
                .map(|(user, upload, download)| (user, (upload, download)))
                .collect();
            let usage: Vec<_> = usage
                .into_iter()
                .map(|(user, (upload, download))| (user, None, upload, download))
                .collect();
            let reports = made(&usage, None);
            let uploaded: i128 = usage.iter().map(|line| i128::from(line.2)).sum();
            let downloaded: i128 = usage.iter().map(|line| i128::from(line.3)).sum();
            prop_assert_eq!(sum(&reports, "upload"), uploaded);
            prop_assert_eq!(sum(&reports, "download"), downloaded);
            for report in &reports {
                let one = std::slice::from_ref(report);
                let total = sum(one, "upload") + sum(one, "download");
                prop_assert!(total <= i128::from(MAX_REPORT_BYTES));
            }
        }
    }
}
