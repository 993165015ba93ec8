//! Hours in which the fleet had usage before it was seeded. The past has no reports, so its rows
//! are not computed here. They are compared with the ledger, which has the sums of each hour.
//!
//! The ledger names no billing run for it, and names one for all that the simulator sends. Late
//! reports of the simulator may be of these hours, too. So the reports of an hour are added to the
//! ledger's sums, and users and clients of these hours are not compared one by one.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, Postgres, Transaction};
use uuid::Uuid;

use super::billing::{Amounts, HourKey, hour_of, hour_text};
use super::check::{self, Check, add};

#[derive(Debug, FromRow)]
struct HourRow {
    bucket_start: DateTime<Utc>,
    raw_upload: i64,
    raw_download: i64,
    billed_upload: i64,
    billed_download: i64,
}

/// What hourly rows of the past charge to a package item.
#[derive(Debug, FromRow)]
pub(super) struct Charge {
    pub user_id: Uuid,
    pub package_queue_id: Option<i64>,
    pub billed_upload: i64,
    pub billed_download: i64,
}

#[derive(Debug)]
pub(super) struct Past {
    /// The ledger and its corrections, without reports.
    expected: HashMap<i64, Amounts>,
    found: HashMap<i64, Amounts>,
    pub charges: Vec<Charge>,
}

pub(super) async fn read(tx: &mut Transaction<'static, Postgres>) -> Result<Past> {
    let expected: Vec<HourRow> = sqlx::query_as(
        "/* verify.past_ledger */
        with ledger as (select * from telecom.accepted_usage where billing_run_id is null)
        select bucket_start, sum(raw_upload_bytes)::bigint as raw_upload,
            sum(raw_download_bytes)::bigint as raw_download,
            sum(billed_upload_bytes)::bigint as billed_upload,
            sum(billed_download_bytes)::bigint as billed_download
        from (
            select bucket_start, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
                billed_download_bytes
            from ledger
            union all
            select bucket_start, 0, 0, billed_upload_bytes, billed_download_bytes
            from telecom.usage_correction
            where bucket_start in (select bucket_start from ledger)
        ) l
        group by bucket_start",
    )
    .fetch_all(&mut **tx)
    .await?;
    let found: Vec<HourRow> = sqlx::query_as(
        "/* verify.past_hours */
        select bucket_start, sum(raw_upload_bytes)::bigint as raw_upload,
            sum(raw_download_bytes)::bigint as raw_download,
            sum(billed_upload_bytes)::bigint as billed_upload,
            sum(billed_download_bytes)::bigint as billed_download
        from telecom.user_package_usage
        where bucket_start in (
            select bucket_start from telecom.accepted_usage where billing_run_id is null
        )
        group by bucket_start",
    )
    .fetch_all(&mut **tx)
    .await?;
    let charges = sqlx::query_as(
        "/* verify.past_charges */
        select user_id, package_queue_id, sum(billed_upload_bytes)::bigint as billed_upload,
            sum(billed_download_bytes)::bigint as billed_download
        from telecom.user_package_usage
        where bucket_start in (
            select bucket_start from telecom.accepted_usage where billing_run_id is null
        )
        group by user_id, package_queue_id",
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(Past {
        expected: expected.iter().map(HourRow::of_hour).collect(),
        found: found.iter().map(HourRow::of_hour).collect(),
        charges,
    })
}

impl Past {
    /// Whether an hour has usage from before the seeding.
    pub fn contains(&self, hour: i64) -> bool {
        self.expected.contains_key(&hour)
    }

    /// Bytes that were billed before the seeding.
    pub fn billed(&self) -> i128 {
        let billed = |[_, _, upload, download]: &Amounts| upload + download;
        self.expected.values().map(billed).sum()
    }

    /// Compares the sums of each hour. `reported` has the reports of all hours. Returns nothing if
    /// there is no past.
    pub fn compare(&self, reported: &HashMap<HourKey, Amounts>) -> Vec<Check> {
        if self.expected.is_empty() {
            return Vec::new();
        }
        let mut expected = self.expected.clone();
        for ((.., hour), amounts) in reported {
            if let Some(sums) = expected.get_mut(hour) {
                add(sums, *amounts);
            }
        }
        let names = [
            "raw upload of hours with a past",
            "raw download of hours with a past",
            "billed upload of hours with a past",
            "billed download of hours with a past",
        ];
        check::keys(names, &expected, &self.found, |hour| {
            format!("hour {}", hour_text(*hour))
        })
    }
}

impl HourRow {
    fn of_hour(&self) -> (i64, Amounts) {
        let amounts = [
            self.raw_upload,
            self.raw_download,
            self.billed_upload,
            self.billed_download,
        ];
        (hour_of(self.bucket_start), amounts.map(i128::from))
    }
}
