//! The protocol between the harness and a worker. Each invocation is a line of JSON on the worker's
//! standard input, and its result is a line of JSON on the worker's standard output.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{Display, EnumString, IntoStaticStr};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Function {
    IngestUsageReport,
    IngestNodeUsage,
    ApplyUserUsageBilling,
    HandlePackageExpiring,
    DeliverPackageOrder,
    /// The API functions of administrators, in one process.
    Manage,
    BillTraffic,
    ExpirePackages,
    ApplyPackageExtensions,
    SummarizeUsage,
    SweepOutbox,
    RefreshServerStatus,
    MaintainStorage,
}

impl Function {
    /// Whether the function is invoked every minute. The other functions are invoked with
    /// deliveries of a queue or with requests.
    pub fn is_job(self) -> bool {
        !matches!(
            self,
            Self::IngestUsageReport
                | Self::IngestNodeUsage
                | Self::ApplyUserUsageBilling
                | Self::HandlePackageExpiring
                | Self::DeliverPackageOrder
                | Self::Manage
        )
    }

    /// The role of the function in the database.
    pub fn database_role(self) -> &'static str {
        match self {
            Self::Manage => "telecom_api",
            _ => "telecom_writer",
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Invocation {
    pub id: u64,
    /// Time of the worker's clock at the start, in microseconds since the epoch.
    pub now_us: i64,
    /// Speed of the worker's clock as a multiple of the machine's clock.
    pub speed: i32,
    /// Time limit of the invocation, in milliseconds of the machine's clock.
    pub time_ms: u64,
    /// The delivery or the request. `None` for a job.
    pub event: Option<Value>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Id of the invocation.
    pub id: u64,
    pub outcome: Outcome,
}

/// The result of an invocation.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The delivery was handled, except for the messages in `failed`.
    Delivered { failed: Vec<String> },
    /// The job ended with this report.
    Done { report: Value },
    /// The request was answered. The body is `null` if it is not JSON.
    Answered { status: u16, body: Value },
    /// The invocation failed as a whole.
    Failed { error: String },
}
