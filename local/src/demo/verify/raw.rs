//! Compares raw rows with the account, report by report, and collects the lines that each billing
//! run had to bill.

use std::collections::HashMap;

use anyhow::Result;
use futures::TryStreamExt;
use sqlx::{FromRow, Postgres, Transaction};
use uuid::Uuid;

use super::billing::{Billing, hour_of_period};
use super::check::{self, Check, add};
use super::database::{ReportRow, Snapshot, client_text};
use super::pushes::Content;
use crate::demo::account::Book;
use crate::demo::report::{Line, Report};

/// Report id, user, client.
type RawKey = (Uuid, Uuid, Option<i32>);
/// Upload, download, and the sum of both times the recorded factor, in ten-thousandths. The number
/// of rows is not compared, because lines may be combined.
type RawSums = [i128; 3];

#[derive(FromRow)]
struct RawRow {
    usage_report_seq: i64,
    user_id: Uuid,
    node_client_id: Option<i32>,
    factor: i64,
    upload_bytes: i64,
    download_bytes: i64,
}

pub(super) struct Raw<'s> {
    pub checks: Vec<Check>,
    /// Reports that are not in the account, by their numbers.
    pub others: HashMap<i64, &'s ReportRow>,
    /// The recorded rows of each of these.
    pub contents: HashMap<i64, Content>,
}

/// Compares raw rows, and adds the lines of every billed report to `billing`. The lines come from
/// the account or, for reports that are not in it, from the rows.
pub(super) async fn compare<'s>(
    tx: &mut Transaction<'static, Postgres>,
    snapshot: &'s Snapshot,
    book: &Book,
    billing: &mut Billing,
) -> Result<Raw<'s>> {
    let mut walk = Walk::new(snapshot, book, billing);
    let statement = "/* verify.raw */ select usage_report_seq, user_id, node_client_id,
            (traffic_factor * 10000)::bigint as factor, upload_bytes, download_bytes
        from telecom.traffic_usage order by usage_report_seq";
    let mut rows = sqlx::query_as::<_, RawRow>(statement).fetch(&mut **tx);
    while let Some(row) = rows.try_next().await? {
        if walk.seq != Some(row.usage_report_seq) {
            walk.close_report();
            walk.seq = Some(row.usage_report_seq);
        }
        walk.add_row(&row);
    }
    walk.close_report();
    Ok(walk.finish())
}

/// The state while rows are read. Of reports in the account, only the current one's rows are in
/// memory.
struct Walk<'a, 's> {
    snapshot: &'s Snapshot,
    billing: &'a mut Billing,
    /// Recorded reports of the account that have lines and whose rows have not been read yet.
    expected: HashMap<i64, (&'a Report, &'s ReportRow)>,
    /// Reports that are not in the account.
    others: HashMap<i64, &'s ReportRow>,
    contents: HashMap<i64, Content>,
    seq: Option<i64>,
    current: HashMap<RawKey, RawSums>,
    checks: [Check; 3],
}

impl<'a, 's> Walk<'a, 's> {
    fn new(snapshot: &'s Snapshot, book: &'a Book, billing: &'a mut Billing) -> Self {
        let mut others: HashMap<i64, &'s ReportRow> = snapshot
            .reports
            .values()
            .map(|row| (row.seq, row))
            .collect();
        let mut expected = HashMap::new();
        for report in &book.reports {
            if let Some(row) = snapshot.reports.get(&report.id) {
                others.remove(&row.seq);
                bill(billing, snapshot, report, row);
                if !report.lines.is_empty() {
                    expected.insert(row.seq, (report, row));
                }
            }
        }
        let names = ["raw upload", "raw download", "raw × factor × 10,000"];
        Self {
            snapshot,
            billing,
            expected,
            others,
            contents: HashMap::new(),
            seq: None,
            current: HashMap::new(),
            checks: names.map(|name| Check::equal(name, 0, 0)),
        }
    }

    fn add_row(&mut self, row: &RawRow) {
        if let Some(report) = self.others.get(&row.usage_report_seq) {
            if let Some(run) = report.run {
                let hour = hour_of_period(report.period_start, report.period_end);
                let key = (row.user_id, report.node_server_id, row.node_client_id, hour);
                self.billing
                    .add(run, key, row.upload_bytes, row.download_bytes, row.factor);
            }
            let content = self.contents.entry(row.usage_report_seq).or_default();
            content.push((
                row.user_id,
                row.node_client_id,
                row.upload_bytes,
                row.download_bytes,
            ));
            return;
        }
        // Rows without a report get the nil id.
        let report = self
            .expected
            .get(&row.usage_report_seq)
            .map_or(Uuid::nil(), |(report, _)| report.id);
        let sums = self
            .current
            .entry((report, row.user_id, row.node_client_id))
            .or_default();
        add(
            sums,
            line_sums(row.upload_bytes, row.download_bytes, row.factor),
        );
    }

    fn close_report(&mut self) {
        let found = std::mem::take(&mut self.current);
        let report = self.seq.and_then(|seq| self.expected.remove(&seq));
        let expected = report
            .map(|(report, _)| raw_of(self.snapshot, report))
            .unwrap_or_default();
        self.compare(&expected, &found);
    }

    fn compare(&mut self, expected: &HashMap<RawKey, RawSums>, found: &HashMap<RawKey, RawSums>) {
        check::add_keys(
            &mut self.checks,
            expected,
            found,
            |(report, user, client)| {
                let client = client_text(*client);
                format!("report {report} user {user} client {client}")
            },
        );
    }

    fn finish(mut self) -> Raw<'s> {
        for (report, _) in std::mem::take(&mut self.expected).into_values() {
            self.compare(&raw_of(self.snapshot, report), &HashMap::new());
        }
        Raw {
            checks: self.checks.into(),
            others: self.others,
            contents: self.contents,
        }
    }
}

/// Returns the client by which a line is billed, and its factor. That is the named client, or else
/// the server's client with the lowest id. If the server has no client, the factor is 1.
fn client_of(snapshot: &Snapshot, server: i32, named: Option<i32>) -> (Option<i32>, i64) {
    let clients = snapshot
        .clients
        .get(&server)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let client = match named {
        Some(id) => clients.iter().find(|(client, _)| *client == id),
        None => clients.iter().min_by_key(|(client, _)| *client),
    };
    client.map_or((named, 10_000), |&(client, factor)| (Some(client), factor))
}

fn raw_of(snapshot: &Snapshot, report: &Report) -> HashMap<RawKey, RawSums> {
    let mut sums: HashMap<RawKey, RawSums> = HashMap::new();
    for &Line(user, named, upload, download) in &report.lines {
        let (client, factor) = client_of(snapshot, report.server, named);
        add(
            sums.entry((report.id, user, client)).or_default(),
            line_sums(upload, download, factor),
        );
    }
    sums
}

fn line_sums(upload: i64, download: i64, factor: i64) -> RawSums {
    let [upload, download, factor] = [upload, download, factor].map(i128::from);
    [upload, download, (upload + download) * factor]
}

fn bill(billing: &mut Billing, snapshot: &Snapshot, report: &Report, row: &ReportRow) {
    let Some(run) = row.run else { return };
    let hour = hour_of_period(report.start, report.end);
    for &Line(user, named, upload, download) in &report.lines {
        let (client, factor) = client_of(snapshot, report.server, named);
        billing.add(
            run,
            (user, report.server, client, hour),
            upload,
            download,
            factor,
        );
    }
}
