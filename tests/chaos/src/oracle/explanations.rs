//! Explanations of usage must add up to what is shown, and their parts to their lines.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use shared::clock::Context;
use shared::config::TelecomConfig;
use shared::domain::traffic_usage::TrafficSum;
use shared::domain::usage_explanation::{BilledPart, ExplainedLine, PAGES};
use shared::services::Processor as _;
use shared::services::manage::{ExplainUsage, ManageService, UsageExplanation};
use uuid::Uuid;

use crate::run::Run;

/// Number of hours of users that are explained.
const HOURS: i64 = 1_000;
/// Number of units in a factor of one.
const UNITS: i128 = 10_000;

/// Upload and download of a user in an hour, whose start is in seconds.
type Charges = HashMap<(Uuid, i64), [i64; 2]>;

/// Explains random hours of users.
pub async fn check(run: &Run) -> Result<()> {
    let hours: Vec<(Uuid, DateTime<Utc>)> = run
        .operator
        .until_done(async |connection| {
            let statement = "select user_id, bucket_start from telecom.user_package_usage
                group by 1, 2 order by random() limit $1";
            sqlx::query_as(statement)
                .bind(HOURS)
                .fetch_all(connection)
                .await
        })
        .await?;
    let service = ManageService::new(
        run.operator.pool()?,
        Context::system(),
        TelecomConfig::default(),
    );
    let unreported = charges_without_reports(run);
    for (user, hour) in hours {
        let explained = service
            .process(ExplainUsage {
                user,
                hour,
                limit: Some(PAGES.max_limit),
                offset: None,
            })
            .await?;
        let key = (user, hour.timestamp());
        let [upload, download] = unreported.get(&key).copied().unwrap_or_default();
        check_one(run, &explained, [upload, download]);
    }
    Ok(())
}

/// What other publishers charged. No report explains it.
fn charges_without_reports(run: &Run) -> Charges {
    let mut sums = Charges::new();
    for charge in run.ledger.open().charges.values().flatten() {
        let seconds = charge.time.timestamp();
        let key = (charge.user, seconds - seconds.rem_euclid(3_600));
        let [upload, download] = sums.entry(key).or_default();
        *upload += charge.upload;
        *download += charge.download;
    }
    sums
}

fn check_one(run: &Run, explained: &UsageExplanation, [upload, download]: [i64; 2]) {
    let unexplained = TrafficSum {
        raw_upload: upload,
        raw_download: download,
        billed_upload: upload,
        billed_download: download,
        ..TrafficSum::default()
    };
    if explained.unexplained != unexplained {
        run.finding("the explanation of an hour does not add up", || {
            format!("{unexplained:?} should be unexplained: {explained:?}")
        });
    }
    let billed = |part: &BilledPart| part.billing_run_id.is_some();
    let parts = explained.parts.iter().filter(|part| billed(part));
    let mut sum = TrafficSum::default();
    for part in parts {
        sum.raw_upload += part.raw_upload;
        sum.raw_download += part.raw_download;
        sum.billed_upload += part.billed_upload;
        sum.billed_download += part.billed_download;
        if !agrees_with_lines(part) {
            run.finding("a billed part differs from its lines", || {
                format!("{part:?}")
            });
        }
    }
    let complete = i64::try_from(explained.parts.len()) == Ok(explained.total);
    if complete && sum != explained.billed {
        run.finding("the parts of an hour differ from their sum", || {
            format!("{explained:?}")
        });
    }
}

/// Whether a part is the sum of its lines, multiplied by their factors and rounded once. A part
/// that does not show all of its lines is not checked.
fn agrees_with_lines(part: &BilledPart) -> bool {
    if i64::try_from(part.lines.len()) != Ok(part.line_count) {
        return true;
    }
    let units = |factor: f64| format!("{:.0}", factor * 1e4).parse().unwrap_or(0_i128);
    let sum = |bytes: fn(&ExplainedLine) -> i64| {
        let lines = part.lines.iter();
        let add = |(raw, charge): (i128, i128), line: &ExplainedLine| {
            let bytes = i128::from(bytes(line));
            (raw + bytes, charge + bytes * units(line.factor))
        };
        let (raw, charge) = lines.fold((0, 0), add);
        (raw, (charge + UNITS / 2) / UNITS)
    };
    let shown = |raw: i64, billed: i64| (i128::from(raw), i128::from(billed));
    sum(|line| line.upload) == shown(part.raw_upload, part.billed_upload)
        && sum(|line| line.download) == shown(part.raw_download, part.billed_download)
}
