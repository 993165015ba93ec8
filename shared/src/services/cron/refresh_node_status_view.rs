//! `RefreshNodeStatusViewJob`: refreshes the view of the open hours, and deletes statuses past
//! their retention.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{Job, Run, TelecomCronExecutor};
use crate::db::{self, Connection, node_status_history};
use crate::domain::job_run::JobName;
use crate::error::Error;
use crate::services::Processor;

/// Age up to which hours stay open. Snapshots are never changed, so anything above one hour would
/// suffice. 48 hours let an operator inspect the content of the view.
const OPEN_FOR: TimeDelta = TimeDelta::hours(48);
/// Maximum number of rows deleted by one statement.
const BATCH: i64 = 5_000;

/// Input of the job.
#[derive(Debug, Clone, Copy)]
pub struct RefreshNodeStatusViewJob(pub Run);

impl Job for RefreshNodeStatusViewJob {
    const NAME: JobName = JobName::RefreshNodeStatusView;
}

/// Result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ViewRefreshed {
    /// Number of hourly snapshots deleted, which were past their retention.
    pub snapshots_deleted: u64,
    /// Number of status intervals and outages of the collection deleted, which were past their
    /// retention.
    pub transitions_deleted: u64,
    /// Whether no row past its retention is left.
    pub complete: bool,
}

#[async_trait]
impl Processor<RefreshNodeStatusViewJob> for TelecomCronExecutor {
    type Output = ViewRefreshed;

    #[tracing::instrument(name = "refresh_node_status_view", skip_all)]
    async fn process(
        &self,
        RefreshNodeStatusViewJob(run): RefreshNodeStatusViewJob,
    ) -> Result<ViewRefreshed, Error> {
        let now = self.context.now();
        let kept_from = now - TimeDelta::days(self.config.retention.node_status_days.into());
        let refreshed = db::write_tx(&self.pool, "refresh_node_status_view", async |tx| {
            if !db::try_job_lock(tx, "refresh_node_status_view").await? {
                return Ok(false);
            }
            node_status_history::seal(tx, now - OPEN_FOR, kept_from).await?;
            node_status_history::refresh_view(tx).await?;
            Ok(true)
        });
        if !refreshed.await? {
            return Ok(ViewRefreshed::default());
        }
        db::on_connection(&self.pool, async |connection| {
            delete_old_statuses(connection, kept_from, run).await
        })
        .await
    }
}

async fn delete_old_statuses(
    connection: &mut Connection,
    before: DateTime<Utc>,
    run: Run,
) -> Result<ViewRefreshed, Error> {
    let mut done = ViewRefreshed::default();
    while !done.complete && !run.deadline_is_near() {
        let so_far = done;
        done.snapshots_deleted +=
            node_status_history::delete_snapshots(connection, before, BATCH).await?;
        done.transitions_deleted +=
            node_status_history::delete_transitions(connection, before, BATCH).await?;
        done.complete = done == so_far;
    }
    Ok(done)
}
