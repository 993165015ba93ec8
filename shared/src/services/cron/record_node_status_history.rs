//! `RecordNodeStatusHistoryJob`: the status of every server, once an hour.

use async_trait::async_trait;
use serde::Serialize;

use super::{Run, TelecomCronExecutor};
use crate::db::{self, Connection, node_status_history, node_status_watch};
use crate::error::Error;
use crate::services::Processor;

/// The job.
#[derive(Debug, Clone, Copy)]
pub struct RecordNodeStatusHistoryJob(pub Run);

/// What was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Servers recorded that were not yet in this hour. One that was never heard is not recorded.
    pub servers: u64,
    /// No server is heard: the hour stays missing, since what servers are now nobody knows.
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
        // An hour that is not recorded now is missing for ever.
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
            // A run that is due brings them up to date, within the time that this is tried again
            // for.
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
