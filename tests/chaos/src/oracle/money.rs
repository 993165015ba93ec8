//! Every claim must be billed once, and every byte must be counted in its hour and on its item.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::amount;
use super::reports::{Recorded, ReportRow};
use crate::ledger::Books;
use crate::run::Run;

/// Unit of factors, which are in ten-thousandths.
const UNIT: i128 = 10_000;

#[derive(Debug, FromRow)]
struct HourlyRow {
    user_id: Uuid,
    bucket_start: DateTime<Utc>,
    node_server_id: i32,
    node_client_id: Option<i32>,
    package_queue_id: Option<i64>,
    raw_upload_bytes: i64,
    raw_download_bytes: i64,
    billed_upload_bytes: i64,
    billed_download_bytes: i64,
}

/// User, hour, server, client.
type Key = (Uuid, i64, i32, Option<i32>);
/// Raw upload and download, billed upload and download.
type Amounts = [i128; 4];
/// Raw upload and download, and both multiplied by their factors.
type Claim = [i128; 4];

/// Compares hourly rows and counters with the books.
pub async fn check(run: &Run, recorded: &Recorded) -> Result<()> {
    let hourly = hourly_rows(run).await?;
    check_hours(run, &expected(run, &run.ledger.open(), recorded), &hourly);
    check_counters(run, &hourly).await
}

async fn hourly_rows(run: &Run) -> Result<Vec<HourlyRow>> {
    run.operator
        .until_done(async |connection| {
            sqlx::query_as(
                "select user_id, bucket_start, node_server_id, node_client_id, package_queue_id,
                raw_upload_bytes,
                    raw_download_bytes, billed_upload_bytes, billed_download_bytes
                    from telecom.user_package_usage",
            )
            .fetch_all(connection)
            .await
        })
        .await
}

/// The expected amounts per hour: the charges of other publishers, and per claim the sums of its
/// raw rows, multiplied by their factors and rounded once.
fn expected(run: &Run, books: &Books, recorded: &Recorded) -> HashMap<Key, Amounts> {
    let mut claims: HashMap<(Uuid, Key), Claim> = HashMap::new();
    for row in recorded.reports.iter().filter(|row| row.line_count > 0) {
        let Some(claim) = row.billing_run_id else {
            run.findings_of("usage lines not billed", amount(row.line_count), || {
                format!("{row:?}")
            });
            continue;
        };
        let hour = hour_of(row);
        for line in recorded.lines(row.seq) {
            let key = (line.user_id, hour, row.node_server_id, line.node_client_id);
            let (up, down, factor) = (
                line.upload_bytes.into(),
                line.download_bytes.into(),
                i128::from(line.factor),
            );
            add(
                claims.entry((claim, key)).or_default(),
                [up, down, up * factor, down * factor],
            );
        }
    }
    let mut hours: HashMap<Key, Amounts> = HashMap::new();
    for ((_, key), [up, down, up_charge, down_charge]) in claims {
        add(
            hours.entry(key).or_default(),
            [up, down, rounded(up_charge), rounded(down_charge)],
        );
    }
    for charge in books.charges.values().flatten() {
        let seconds = charge.time.timestamp();
        let key = (
            charge.user,
            seconds - seconds.rem_euclid(3_600),
            charge.server,
            charge.client,
        );
        let (up, down) = (charge.upload.into(), charge.download.into());
        add(hours.entry(key).or_default(), [up, down, up, down]);
    }
    hours
}

/// Rounds half away from zero. Amounts are never negative.
fn rounded(charge: i128) -> i128 {
    let (whole, rest) = (charge / UNIT, charge % UNIT);
    if rest * 2 >= UNIT { whole + 1 } else { whole }
}

/// The hour of a period. Periods are half-open, so a period that ends on the hour belongs to the
/// previous hour unless the period is empty.
fn hour_of(report: &ReportRow) -> i64 {
    let last =
        (report.period_end.timestamp_micros() - 1).max(report.period_start.timestamp_micros());
    let seconds = last.div_euclid(1_000_000);
    seconds - seconds.rem_euclid(3_600)
}

fn check_hours(run: &Run, expected: &HashMap<Key, Amounts>, rows: &[HourlyRow]) {
    let mut there: HashMap<Key, Amounts> = HashMap::new();
    for row in rows {
        let key = (
            row.user_id,
            row.bucket_start.timestamp(),
            row.node_server_id,
            row.node_client_id,
        );
        let amounts = [
            row.raw_upload_bytes,
            row.raw_download_bytes,
            row.billed_upload_bytes,
            row.billed_download_bytes,
        ];
        add(there.entry(key).or_default(), amounts.map(i128::from));
    }
    let mut keys: Vec<&Key> = expected
        .keys()
        .chain(there.keys().filter(|key| !expected.contains_key(*key)))
        .collect();
    keys.sort_unstable();
    for key in keys {
        let wanted = expected.get(key).copied().unwrap_or_default();
        let found = there.get(key).copied().unwrap_or_default();
        let missing: i128 = wanted
            .iter()
            .zip(found)
            .map(|(wanted, found)| (wanted - found).max(0))
            .sum();
        let extra: i128 = wanted
            .iter()
            .zip(found)
            .map(|(wanted, found)| (found - wanted).max(0))
            .sum();
        if missing > 0 {
            run.findings_of("bytes lost", amount(missing), || {
                format!("{key:?}: {found:?} instead of {wanted:?}")
            });
        }
        if extra > 0 {
            run.findings_of("bytes doubled", amount(extra), || {
                format!("{key:?}: {found:?} instead of {wanted:?}")
            });
        }
    }
}

/// The counters of an item must be the sums of its hourly rows.
async fn check_counters(run: &Run, rows: &[HourlyRow]) -> Result<()> {
    let items: Vec<(i64, Uuid, i64, i64)> = run
        .operator
        .until_done(async |connection| {
            sqlx::query_as(
                "select id, user_id, upload_bytes, download_bytes from telecom.package_queue",
            )
            .fetch_all(connection)
            .await
        })
        .await?;
    let mut sums: HashMap<i64, (Uuid, i128, i128)> = HashMap::new();
    for row in rows {
        let Some(item) = row.package_queue_id else {
            continue;
        };
        let sum = sums.entry(item).or_insert((row.user_id, 0, 0));
        sum.1 += i128::from(row.billed_upload_bytes);
        sum.2 += i128::from(row.billed_download_bytes);
        if sum.0 != row.user_id {
            run.finding("an item pays for two users", || format!("{row:?}"));
        }
    }
    for (id, user, upload, download) in items {
        let (owner, up, down) = sums.remove(&id).unwrap_or((user, 0, 0));
        if (owner, up, down) != (user, upload.into(), download.into()) {
            run.finding("an item's counters differ from its hourly rows", || {
                format!(
                    "item {id} of {user} counts {upload} and {download}, but its hourly rows \
                    {up} and {down} of {owner}"
                )
            });
        }
    }
    for (id, sum) in sums {
        run.finding("hourly rows name an item that is not there", || {
            format!("item {id}: {sum:?}")
        });
    }
    Ok(())
}

fn add(sum: &mut [i128; 4], amounts: [i128; 4]) {
    for (sum, amount) in sum.iter_mut().zip(amounts) {
        *sum += amount;
    }
}
