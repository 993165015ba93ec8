//! `RecordNodeStatusHistoryJob`: records the status of every server once per hour.

use async_trait::async_trait;
use serde::Serialize;

use super::{Job, Run, TelecomCronExecutor};
use crate::db::{self, Connection, node_status_history, node_status_watch};
use crate::domain::job_run::JobName;
use crate::error::Error;
use crate::services::Processor;

/// Input of the job.
#[derive(Debug, Clone, Copy)]
pub struct RecordNodeStatusHistoryJob(pub Run);

impl Job for RecordNodeStatusHistoryJob {
    const NAME: JobName = JobName::RecordNodeStatusHistory;
}

/// Result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Number of servers recorded that were not yet recorded in this hour. A server that never sent
    /// a heartbeat is not recorded.
    pub servers: u64,
    /// Whether the heartbeats of all servers have stopped arriving. The hour is then not recorded,
    /// because the current status of the servers is unknown.
    pub collection_stopped: bool,
}

#[async_trait]
impl Processor<RecordNodeStatusHistoryJob> for TelecomCronExecutor {
    type Output = Recorded;

    #[tracing::instrument(name = "record_node_status_history", skip_all)]
    async fn process(
        &self,
        RecordNodeStatusHistoryJob(run): RecordNodeStatusHistoryJob,
    ) -> Result<Recorded, Error> {
        // An hour that is not recorded now is missing forever.
        run.retry_outages("record_node_status_history", || {
            db::on_connection(&self.pool, async |connection| {
                self.record_hour(connection).await
            })
        })
        .await
    }
}

impl TelecomCronExecutor {
    async fn record_hour(&self, connection: &mut Connection) -> Result<Recorded, Error> {
        let now = self.context.now();
        let (fleet, state) = node_status_watch::load(connection).await?;
        let timeout = self.config.node_health_check.offline_timeout;
        if state
            .last_run_at
            .is_none_or(|last_run_at| now - last_run_at > timeout)
        {
            // A run of `refresh-server-status` is due. It updates the statuses while this job is
            // still being retried.
            return Err(Error::unavailable(
                "the server statuses are older than the offline timeout",
            ));
        }
        if fleet.open_outage_since.is_some() {
            return Ok(Recorded {
                servers: 0,
                collection_stopped: true,
            });
        }
        let servers = node_status_history::record(connection, now).await?;
        Ok(Recorded {
            servers,
            collection_stopped: false,
        })
    }
}
