//! `MaintainStorageJob`: creates partitions ahead of time, and deletes rows past their retention.

use async_trait::async_trait;
use chrono::{Days, TimeDelta};
use serde::Serialize;

use super::{Job, Run, TelecomCronExecutor};
use crate::db::{
    self, Connection, answered_call, audit, dead_letter, job_run, maintenance,
    node_metrics as metric_hours, node_push, node_usage, package_extension, usage_correction,
    user_usage, webhook_delivery,
};
use crate::domain::audit::KEPT_DAYS;
use crate::domain::dead_letter as dead_letters;
use crate::domain::job_run::{self as job_runs, JobName};
use crate::domain::node_metrics;
use crate::domain::webhook::DELIVERIES_KEPT;
use crate::error::Error;
use crate::events::usage_report::MAX_AGE_DAYS;
use crate::services::Processor;

/// Number of days for which partitions are created, including today. The job may fail for a week
/// before a partition is missing.
pub const DAYS_AHEAD: i32 = 8;
/// How long the answer to a change with an idempotency key is kept.
const ANSWERS_KEPT: TimeDelta = TimeDelta::hours(24);
/// How long pushes are kept to recognize their repeats, which arrive within minutes.
const PUSHES_KEPT: TimeDelta = TimeDelta::days(1);
/// Maximum number of rows deleted by one statement.
const BATCH: i64 = 5_000;

/// Input of the job.
#[derive(Debug, Clone, Copy)]
pub struct MaintainStorageJob(pub Run);

impl Job for MaintainStorageJob {
    const NAME: JobName = JobName::MaintainStorage;
}

/// Result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Maintained {
    /// Number of partitions of raw rows that were created.
    pub partitions_created: i32,
    /// Number of partitions of raw rows that were dropped.
    pub partitions_dropped: i32,
    /// Number of report ids deleted.
    pub reports_deleted: u64,
    /// Number of billing message ids deleted.
    pub batches_deleted: u64,
    /// Number of records of billing runs deleted.
    pub runs_deleted: u64,
    /// Number of rows of hourly usage deleted.
    pub usage_deleted: u64,
    /// Number of rows of the hourly usage of nodes and of the daily usage of users deleted.
    pub sums_deleted: u64,
    /// Number of rows of accepted usage deleted.
    pub accepted_deleted: u64,
    /// Number of corrections of usage deleted.
    pub corrections_deleted: u64,
    /// Number of quarantined reports deleted.
    pub quarantined_deleted: u64,
    /// Number of audit entries deleted.
    pub audit_deleted: u64,
    /// Number of answers of changes deleted.
    pub answers_deleted: u64,
    /// Number of extensions of packages deleted.
    pub extensions_deleted: u64,
    /// Number of pushes of node software deleted.
    pub pushes_deleted: u64,
    /// Number of sources of pushes deleted.
    pub push_sources_deleted: u64,
    /// Number of doubts about pushes deleted.
    pub doubts_deleted: u64,
    /// Number of runs of jobs deleted.
    pub job_runs_deleted: u64,
    /// Number of failed messages whose reasons were deleted.
    pub failed_messages_deleted: u64,
    /// Number of hours of metrics deleted.
    pub metric_hours_deleted: u64,
    /// Number of deliveries to webhooks deleted.
    pub deliveries_deleted: u64,
}

#[async_trait]
impl Processor<MaintainStorageJob> for TelecomCronExecutor {
    type Output = Maintained;

    #[tracing::instrument(name = "maintain_storage", skip_all)]
    async fn process(
        &self,
        MaintainStorageJob(run): MaintainStorageJob,
    ) -> Result<Maintained, Error> {
        db::on_connection(&self.pool, async |connection| {
            self.maintain(connection, run).await
        })
        .await
    }
}

