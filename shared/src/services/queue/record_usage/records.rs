//! Writes the acceptable reports of a batch.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::HashedReport;
use super::fleet::Fleet;
use crate::db::Connection;
use crate::db::node::{self, ClientFactor, Heartbeat, SkewedClock};
use crate::db::node_metrics;
use crate::db::quarantine::{self, NewQuarantinedReport, QuarantinedLine};
use crate::db::usage_report::{self, NewUsageReport, RawUsage, ReportKey};
use crate::domain::line_rate::LineRate;
use crate::domain::node_metrics::{self as hourly, MetricSums, ServerHour};
use crate::domain::quarantine::QuarantineReason;
use crate::error::Error;
use crate::events::usage_report::UsageLine;
use crate::services::Outcomes;
use crate::services::idempotency::{check_payload, first_of_each_key};
use crate::telemetry::{self, Cause};

/// A report, and the reason why some or all of its lines are quarantined. `None` if all lines are
/// billed.
#[derive(Debug, Clone, Copy)]
pub(in crate::services::queue) struct Record<'r> {
    hashed: &'r HashedReport,
    quarantine: Option<QuarantineReason>,
}

impl<'r> Record<'r> {
    pub fn new(hashed: &'r HashedReport, fleet: &Fleet, line_rate: LineRate) -> Self {
        let report = &hashed.report;
        let period = report.period_end - report.period_start;
        let quarantine = if !line_rate.carries(report.total_bytes(), period) {
            Some(QuarantineReason::ImplausibleBytes)
        } else if report
            .usage
            .iter()
            .any(|line| fleet.factor(report, line).is_none())
        {
            Some(QuarantineReason::UnknownNodeClient)
        } else {
            None
        };
        Self { hashed, quarantine }
    }

    fn key(&self) -> ReportKey {
        self.hashed.key()
    }

    /// The client and factor of a line. `None` if the line is quarantined.
    pub fn billed_by(&self, line: &UsageLine, fleet: &Fleet) -> Option<ClientFactor> {
        if self.quarantine == Some(QuarantineReason::ImplausibleBytes) {
            return None;
        }
        fleet.factor(&self.hashed.report, line)
    }

    /// The row of the report. If it is unknown what caused it, that is the current work.
    fn row(&self, fleet: &Fleet, current: Option<&Cause>) -> Result<NewUsageReport<'r>, Error> {
        let HashedReport {
            report,
            seen_at,
            payload_hash,
            sender_id,
            cause,
            ..
        } = self.hashed;
        let lines = match self.quarantine {
            None => report.usage.len(),
            Some(_) => report
                .usage
                .iter()
                .filter(|line| self.billed_by(line, fleet).is_some())
                .count(),
        };
        Ok(NewUsageReport {
            key: self.key(),
            period_start: report.period_start,
            period_end: report.period_end,
            seen_at: *seen_at,
            payload_hash,
            line_count: i32::try_from(lines).map_err(Error::internal)?,
            sender_id: sender_id.as_deref(),
            trace: cause.as_ref().or(current).and_then(Cause::header),
        })
    }
}

/// The acceptable reports of a batch.
pub(super) struct Records<'r> {
    /// Reports by key. If several have the same key, the first one counts.
    by_key: BTreeMap<ReportKey, Record<'r>>,
    fleet: &'r Fleet,
}

/// A new report and its `seq`.
type New<'r> = (Record<'r>, i64);

impl<'r> Records<'r> {
    pub fn new(
        reports: impl Iterator<Item = &'r HashedReport>,
        fleet: &'r Fleet,
        line_rate: LineRate,
    ) -> Self {
        let records = reports.map(|hashed| Record::new(hashed, fleet, line_rate));
        let by_key = first_of_each_key(records, Record::key);
        Self { by_key, fleet }
    }

