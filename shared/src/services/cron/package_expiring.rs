//! `PackageExpiringJob`: announces items whose time is over, and starts waiting items of users who have no active one.

use async_trait::async_trait;
use serde::Serialize;

use super::{Run, TelecomCronExecutor};
use crate::db::outbox::OutboxMessage;
use crate::db::{self, Connection, package_queue};
use crate::error::Error;
use crate::events::package_expiring::ExpiryReason;
use crate::services::Processor;
use crate::services::outbox::{self, Outbox, expiring_before};
use crate::services::package_expiring::activate;

/// Items or users in one transaction.
const BATCH: i64 = 1_000;
const BATCH_FULL: usize = 1_000;

/// The job.
#[derive(Debug, Clone, Copy)]
pub struct PackageExpiringJob(pub Run);

/// How far the job came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// Items announced as expiring.
    pub expiring: usize,
    /// Items activated for users who had none.
    pub activated: usize,
    /// Nothing was left to do.
    pub complete: bool,
}

#[async_trait]
impl Processor<PackageExpiringJob> for TelecomCronExecutor {
    type Output = Expired;

    #[tracing::instrument(name = "expire_packages", skip_all)]
    async fn process(&self, PackageExpiringJob(run): PackageExpiringJob) -> Result<Expired, Error> {
        let mut expired = Expired::default();
        while !expired.complete && !run.deadline_is_near() {
            let (step, messages) =
                db::write_tx(&self.pool, "expire_packages", async |tx| self.expire_some(tx).await).await?;
            outbox::send(&self.pool, &self.publisher, messages).await;
            expired.expiring += step.expiring;
            expired.activated += step.activated;
            expired.complete = step.complete;
        }
        Ok(expired)
    }
}

impl TelecomCronExecutor {
    async fn expire_some(&self, tx: &mut Connection) -> Result<(Expired, Vec<OutboxMessage>), Error> {
        let now = self.context.now();
        // Two runs would both find the same waiting users, and one of them break on the other's activation.
        if !db::try_job_lock(tx, "expire_packages").await? {
            return Ok((Expired { complete: true, ..Expired::default() }, Vec::new()));
        }
        let mut outbox = Outbox::new(&self.context, now);
        let expiring = package_queue::mark_time_expired(tx, now, expiring_before(now), BATCH).await?;
        for item in &expiring {
            outbox.package_expiring(item.id, item.user_id, ExpiryReason::Time)?;
        }
        let waiting = package_queue::users_waiting(tx, BATCH).await?;
        let activated = activate(tx, &mut outbox, &waiting, now).await?;
        let messages = outbox.write(tx).await?;
        let complete = expiring.len() < BATCH_FULL && waiting.len() < BATCH_FULL;
        Ok((Expired { expiring: expiring.len(), activated: activated.len(), complete }, messages))
    }
}
