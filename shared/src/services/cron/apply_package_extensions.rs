//! `ApplyPackageExtensionsJob`: extends the package items of requested extensions, in steps.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{Job, Run, TelecomCronExecutor};
use crate::db::{self, Connection, audit, package_extension as rows};
use crate::domain::audit::{AuditEntry, Target};
use crate::domain::job_run::JobName;
use crate::domain::package_extension::{IncompleteExtension, ItemOfPackage};
use crate::error::Error;
use crate::services::manage::ExtendPackages;
use crate::services::{Operation as _, Processor};

/// Maximum number of items in one transaction. Charges of their users wait until it ends.
pub const BATCH: i64 = 2_000;
const BATCH_FULL: usize = 2_000;

/// Input of the job.
#[derive(Debug, Clone, Copy)]
pub struct ApplyPackageExtensionsJob(pub Run);

impl Job for ApplyPackageExtensionsJob {
    const NAME: JobName = JobName::ApplyPackageExtensions;
}

/// Result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Extended {
    /// Number of items extended.
    pub items: i64,
    /// Number of extensions whose last item was processed.
    pub extensions: usize,
    /// Whether no extension is incomplete.
    pub complete: bool,
}

/// Result of a step.
enum Step {
    /// Another run holds the job's lock.
    Locked,
    /// No extension is incomplete.
    Nothing,
    /// A part of an extension was processed.
    Done(Progress),
}

/// How far an extension came.
struct Progress {
    extension: Uuid,
    /// Number of items that the step extended.
    items: i64,
    /// Number of items that all steps extended.
    extended: i64,
    /// Number of items when the extension was requested.
    of: i64,
    is_complete: bool,
}

#[async_trait]
impl Processor<ApplyPackageExtensionsJob> for TelecomCronExecutor {
    type Output = Extended;

    #[tracing::instrument(name = "apply_package_extensions", skip_all)]
    async fn process(
        &self,
        ApplyPackageExtensionsJob(run): ApplyPackageExtensionsJob,
    ) -> Result<Extended, Error> {
        let mut extended = Extended::default();
        let mut unfinished = None;
        while !run.deadline_is_near() {
            let step = db::write_tx(&self.pool, "apply_package_extensions", async |tx| {
                self.extend_some(tx).await
            });
            let progress = match step.await {
                Ok(Step::Done(progress)) => progress,
                Ok(Step::Locked) => break,
                Ok(Step::Nothing) => {
                    extended.complete = true;
                    break;
                }
                // Someone holds the lock of an item for long. The next run tries again.
                Err(error) if error.code() == Error::locked().code() => {
                    tracing::warn!(cause = error.cause(), "an item to extend is locked");
                    break;
                }
                Err(error) => return Err(error),
            };
            extended.items += progress.items;
            extended.extensions += usize::from(progress.is_complete);
            unfinished = (!progress.is_complete).then_some(progress);
        }
        if let Some(Progress {
            extension,
            extended,
            of,
            ..
        }) = unfinished
        {
            tracing::info!(%extension, extended, of, "extension continues in the next run");
        }
        Ok(extended)
    }
}

impl TelecomCronExecutor {
    /// Extends the next items of the oldest extension. The transaction also stores how far the
    /// extension came, so that no item is skipped or extended twice wherever a run ends.
    async fn extend_some(&self, tx: &mut Connection) -> Result<Step, Error> {
        if !db::try_job_lock(tx, "apply_package_extensions").await? {
            return Ok(Step::Locked);
        }
        let Some(extension) = rows::oldest_incomplete(tx).await? else {
            return Ok(Step::Nothing);
        };
        let found = rows::next_items(tx, extension.packages, extension.last, BATCH).await?;
        let items = extend(tx, &extension, &found).await?;
        let progress = Progress {
            extension: extension.id,
            items,
            extended: extension.extended_count + items,
            of: extension.item_count,
            is_complete: found.len() < BATCH_FULL,
        };
        let now = self.context.now();
        let last = found.last().copied().unwrap_or(extension.last);
        let completed_at = progress.is_complete.then_some(now);
        rows::advance(tx, extension.id, last, progress.extended, completed_at).await?;
        if progress.is_complete {
            audit::write(tx, &[completion(&extension, &progress, now)]).await?;
            tracing::info!(extension = %extension.id, extended = progress.extended,
                of = progress.of, "extension completed");
        }
        Ok(Step::Done(progress))
    }
}

/// Extends those of `found` that are active since the extension was requested. Returns their
/// number.
async fn extend(
    tx: &mut Connection,
    extension: &IncompleteExtension,
    found: &[ItemOfPackage],
) -> Result<i64, Error> {
    let found: Vec<i64> = found.iter().map(|item| item.id).collect();
    // The locks of other items of the step are held while it waits for one.
    db::wait_briefly_for_locks(tx).await?;
    let items = rows::lock_items(tx, &found, extension.created_at, extension.hours).await?;
    let extended = rows::extend_items(tx, &items, extension.hours).await?;
    i64::try_from(extended).map_err(Error::internal)
}

/// The second audit entry of an extension, with the actor of the first.
fn completion<'a>(
    extension: &'a IncompleteExtension,
    progress: &Progress,
    now: chrono::DateTime<chrono::Utc>,
) -> AuditEntry<'a> {
    AuditEntry {
        at: now,
        actor: &extension.actor,
        action: ExtendPackages::NAME,
        target: Target::Extension(extension.id),
        before: Some(json!({ "completed_at": null, "extended": 0 })),
        after: Some(json!({ "completed_at": now, "extended": progress.extended })),
        reason: None,
    }
}
