//! Runs of scheduled jobs, as administrators see them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::page::PageBounds;

/// Limits of a page of runs. Matching runs are counted up to `max_offset`.
pub const PAGES: PageBounds = PageBounds {
    default_limit: 50,
    max_limit: 200,
    max_offset: 10_000,
};
/// Retention of runs, in days.
pub const KEPT_DAYS: i64 = 14;

/// Name of a job, which is the name of its function without the name of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum JobName {
    /// Extends the active items of a requested extension.
    ApplyPackageExtensions,
    /// Bills the usage that was reported.
    BillTraffic,
    /// Sends facts to the receivers of webhooks.
    DeliverWebhooks,
    /// Ends items whose time is over.
    ExpirePackages,
    /// Creates partitions, and deletes rows past their retention.
    MaintainStorage,
    /// Compares accepted, recorded and charged usage.
    ReconcileUsage,
    /// Records the hourly status of servers.
    RecordNodeStatusHistory,
    /// Refreshes the view of the hourly status.
    RefreshNodeStatusView,
    /// Marks servers online or offline.
    RefreshServerStatus,
    /// Sums usage per node and per day.
    SummarizeUsage,
    /// Sends messages that their writers could not send.
    SweepOutbox,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum JobOutcome {
    /// The run has not ended, and may still do so.
    Running,
    /// The run did all its work.
    Completed,
    /// The run ended without an error and left work to the next run.
    Incomplete,
    /// The run ended with an error.
    Failed,
    /// The run was killed: its time is over, and its end was not recorded.
    Lost,
}

/// Selects runs. A run must match every field that is not `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// Job of the run.
    pub job: Option<JobName>,
    /// How the run ended.
    pub outcome: Option<JobOutcome>,
    /// Earliest start of the run, inclusive.
    pub start: Option<DateTime<Utc>>,
    /// Latest start of the run, exclusive.
    pub end: Option<DateTime<Utc>>,
}

/// One run of a scheduled job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct JobRun {
    /// Id of the run.
    pub id: Uuid,
    /// Name of the job, such as `bill-traffic`.
    pub job: String,
    /// Id of the invocation, which the lines of the log contain. `null` if it is unknown.
    pub request_id: Option<String>,
    /// When the run started.
    pub started_at: DateTime<Utc>,
    /// When the run ended. `null` if its end was not recorded.
    pub ended_at: Option<DateTime<Utc>>,
    /// Time from the start to the end, in milliseconds. `null` if the end was not recorded.
    pub duration_milliseconds: Option<i64>,
    /// How the run ended.
    pub outcome: JobOutcome,
    /// Code of the error with which the run failed. `null` if it did not fail.
    pub error_code: Option<String>,
    /// What the run reported, such as numbers of rows. `null` if it did not end or failed.
    pub counts: Option<Value>,
    /// Age of the oldest work that was left after the run, in seconds. `null` if the job does not
    /// measure it, or did not report it.
    pub lag_seconds: Option<i64>,
}

/// The newest runs of a job, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct JobSummary {
    /// Name of the job, such as `bill-traffic`.
    pub job: String,
    /// When the newest run started. `null` if no run is recorded.
    pub last_started_at: Option<DateTime<Utc>>,
    /// How the newest run ended. `null` if no run is recorded.
    pub last_outcome: Option<JobOutcome>,
    /// When the newest run that did all its work ended. `null` if none is recorded.
    pub last_completed_at: Option<DateTime<Utc>>,
    /// Lag that the newest run that ended reported, in seconds. `null` if it reported none.
    pub lag_seconds: Option<i64>,
}