impl TelecomCronExecutor {
    async fn maintain(&self, connection: &mut Connection, run: Run) -> Result<Maintained, Error> {
        let today = self.context.now().date_naive();
        let kept = Days::new(
            u64::try_from(self.config.retention.traffic_usage_days).map_err(Error::internal)?,
        );
        let mut done = Maintained {
            partitions_created: maintenance::create_partitions(connection, today, DAYS_AHEAD)
                .await?,
            partitions_dropped: maintenance::drop_partitions(connection, today - kept).await?,
            ..Maintained::default()
        };
        self.delete_old_rows(connection, &mut done, run).await?;
        Ok(done)
    }

    async fn delete_old_rows(
        &self,
        connection: &mut Connection,
        done: &mut Maintained,
        run: Run,
    ) -> Result<(), Error> {
        let now = self.context.now();
        let before = now - TimeDelta::days(self.config.retention.dedup_days.into());
        let usage_before = now - TimeDelta::days(self.config.retention.usage_days.into());
        let audit_before = now - TimeDelta::days(KEPT_DAYS);
        let answers_before = now - ANSWERS_KEPT;
        while !run.deadline_is_near() {
            let so_far = *done;
            done.reports_deleted += maintenance::delete_reports(connection, before, BATCH).await?;
            done.batches_deleted += maintenance::delete_batches(connection, before, BATCH).await?;
            done.runs_deleted +=
                maintenance::delete_billing_runs(connection, before, BATCH).await?;
            done.usage_deleted +=
                maintenance::delete_usage(connection, usage_before, BATCH).await?;
            done.sums_deleted += node_usage::delete_hours(connection, usage_before, BATCH).await?;
            done.sums_deleted +=
                node_usage::delete_days(connection, usage_before.date_naive(), BATCH).await?;
            done.sums_deleted +=
                user_usage::delete_days(connection, usage_before.date_naive(), BATCH).await?;
            done.accepted_deleted +=
                maintenance::delete_accepted_usage(connection, usage_before, BATCH).await?;
            done.corrections_deleted +=
                usage_correction::delete_before(connection, usage_before, BATCH).await?;
            done.quarantined_deleted +=
                maintenance::delete_quarantined(connection, usage_before, BATCH).await?;
            done.audit_deleted += audit::delete(connection, audit_before, BATCH).await?;
            done.answers_deleted +=
                answered_call::delete(connection, answers_before, BATCH).await?;
            done.extensions_deleted +=
                package_extension::delete(connection, audit_before, BATCH).await?;
            self.delete_pushes(connection, done).await?;
            self.delete_observations(connection, done).await?;
            done.deliveries_deleted +=
                webhook_delivery::delete(connection, now - DELIVERIES_KEPT, BATCH).await?;
            if *done == so_far {
                break;
            }
        }
        Ok(())
    }

    async fn delete_pushes(
        &self,
        connection: &mut Connection,
        done: &mut Maintained,
    ) -> Result<(), Error> {
        let now = self.context.now();
        let sources_before = now - TimeDelta::days(MAX_AGE_DAYS);
        let doubts_before = now - TimeDelta::days(KEPT_DAYS);
        done.pushes_deleted += node_push::delete(connection, now - PUSHES_KEPT, BATCH).await?;
        done.push_sources_deleted +=
            node_push::delete_last(connection, sources_before, BATCH).await?;
        done.doubts_deleted += node_push::delete_doubts(connection, doubts_before, BATCH).await?;
        Ok(())
    }

    /// Deletes what was observed of the system and its servers.
    async fn delete_observations(
        &self,
        connection: &mut Connection,
        done: &mut Maintained,
    ) -> Result<(), Error> {
        let now = self.context.now();
        let runs_before = now - TimeDelta::days(job_runs::KEPT_DAYS);
        let failures_before = now - TimeDelta::days(dead_letters::KEPT_DAYS);
        done.job_runs_deleted += job_run::delete(connection, runs_before, BATCH).await?;
        done.failed_messages_deleted +=
            dead_letter::delete(connection, failures_before, BATCH).await?;
        let metrics_before = now - TimeDelta::days(node_metrics::KEPT_DAYS);
        done.metric_hours_deleted +=
            metric_hours::delete(connection, metrics_before, BATCH).await?;
        Ok(())
    }
}