    pub async fn write(&self, tx: &mut Connection, now: DateTime<Utc>) -> Result<Recorded, Error> {
        let current = Cause::current();
        let rows = self
            .by_key
            .values()
            .map(|record| record.row(self.fleet, current.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        let seqs = usage_report::insert_new(tx, &rows, now).await?;
        let new: Vec<New<'r>> = self
            .by_key
            .iter()
            .filter_map(|(key, record)| Some((*record, *seqs.get(key)?)))
            .collect();
        let hashes = self.hashes(tx, &seqs).await?;
        usage_report::copy_raw_usage(tx, self.raw_usage(&new), now).await?;
        let quarantined = self.write_quarantine(tx, &new, now).await?;
        let skewed = node::record_heartbeats(tx, &heartbeats(&new), now).await?;
        node_metrics::add(tx, &metric_sums(&new)).await?;
        let greatest_skew_seconds = new
            .iter()
            .filter_map(|(record, _)| skew_seconds(record.hashed))
            .map(i32::abs)
            .max();
        Ok(Recorded {
            hashes,
            quarantined,
            skewed,
            greatest_skew_seconds,
        })
    }

    /// The hash that is recorded under each key.
    async fn hashes(
        &self,
        tx: &mut Connection,
        new: &HashMap<ReportKey, i64>,
    ) -> Result<HashMap<ReportKey, Vec<u8>>, Error> {
        let (new, repeated): (Vec<_>, Vec<_>) = self
            .by_key
            .values()
            .partition(|record| new.contains_key(&record.key()));
        let repeated: Vec<ReportKey> = repeated.into_iter().map(Record::key).collect();
        let mut hashes: HashMap<_, _> = new
            .into_iter()
            .map(|record| (record.key(), record.hashed.payload_hash.clone()))
            .collect();
        if !repeated.is_empty() {
            hashes.extend(usage_report::payload_hashes(tx, &repeated).await?);
        }
        Ok(hashes)
    }

    fn raw_usage(&self, new: &[New<'r>]) -> impl Iterator<Item = RawUsage> {
        new.iter().flat_map(move |&(record, usage_report_seq)| {
            record.hashed.report.usage.iter().filter_map(move |line| {
                let ClientFactor {
                    node_client_id,
                    traffic_factor,
                    ..
                } = record.billed_by(line, self.fleet)?;
                Some(RawUsage {
                    usage_report_seq,
                    user_id: line.user,
                    node_client_id,
                    traffic_factor,
                    upload_bytes: line.upload,
                    download_bytes: line.download,
                })
            })
        })
    }

    async fn write_quarantine(
        &self,
        tx: &mut Connection,
        new: &[New<'r>],
        now: DateTime<Utc>,
    ) -> Result<Vec<Quarantined>, Error> {
        let reports: Vec<NewQuarantinedReport<'r>> = new
            .iter()
            .filter_map(|(record, seq)| quarantined_report(record, *seq))
            .collect();
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let lines: Vec<QuarantinedLine> = new
            .iter()
            .flat_map(|(record, seq)| self.quarantined_lines(record, *seq))
            .collect();
        quarantine::insert_reports(tx, &reports, now).await?;
        quarantine::copy_lines(tx, lines.iter().copied()).await?;
        let quarantined = |report: &NewQuarantinedReport<'r>| Quarantined {
            usage_report_seq: report.usage_report_seq,
            node_server_id: report.node_server_id,
            reason: report.reason,
            lines: lines
                .iter()
                .filter(|line| line.usage_report_seq == report.usage_report_seq)
                .count(),
        };
        Ok(reports.iter().map(quarantined).collect())
    }

    fn quarantined_lines(
        &self,
        record: &Record<'r>,
        usage_report_seq: i64,
    ) -> Vec<QuarantinedLine> {
        let report = &record.hashed.report;
        let is_quarantined = |line: &&UsageLine| record.billed_by(line, self.fleet).is_none();
        let quarantined = |line: &UsageLine| {
            let known = self.fleet.factor(report, line);
            QuarantinedLine {
                usage_report_seq,
                user_id: line.user,
                node_client_id: known.map_or(line.node_client_id, |factor| factor.node_client_id),
                traffic_factor: known.map(|factor| factor.traffic_factor),
                upload_bytes: line.upload,
                download_bytes: line.download,
            }
        };
        report
            .usage
            .iter()
            .filter(is_quarantined)
            .map(quarantined)
            .collect()
    }
}

fn quarantined_report<'r>(
    record: &Record<'r>,
    usage_report_seq: i64,
) -> Option<NewQuarantinedReport<'r>> {
    let report = &record.hashed.report;
    Some(NewQuarantinedReport {
        usage_report_seq,
        report_id: report.report_id,
        node_server_id: report.server_id,
        sender_id: record.hashed.sender_id.as_deref(),
        period_start: report.period_start,
        period_end: report.period_end,
        reason: record.quarantine?,
    })
}

/// A quarantined report, for the log.
struct Quarantined {
    usage_report_seq: i64,
    node_server_id: i32,
    reason: QuarantineReason,
    lines: usize,
}

/// What was recorded of a batch.
pub(in crate::services::queue) struct Recorded {
    hashes: HashMap<ReportKey, Vec<u8>>,
    quarantined: Vec<Quarantined>,
    skewed: Vec<SkewedClock>,
    greatest_skew_seconds: Option<i32>,
}

impl Recorded {
    fn check(&self, hashed: &HashedReport) -> Result<(), Error> {
        let what = format!("Report {}", hashed.report.report_id);
        check_payload(
            &self.hashes,
            &hashed.key(),
            &hashed.payload_hash,
            "report_id_reused",
            &what,
        )
    }

