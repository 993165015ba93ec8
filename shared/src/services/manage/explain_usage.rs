//! `ExplainUsage`: shows how the usage of a user's hour came about.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, Connection, usage_correction, usage_explanation};
use crate::domain::bucket::hour_of;
use crate::domain::page::Page;
use crate::domain::traffic_usage::TrafficSum;
use crate::domain::usage_explanation::{BilledPart, ExplainedUsage, PAGES, UsageCorrection};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests how the usage of a user's hour came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExplainUsage {
    /// The user whose usage is explained.
    pub user: Uuid,
    /// A time in the UTC hour.
    pub hour: DateTime<Utc>,
    /// Maximum number of parts to return, within [`PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of parts to skip. `None` skips none.
    pub offset: Option<i64>,
}

impl Operation for ExplainUsage {
    const NAME: &'static str = "ExplainUsage";
    const ACCESS: Access = Access::AdminRead;
}

/// How the usage of a user's hour came about: `sum` is `billed` less `parked`, plus the bytes of
/// `corrections`, plus `unexplained`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UsageExplanation {
    /// Id of the user.
    pub user: Uuid,
    /// Start of the UTC hour.
    pub hour: DateTime<Utc>,
    /// The usage that is explained, by node client and package item.
    pub usage: Vec<ExplainedUsage>,
    /// Sum of `usage`, as the histories show it.
    pub sum: TrafficSum,
    /// What each billing run billed, of this page, by the arrival of its first report.
    pub parts: Vec<BilledPart>,
    /// Number of parts on all pages.
    pub total: i64,
    /// Sum of the billed parts on all pages.
    pub billed: TrafficSum,
    /// The part of `billed` that waits to be charged, because its user could not be charged.
    pub parked: TrafficSum,
    /// Corrections of the hour, oldest first, at most 1000.
    pub corrections: Vec<UsageCorrection>,
    /// What is left of `sum`. 0 while the reports are kept, except for usage that other programs
    /// sent to the queue of billing, and for a minute after billing, until it is charged (negative
    /// then). Reports are deleted after 45 days by default.
    pub unexplained: TrafficSum,
}

/// Maximum number of corrections in an answer.
const MAX_CORRECTIONS: i64 = 1_000;

#[async_trait]
impl Processor<ExplainUsage> for ManageService {
    type Output = UsageExplanation;

    #[tracing::instrument(name = "explain_usage", skip_all)]
    async fn process(&self, input: ExplainUsage) -> Result<UsageExplanation, Error> {
        let page = PAGES.page(input.limit, input.offset)?;
        let hour = hour_of(input.hour);
        db::read_tx(&self.pool, async |tx| {
            explain(tx, input.user, hour, page).await
        })
        .await
    }
}

async fn explain(
    tx: &mut Connection,
    user: Uuid,
    hour: DateTime<Utc>,
    page: Page,
) -> Result<UsageExplanation, Error> {
    let usage = usage_explanation::of_hour(tx, user, hour).await?;
    let found = usage_explanation::parts(tx, user, hour, page).await?;
    let parked = usage_explanation::parked(tx, user, hour).await?;
    let corrections = usage_correction::of_hour(tx, user, hour, MAX_CORRECTIONS).await?;
    let sum = TrafficSum::total(usage.iter().map(|row| row.traffic)).ok_or_else(Error::overflow)?;
    let corrected = TrafficSum {
        billed_upload: sum.corrected_upload,
        billed_download: sum.corrected_download,
        corrected_upload: sum.corrected_upload,
        corrected_download: sum.corrected_download,
        ..TrafficSum::default()
    };
    let explained = found
        .sum
        .checked_sub(parked)
        .and_then(|charged| charged.checked_add(corrected));
    let unexplained = explained.and_then(|explained| sum.checked_sub(explained));
    let unexplained = unexplained.ok_or_else(Error::overflow)?;
    Ok(UsageExplanation {
        user,
        hour,
        usage,
        sum,
        parts: found.parts,
        total: found.total,
        billed: found.sum,
        parked,
        corrections,
        unexplained,
    })
}
