//! What the harness and a worker exchange, a line of JSON each: an invocation on the worker's
//! standard input, its result on the standard output.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{Display, EnumString, IntoStaticStr};

/// A deployed function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Function {
    IngestUsageReport,
    ApplyUserUsageBilling,
    HandlePackageExpiring,
    BillTraffic,
    ExpirePackages,
    SweepOutbox,
    RefreshServerStatus,
    MaintainStorage,
}

impl Function {
    /// It is invoked with deliveries of a queue; others are jobs.
    pub fn is_consumer(self) -> bool {
        matches!(
            self,
            Self::IngestUsageReport | Self::ApplyUserUsageBilling | Self::HandlePackageExpiring
        )
    }
}

/// An invocation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Invocation {
    /// Of this invocation.
    pub id: u64,
    /// The worker's clock at the start, microseconds since the epoch.
    pub now_us: i64,
    /// How fast the worker's clock runs.
    pub speed: i32,
    /// How long the invocation may take, real milliseconds.
    pub time_ms: u64,
    /// The delivery; `None` for a job.
    pub event: Option<Value>,
}

/// The result of an invocation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Of the invocation.
    pub id: u64,
    /// What it returned.
    pub outcome: Outcome,
}

/// What an invocation returned.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// A delivery was handled, except for these messages.
    Delivered { failed: Vec<String> },
    /// A job ended with this report.
    Done { report: Value },
    /// The invocation failed as a whole.
    Failed { error: String },
}