    /// The outcome of each report: that of its check, else whether it is what was recorded.
    pub fn outcomes(&self, reports: &[&HashedReport], checks: Outcomes) -> Outcomes {
        let outcome = |(hashed, check): (&&HashedReport, Result<(), Error>)| {
            check.and_then(|()| self.check(hashed))
        };
        reports.iter().zip(checks).map(outcome).collect()
    }

    /// Accepts repeats of reports whose server has been deleted or archived since. Adds what was
    /// recorded of them, and replaces the failed checks.
    pub async fn add_earlier(
        &mut self,
        tx: &mut Connection,
        reports: &[&HashedReport],
        checks: &mut Outcomes,
    ) -> Result<(), Error> {
        let is_unknown = |check: &Result<(), Error>| {
            check
                .as_ref()
                .is_err_and(|error| Fleet::GONE.contains(&error.code()))
        };
        let unknown = reports
            .iter()
            .zip(checks.iter())
            .filter(|(_, check)| is_unknown(check));
        let unknown: Vec<ReportKey> = unknown.map(|(hashed, _)| hashed.key()).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        self.hashes
            .extend(usage_report::payload_hashes(tx, &unknown).await?);
        for (hashed, check) in reports.iter().zip(checks) {
            if is_unknown(check) && self.hashes.contains_key(&hashed.key()) {
                *check = Ok(());
            }
        }
        Ok(())
    }

    /// Logs and counts quarantined reports and skewed clocks, after the commit.
    pub fn log(&self) {
        telemetry::count("ReportsQuarantined", self.quarantined.len());
        telemetry::count(
            "UsageLinesQuarantined",
            self.quarantined.iter().map(|report| report.lines).sum(),
        );
        for Quarantined {
            usage_report_seq,
            node_server_id,
            reason,
            lines,
        } in &self.quarantined
        {
            tracing::warn!(
                usage_report_seq,
                node_server_id,
                ?reason,
                lines,
                "report quarantined"
            );
        }
        if let Some(seconds) = self.greatest_skew_seconds {
            telemetry::measure("NodeClockSkewSeconds", seconds.into());
        }
        for SkewedClock {
            node_server_id,
            clock_skew_seconds,
        } in &self.skewed
        {
            tracing::warn!(
                node_server_id,
                clock_skew_seconds,
                "the end of the newest period differs from the time at which its report was sent: \
                 the server's clock is wrong, or reports are sent late"
            );
        }
    }
}

fn skew_seconds(hashed: &HashedReport) -> Option<i32> {
    // A report is at most 35 days old.
    hashed
        .clock_skew
        .map(|skew| i32::try_from(skew.num_seconds()).unwrap_or(i32::MIN))
}

/// One heartbeat per server, sorted by server, with the time at which it was last alive and its
/// newest metrics. If two reports have the same time, as reports from the future may, the report
/// with the later period is newer.
fn heartbeats(new: &[New<'_>]) -> Vec<Heartbeat> {
    let mut records: Vec<&Record<'_>> = new.iter().map(|(record, _)| record).collect();
    records.sort_by_key(|record| (record.hashed.seen_at, record.hashed.report.period_end));
    let mut by_server: BTreeMap<i32, Heartbeat> = BTreeMap::new();
    for record in records {
        let HashedReport {
            report, seen_at, ..
        } = record.hashed;
        let beat = by_server
            .entry(report.server_id)
            .or_insert_with(|| Heartbeat {
                node_server_id: report.server_id,
                online_at: *seen_at,
                metrics: None,
                traffic_at: None,
                clock_skew_seconds: None,
            });
        beat.online_at = *seen_at;
        beat.metrics = report
            .metrics
            .clone()
            .map(|metrics| (*seen_at, metrics))
            .or(beat.metrics.take());
        beat.traffic_at = (report.total_bytes() > 0)
            .then_some(*seen_at)
            .or(beat.traffic_at);
        beat.clock_skew_seconds = skew_seconds(record.hashed).or(beat.clock_skew_seconds);
    }
    by_server.into_values().collect()
}

/// The metrics of the new reports per server and hour. Like a heartbeat, the metrics of a report
/// were measured when the server was last alive.
fn metric_sums(new: &[New<'_>]) -> BTreeMap<ServerHour, MetricSums> {
    hourly::sums(new.iter().filter_map(|(record, _)| {
        let HashedReport {
            report, seen_at, ..
        } = record.hashed;
        Some((report.server_id, *seen_at, report.metrics.as_ref()?))
    }))
}
