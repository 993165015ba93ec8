//! `PackageExpiringJob`: announces items whose time is over, consumes expired items that are still
//! active, activates waiting items of users who have no active item, and then publishes which items
//! end soon. Finally folds the counts of items, most of whose rows this job writes.

use async_trait::async_trait;
use serde::Serialize;

use super::{Job, Run, TelecomCronExecutor};
use crate::db::package_queue::{self, Item};
use crate::db::{self, Connection, online_address, queued_package, user_list};
use crate::domain::job_run::JobName;
use crate::error::Error;
use crate::events::outbox::OutboxMessage;
use crate::events::package_expiring::ExpiryReason;
use crate::services::Processor;
use crate::services::outbox::{self, Outbox};
use crate::services::package_queue::{activate, advance_queues};

/// Maximum number of items or users in one transaction.
const BATCH: i64 = 1_000;
const BATCH_FULL: usize = 1_000;
/// Maximum number of rows of counts that one statement replaces by their sums.
const COUNT_ROWS: i64 = 100_000;

/// Input of the job.
#[derive(Debug, Clone, Copy)]
pub struct PackageExpiringJob(pub Run);

impl Job for PackageExpiringJob {
    const NAME: JobName = JobName::ExpirePackages;
}

/// Result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// Number of items consumed that were still marked as expiring. Their event was lost or is
    /// late, or their quota was lowered.
    pub consumed: usize,
    /// Number of items announced as expiring.
    pub expiring: usize,
    /// Number of items activated for users who had no active item.
    pub activated: usize,
    /// Number of notices published that an item ends soon.
    pub noticed: usize,
    /// Whether no item was left to expire or to activate. Notices may be left for the next run.
    pub complete: bool,
}

/// What one transaction of the job does.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Consumes items that are marked as expiring and have an id greater than `after`. This step
    /// comes first, so that it skips the items that this run marks, whose events are in transit.
    ConsumeMarked { after: i64 },
    /// Marks and announces items whose time is over, and activates items of users who have no
    /// active item.
    MarkAndActivate,
}

/// Result of a step.
struct Done {
    expired: Expired,
    messages: Vec<OutboxMessage>,
    next: Option<Step>,
}

#[async_trait]
impl Processor<PackageExpiringJob> for TelecomCronExecutor {
    type Output = Expired;

    #[tracing::instrument(name = "expire_packages", skip_all)]
    async fn process(&self, PackageExpiringJob(run): PackageExpiringJob) -> Result<Expired, Error> {
        let mut expired = Expired::default();
        let mut next = Some(Step::ConsumeMarked { after: 0 });
        let mut unsent = Vec::new();
        while let Some(step) = next.filter(|_| !run.deadline_is_near()) {
            let work = db::write_tx(&self.pool, "expire_packages", async |tx| {
                self.run_step(tx, step).await
            });
            // The messages of the last step are sent while this step runs, because users wait for
            // this step and it does not depend on the messages.
            let (done, _) = tokio::join!(
                work,
                outbox::send(&self.pool, &self.publisher, std::mem::take(&mut unsent))
            );
            // Another run holds the lock, so the remaining work is left to it.
            let Some(done) = done? else {
                return Ok(expired);
            };
            expired.consumed += done.expired.consumed;
            expired.expiring += done.expired.expiring;
            expired.activated += done.expired.activated;
            (next, unsent) = (done.next, done.messages);
        }
        outbox::send(&self.pool, &self.publisher, unsent).await;
        expired.complete = next.is_none();
        if expired.complete {
            expired.noticed = self.publish_expiry_notices(run).await?;
        }
        self.fold_counts(run).await?;
        Ok(expired)
    }
}

impl TelecomCronExecutor {
    /// Folds the counts of items and the changes of user lists until each package and status, and
    /// each access group, has one row, so that reading them takes few rows. Deletes the addresses
    /// of users who are no longer connected.
    async fn fold_counts(&self, run: Run) -> Result<(), Error> {
        let fold = async |connection: &mut Connection| {
            let counts = queued_package::fold_counts(connection, COUNT_ROWS).await?;
            Ok(counts + user_list::fold_changes(connection, COUNT_ROWS).await?)
        };
        while !run.deadline_is_near() && db::on_connection(&self.pool, fold).await? > 0 {}
        let now = self.context.now();
        db::on_connection(&self.pool, async |connection: &mut Connection| {
            online_address::delete_old(connection, now).await
        })
        .await?;
        Ok(())
    }

    /// Runs one step. `None` if another run holds the lock.
    async fn run_step(&self, tx: &mut Connection, step: Step) -> Result<Option<Done>, Error> {
        let mut outbox = Outbox::new(&self.context, self.context.now());
        // Two concurrent runs would find the same waiting users, and one run would fail because the
        // other has activated an item.
        if !db::try_job_lock(tx, "expire_packages").await? {
            return Ok(None);
        }
        let (expired, next) = match step {
            Step::ConsumeMarked { after } => self.consume_marked(tx, &mut outbox, after).await?,
            Step::MarkAndActivate => self.mark_and_activate(tx, &mut outbox).await?,
        };
        Ok(Some(Done {
            expired,
            messages: outbox.write(tx).await?,
            next,
        }))
    }

    async fn consume_marked(
        &self,
        tx: &mut Connection,
        outbox: &mut Outbox<'_>,
        after: i64,
    ) -> Result<(Expired, Option<Step>), Error> {
        let marked = package_queue::lock_expiring(tx, after, BATCH).await?;
        let Some(last) = marked.last() else {
            return Ok((Expired::default(), Some(Step::MarkAndActivate)));
        };
        let advanced = advance_queues(tx, outbox, &marked, self.context.now()).await?;
        let left: Vec<Item> = marked
            .iter()
            .copied()
            .filter(|item| !advanced.consumed.contains(item))
            .collect();
        if !left.is_empty() {
            package_queue::unmark_expiring(tx, &left).await?;
        }
        let expired = Expired {
            consumed: advanced.consumed.len(),
            activated: advanced.activated,
            ..Expired::default()
        };
        let next = if marked.len() < BATCH_FULL {
            Step::MarkAndActivate
        } else {
            Step::ConsumeMarked { after: last.id }
        };
        Ok((expired, Some(next)))
    }

    async fn mark_and_activate(
        &self,
        tx: &mut Connection,
        outbox: &mut Outbox<'_>,
    ) -> Result<(Expired, Option<Step>), Error> {
        let now = self.context.now();
        let expiring = package_queue::mark_time_expired(tx, now, BATCH).await?;
        for item in &expiring {
            outbox.package_expiring(item.id, item.user_id, ExpiryReason::Time)?;
        }
        let waiting = package_queue::users_waiting(tx, BATCH).await?;
        let may_be_more = expiring.len() == BATCH_FULL || waiting.len() == BATCH_FULL;
        let activated = activate(tx, outbox, waiting, now).await?.activated;
        // Locked waiting items are found again in every step, so they are no reason to continue.
        let has_next = may_be_more && (!expiring.is_empty() || activated > 0);
        let expired = Expired {
            expiring: expiring.len(),
            activated,
            ..Expired::default()
        };
        Ok((expired, has_next.then_some(Step::MarkAndActivate)))
    }
}
