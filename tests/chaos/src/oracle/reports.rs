//! Every report and each of its lines must be recorded once. A line is billed at the factor of its
//! arrival or quarantined with a reason.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::amount;
use crate::ledger::{Books, Line, Report};
use crate::life::nodes::RELEASE_FACTOR;
use crate::run::Run;

/// A row of a recorded report.
#[derive(Debug, FromRow)]
pub struct ReportRow {
    pub report_id: Uuid,
    pub node_server_id: i32,
    pub seq: i64,
    pub line_count: i32,
    pub billing_run_id: Option<Uuid>,
    pub period_start: DateTime<Utc>,
    pub period_end: DateTime<Utc>,
    /// The row holds released lines of a quarantined report.
    pub is_released: bool,
}

/// A row of `telecom.traffic_usage`.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct RawRow {
    usage_report_seq: i64,
    pub user_id: Uuid,
    pub node_client_id: Option<i32>,
    pub factor: i64,
    pub upload_bytes: i64,
    pub download_bytes: i64,
}

/// A row of `telecom.quarantined_usage` with the reason of its report.
#[derive(Debug, Clone, FromRow)]
struct AsideRow {
    usage_report_seq: i64,
    user_id: Uuid,
    node_client_id: Option<i32>,
    upload_bytes: i64,
    download_bytes: i64,
    reason: String,
}

/// Reports and lines that the database holds.
pub struct Recorded {
    pub reports: Vec<ReportRow>,
    raw: HashMap<i64, Vec<RawRow>>,
    aside: HashMap<i64, Vec<AsideRow>>,
}

