//! The traffic that a node reports, in one form whatever the protocol and the client.

use serde_json::value::RawValue;
use strum::IntoStaticStr;

use super::json::{self, NotWhole};
use crate::events::PayloadHash;
use crate::events::usage_report::{MAX_LINE_BYTES, MAX_REPORT_BYTES};
use crate::quote::Quoted;

/// Maximum number of rejected rows that a [`Push`] keeps. Further ones are only counted.
pub const MAX_REJECTED: usize = 100;

/// The traffic of one user since the previous push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushedRow {
    /// The number by which node software knows the user, at least 1.
    pub number: i32,
    /// Bytes sent by the user.
    pub upload: i64,
    /// Bytes received by the user.
    pub download: i64,
}

/// Why a row is not part of the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The body is JSON, but has another form than a push.
    WrongBody,
    /// The row names no user: its key is not a whole number from 1 to 2147483647.
    NoUser,
    /// The row is not a pair of numbers.
    NotTwoNumbers,
    /// A number of bytes has decimal places.
    NotWhole,
    /// A number of bytes is negative.
    Negative,
    /// A number of bytes is more than 1 PiB, alone or with the other rows of the user.
    TooLarge,
}

/// A row that is not part of the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRow {
    /// The key of the row, at most 64 characters.
    pub key: Quoted,
    /// Why the row is rejected.
    pub reason: Reason,
    /// Bytes sent by the user, if the row has a whole number there.
    pub upload: Option<i64>,
    /// Bytes received by the user, if the row has a whole number there.
    pub download: Option<i64>,
}

/// What a node pushed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Push {
    /// One row per user with traffic, by ascending number. Each number of bytes is at most 1 PiB.
    pub rows: Vec<PushedRow>,
    /// The first [`MAX_REJECTED`] rejected rows, in the order of the body.
    pub rejected: Vec<RejectedRow>,
    /// Number of all rejected rows.
    pub rejected_count: usize,
}

impl Push {
    /// Whether the push reports no traffic. It is then a heartbeat.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Sum of the upload and the download of all rows, bytes.
    #[must_use]
    pub fn total_bytes(&self) -> i64 {
        self.rows
            .iter()
            .fold(0, |total: i64, row| total.saturating_add(row.bytes()))
    }

    /// SHA-256 of the rows. Two bodies with the same traffic have the same hash, whatever the order
    /// of their rows and the notation of their numbers.
    #[must_use]
    pub fn hash(&self) -> Vec<u8> {
        let mut hash = PayloadHash::default();
        for row in &self.rows {
            hash.add(row.number.to_le_bytes());
            hash.add(row.upload.to_le_bytes());
            hash.add(row.download.to_le_bytes());
        }
        hash.finish()
    }

    /// The rows in groups that each fit one usage report: at most `max_rows` rows, and at most
    /// [`MAX_REPORT_BYTES`]. The same rows always have the same groups. A heartbeat has none.
    #[must_use]
    pub fn chunks(&self, max_rows: usize) -> Vec<&[PushedRow]> {
        let mut chunks = Vec::new();
        let mut rest = self.rows.as_slice();
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(rows_of_one_report(rest, max_rows));
            chunks.push(chunk);
            rest = others;
        }
        chunks
    }
}

impl Push {
    /// The push in a body that is JSON, but has another form.
    pub(super) fn of_wrong_body() -> Self {
        let mut rows = Rows::default();
        rows.reject(".", Reason::WrongBody, None, None);
        rows.finish()
    }
}

impl PushedRow {
    fn bytes(&self) -> i64 {
        self.upload.saturating_add(self.download)
    }
}

/// Number of rows at the beginning of `rows` that fit one report. At least one, which always fits.
fn rows_of_one_report(rows: &[PushedRow], max_rows: usize) -> usize {
    let mut total: i64 = 0;
    let fitting = rows.iter().take(max_rows).take_while(|row| {
        total = total.saturating_add(row.bytes());
        total <= MAX_REPORT_BYTES
    });
    fitting.count().max(1)
}

/// Collects the rows of a push in any order.
#[derive(Debug, Default)]
pub(super) struct Rows {
    push: Push,
}

impl Rows {
    /// Adds the traffic of a user, or rejects it.
    pub(super) fn add(
        &mut self,
        key: &str,
        number: Option<i32>,
        upload: Result<i64, NotWhole>,
        download: Result<i64, NotWhole>,
    ) {
        let read = match number {
            None => Err(Reason::NoUser),
            Some(number) => bytes(upload).and_then(|upload| {
                bytes(download).map(|download| PushedRow {
                    number,
                    upload,
                    download,
                })
            }),
        };
        match read {
            Ok(row) if row.bytes() == 0 => {}
            Ok(row) => self.push.rows.push(row),
            Err(reason) => self.reject(key, reason, upload.ok(), download.ok()),
        }
    }

    /// Rejects a row with a reason.
    pub(super) fn reject(
        &mut self,
        key: &str,
        reason: Reason,
        upload: Option<i64>,
        download: Option<i64>,
    ) {
        self.push.rejected_count = self.push.rejected_count.saturating_add(1);
        if self.push.rejected.len() < MAX_REJECTED {
            self.push.rejected.push(RejectedRow {
                key: Quoted::of(key),
                reason,
                upload,
                download,
            });
        }
    }

    /// The push, with the rows sorted and those of one user added up.
    pub(super) fn finish(mut self) -> Push {
        let mut rows = std::mem::take(&mut self.push.rows);
        rows.sort_unstable_by_key(|row| row.number);
        rows.dedup_by(|row, sum| {
            let same = row.number == sum.number;
            if same {
                sum.upload = sum.upload.saturating_add(row.upload);
                sum.download = sum.download.saturating_add(row.download);
            }
            same
        });
        rows.retain(|row| {
            let fits = row.upload <= MAX_LINE_BYTES && row.download <= MAX_LINE_BYTES;
            if !fits {
                let (upload, download) = (Some(row.upload), Some(row.download));
                self.reject(&row.number.to_string(), Reason::TooLarge, upload, download);
            }
            fits
        });
        self.push.rows = rows;
        self.push
    }
}

/// A number of bytes that can be reported.
fn bytes(read: Result<i64, NotWhole>) -> Result<i64, Reason> {
    match read {
        Ok(number) if number < 0 => Err(Reason::Negative),
        Ok(number) if number > MAX_LINE_BYTES => Err(Reason::TooLarge),
        Ok(number) => Ok(number),
        Err(NotWhole::NotANumber) => Err(Reason::NotTwoNumbers),
        Err(NotWhole::Fraction) => Err(Reason::NotWhole),
    }
}

/// The user number that a key names. `None` if it names none.
pub(super) fn user_number(key: &str) -> Option<i32> {
    let is_number = key.bytes().all(|byte| byte.is_ascii_digit());
    key.parse().ok().filter(|number| is_number && *number > 0)
}

/// The user number in a value. `None` if it is none.
pub(super) fn user_in(value: &RawValue) -> Option<i32> {
    let number = json::whole(value).ok()?;
    i32::try_from(number).ok().filter(|number| *number > 0)
}