impl Recorded {
    pub async fn load(run: &Run) -> Result<Self> {
        let reports = run
            .operator
            .until_done(async |connection| {
                sqlx::query_as(
                    "select coalesce(collector_report_id, report_id) as report_id, node_server_id,
                    seq, line_count,
                        billing_run_id, period_start, period_end,
                        length(payload_hash) = 0 as is_released
                     from telecom.usage_report",
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let mut recorded = Self {
            reports,
            raw: HashMap::new(),
            aside: HashMap::new(),
        };
        for row in raw_rows(run).await? {
            recorded
                .raw
                .entry(row.usage_report_seq)
                .or_default()
                .push(row);
        }
        for row in aside_rows(run).await? {
            recorded
                .aside
                .entry(row.usage_report_seq)
                .or_default()
                .push(row);
        }
        Ok(recorded)
    }

    pub fn lines(&self, seq: i64) -> &[RawRow] {
        self.raw.get(&seq).map(Vec::as_slice).unwrap_or_default()
    }

    fn lines_aside(&self, seq: i64) -> &[AsideRow] {
        self.aside.get(&seq).map(Vec::as_slice).unwrap_or_default()
    }
}

async fn raw_rows(run: &Run) -> Result<Vec<RawRow>> {
    run.operator
        .until_done(async |connection| {
            sqlx::query_as(
                "select usage_report_seq, user_id, node_client_id,
                (traffic_factor * 10000)::bigint as factor,
                    upload_bytes, download_bytes from telecom.traffic_usage",
            )
            .fetch_all(connection)
            .await
        })
        .await
}

async fn aside_rows(run: &Run) -> Result<Vec<AsideRow>> {
    run.operator
        .until_done(async |connection| {
            sqlx::query_as(
                "select usage_report_seq, user_id, node_client_id, upload_bytes, download_bytes,
                reason
                 from telecom.quarantined_usage join telecom.quarantined_report
                 using (usage_report_seq)",
            )
            .fetch_all(connection)
            .await
        })
        .await
}

/// Compares reports and raw rows with the books.
pub fn check(run: &Run, recorded: &Recorded) {
    let books = run.ledger.open();
    let repeats: HashSet<Uuid> = books
        .reports
        .values()
        .filter_map(|one| one.repeat)
        .collect();
    let mut found: HashMap<Uuid, &ReportRow> = HashMap::new();
    for row in recorded.reports.iter().filter(|row| !row.is_released) {
        if found.insert(row.report_id, row).is_some() {
            run.finding("a report is recorded twice", || format!("{row:?}"));
        }
        if !books.reports.contains_key(&row.report_id) && !repeats.contains(&row.report_id) {
            run.finding("a report is recorded that was never sent", || {
                format!("{row:?}")
            });
        }
    }
    for (id, report) in &books.reports {
        let Some(row) = with_lines(run, recorded, &found, *id, report.repeat) else {
            if books.may_be_refused(report) {
                run.count("reports of archived servers refused");
                continue;
            }
            run.findings_of("usage lines lost", amount(report.lines.len()), || {
                format!("report {id} is missing")
            });
            continue;
        };
        if books.must_be_refused(report) {
            run.finding("a report of an archived server is recorded", || {
                format!("{row:?}")
            });
        }
        check_report(run, &books, report, row, recorded);
    }
    check_released(run, recorded);
}

/// The row of a report or, if its lines are those of a repeat, the row of the repeat.
fn with_lines<'r>(
    run: &Run,
    recorded: &Recorded,
    found: &HashMap<Uuid, &'r ReportRow>,
    id: Uuid,
    repeat: Option<Uuid>,
) -> Option<&'r ReportRow> {
    let rows = [Some(id), repeat].map(|id| found.get(&id?).copied());
    let has_lines = |row: &&ReportRow| {
        !recorded.lines(row.seq).is_empty() || !recorded.lines_aside(row.seq).is_empty()
    };
    let mut filled = rows.into_iter().flatten().filter(has_lines);
    let row = filled.next();
    if let Some(doubled) = filled.next() {
        run.finding("usage lines doubled", || {
            format!("{doubled:?} is a repeat of {id}")
        });
    }
    row.or(rows[0])
}

fn check_report(run: &Run, books: &Books, report: &Report, row: &ReportRow, recorded: &Recorded) {
    let (raw, aside) = (recorded.lines(row.seq), recorded.lines_aside(row.seq));
    let is_same_period = report.is_push
        || (
            report.start.timestamp_micros(),
            report.end.timestamp_micros(),
        ) == (
            row.period_start.timestamp_micros(),
            row.period_end.timestamp_micros(),
        );
    let is_same = is_same_period && report.server == row.node_server_id;
    if !is_same || usize::try_from(row.line_count).ok() != Some(raw.len()) {
        run.finding("a report is recorded with another content", || {
            format!("{row:?}, {} raw rows", raw.len())
        });
    }
    let lines = raw
        .iter()
        .map(RawRow::line)
        .chain(aside.iter().map(AsideRow::line))
        .collect();
    compare(run, report.lines.clone(), lines, || {
        format!("report {}", row.report_id)
    });
    for line in raw {
        check_factor(run, books, report, row, line);
        if let Some(client) = line.node_client_id
            && books.must_be_aside(report, client)
        {
            run.finding("a line of an archived client is billed", || {
                format!("report {}: {line:?}", row.report_id)
            });
        }
    }
    run.count_more("lines set aside", aside.len());
    for line in aside {
        let missing = line
            .node_client_id
            .is_some_and(|client| books.may_be_missing(report, client));
        if line.reason != "unknown_node_client" || !missing {
            run.finding("a line is set aside without a reason", || {
                format!("report {}: {line:?}", row.report_id)
            });
        }
    }
}

impl RawRow {
    fn line(&self) -> Line {
        let client = self.node_client_id.unwrap_or_default();
        Line {
            user: self.user_id,
            client,
            upload: self.upload_bytes,
            download: self.download_bytes,
        }
    }
}

impl AsideRow {
    fn line(&self) -> Line {
        let client = self.node_client_id.unwrap_or_default();
        Line {
            user: self.user_id,
            client,
            upload: self.upload_bytes,
            download: self.download_bytes,
        }
    }
}

fn compare(run: &Run, mut sent: Vec<Line>, mut there: Vec<Line>, what: impl Fn() -> String) {
    sent.sort_unstable();
    there.sort_unstable();
    if sent != there {
        let (lost, doubled) = differences(&sent, &there);
        if lost > 0 {
            run.findings_of("usage lines lost", lost, &what);
        }
        if doubled > 0 {
            run.findings_of("usage lines doubled", doubled, &what);
        }
    }
}

/// How many lines of `sent` are missing in `recorded`, and how many recorded lines were not sent.
fn differences(sent: &[Line], recorded: &[Line]) -> (u64, u64) {
    let mut left: HashMap<Line, i64> = HashMap::new();
    for line in sent {
        *left.entry(*line).or_default() += 1;
    }
    for line in recorded {
        *left.entry(*line).or_default() -= 1;
    }
    let lost: i64 = left.values().filter(|count| **count > 0).sum();
    let extra: i64 = left.values().filter(|count| **count < 0).sum();
    (lost.unsigned_abs(), extra.unsigned_abs())
}

fn check_factor(run: &Run, books: &Books, report: &Report, row: &ReportRow, line: &RawRow) {
    let Some(client) = line.node_client_id else {
        return;
    };
    let possible = books.factors_of(report, client);
    if !possible.contains(&line.factor) {
        run.finding(
            "a line is recorded at another factor than that of its arrival",
            || {
                format!(
                    "report {}, client {client}: {} instead of {possible:?}",
                    row.report_id, line.factor
                )
            },
        );
    }
}

/// Quarantined lines must be billed once, at the factor of their release.
fn check_released(run: &Run, recorded: &Recorded) {
    let nameless = |line: Line| Line { client: 0, ..line };
    let aside = recorded
        .aside
        .values()
        .flatten()
        .map(|row| nameless(row.line()))
        .collect();
    let rows: Vec<&RawRow> = recorded
        .reports
        .iter()
        .filter(|row| row.is_released)
        .flat_map(|row| recorded.lines(row.seq))
        .collect();
    compare(
        run,
        aside,
        rows.iter().map(|row| row.line()).collect(),
        || "of the lines that were set aside".to_owned(),
    );
    for row in rows.iter().filter(|row| row.factor != RELEASE_FACTOR) {
        run.finding("a released line is billed at another factor", || {
            format!("{row:?}")
        });
    }
}
