//! `CorrectUsage`: changes what a user is billed for an hour.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::package_queue::Item;
use crate::db::usage_correction::{self as db, Billed};
use crate::db::user_package_usage::UsageToAdd;
use crate::db::{Connection, node_usage, queued_package, usage_explanation, user_usage};
use crate::domain::audit::Target;
use crate::domain::bucket::hour_of;
use crate::domain::condition::Accepts;
use crate::domain::package::MAX_COUNTER_BYTES;
use crate::domain::traffic::{MAX_CHARGE_BYTES, Traffic, UsageKey};
use crate::domain::usage_explanation::{ExplainedUsage, UsageCorrection};
use crate::domain::{node_id, reason, within};
use crate::error::{Error, ErrorKind};
use crate::services::Operation;
use crate::services::change::{Change, Work};
use crate::services::package_queue::advance_queues;

/// For how many days usage can be added to hours that have none on the node client. It is the
/// shortest retention of hourly usage.
const MISSING_DAYS: i64 = 31;

/// Adds signed bytes to what a user is billed for an hour on a node client. The history of the
/// user, the counters of the item and the sums of the node change with it. If the item has nothing
/// left to use, it is consumed and the user's next item becomes active in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CorrectUsage {
    /// The user whose usage is corrected.
    pub user: Uuid,
    /// A time in the UTC hour that is corrected.
    pub hour: DateTime<Utc>,
    /// Id of the node server that carried the traffic.
    pub server_id: i32,
    /// Id of the node client that carried the traffic. `None` if it is unknown.
    pub node_client_id: Option<i32>,
    /// Id of the package item that is charged. `None` if the usage is charged to no item.
    pub package_queue_id: Option<i64>,
    /// Bytes to add to those billed for upload. Negative to bill less.
    pub billed_upload: i64,
    /// Bytes to add to those billed for download. Negative to bill less.
    pub billed_download: i64,
    /// Reason in the administrator's words.
    pub reason: String,
}

impl Operation for CorrectUsage {
    const NAME: &'static str = "CorrectUsage";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

/// A correction, and the usage after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CorrectedUsage {
    /// The correction as it is stored.
    pub correction: UsageCorrection,
    /// The usage after the correction.
    pub usage: ExplainedUsage,
}

#[async_trait]
impl Change for CorrectUsage {
    type Output = CorrectedUsage;

    fn checked(self) -> Result<Self, Error> {
        node_id("server_id", self.server_id)?;
        if let Some(id) = self.node_client_id {
            node_id("node_client_id", id)?;
        }
        if let Some(id) = self.package_queue_id {
            within("package_queue_id", id, 1, i64::MAX)?;
        }
        for (field, bytes) in [
            ("billed_upload", self.billed_upload),
            ("billed_download", self.billed_download),
        ] {
            within(field, bytes, -MAX_CHARGE_BYTES, MAX_CHARGE_BYTES)?;
        }
        if (self.billed_upload, self.billed_download) == (0, 0) {
            let accepted = "a whole number other than 0, unless billed_download is one";
            return Err(Error::parameter("billed_upload", accepted));
        }
        let (hour, reason) = (hour_of(self.hour), reason(&self.reason)?);
        Ok(Self {
            hour,
            reason,
            ..self
        })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<CorrectedUsage, Error> {
        if self.hour > work.now {
            return Err(Error::parameter("hour", "a time in an hour that has begun"));
        }
        // Locks are taken in the order of charges.
        let closed_before = user_usage::closed_before(tx).await?;
        if let Some(id) = self.package_queue_id {
            self.correct_item(tx, work, id).await?;
        }
        self.correct_hour(tx, work.now).await?;
        let added = [UsageToAdd {
            key: self.key(),
            package_queue_id: self.package_queue_id,
            traffic: Traffic {
                billed_upload: self.billed_upload,
                billed_download: self.billed_download,
                ..Traffic::default()
            },
        }];
        node_usage::add(tx, &added).await?;
        user_usage::add_late(tx, &added, closed_before).await?;
        let (item, by) = (self.package_queue_id, work.actor.user_id);
        let (key, billed) = (self.key(), self.billed());
        let correction = db::insert(tx, key, item, billed, work.now, by, &self.reason).await?;
        let target = Target::UsageCorrection(correction.id);
        work.requested(target, &correction, &self.reason)?;
        let usage = self.usage(tx).await?;
        Ok(CorrectedUsage { correction, usage })
    }
}

impl CorrectUsage {
    fn key(&self) -> UsageKey {
        UsageKey {
            user_id: self.user,
            bucket_start: self.hour,
            node_server_id: self.server_id,
            node_client_id: self.node_client_id,
        }
    }

    fn billed(&self) -> Billed {
        Billed {
            upload: self.billed_upload,
            download: self.billed_download,
        }
    }

    /// Corrects the counters of the item. An item that has ended stays so.
    async fn correct_item(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
        id: i64,
    ) -> Result<(), Error> {
        let item = db::lock_item(tx, id).await?;
        let item = item.filter(|item| item.user_id == self.user && item.was_activated);
        let accepted = "the id of an item of the user that is or was active";
        let item = item.ok_or_else(|| Error::parameter("package_queue_id", accepted))?;
        self.check_sums("the package item", item.upload_bytes, item.download_bytes)?;
        let before = queued_package::show(tx, &[id]).await?;
        let owned = Item {
            id,
            user_id: self.user,
        };
        db::add_to_item(tx, owned, self.billed()).await?;
        if item.is_active {
            advance_queues(tx, &mut work.outbox, &[owned], work.now).await?;
        }
        let after = queued_package::show(tx, &[id]).await?;
        for (before, after) in before.iter().zip(&after) {
            work.changed(Target::PackageItem(id), before, after, Some(&self.reason))?;
        }
        Ok(())
    }

    /// Corrects the hourly row, or inserts it.
    async fn correct_hour(&self, tx: &mut Connection, now: DateTime<Utc>) -> Result<(), Error> {
        let (key, item, billed) = (self.key(), self.package_queue_id, self.billed());
        let existing = db::lock_usage(tx, key, item).await?;
        let Billed { upload, download } = existing.unwrap_or_default();
        self.check_sums("the hour on this node client and item", upload, download)?;
        if existing.is_some() {
            return db::add_to_usage(tx, key, item, billed).await;
        }
        if self.hour < now - TimeDelta::days(MISSING_DAYS) {
            let accepted = "an hour with usage on this node client and item, or one of the last 31 \
                days";
            return Err(Error::parameter("hour", accepted));
        }
        if !db::node_exists(tx, self.server_id, self.node_client_id).await? {
            let accepted = "the id of a node server, and node_client_id that of one of its clients";
            return Err(Error::parameter("server_id", accepted));
        }
        if db::insert_usage(tx, key, item, billed).await? == 0 {
            return Err(Error::conflict());
        }
        Ok(())
    }

    /// Refuses the correction if a sum of `what` would be negative or too large.
    fn check_sums(&self, what: &str, upload: i64, download: i64) -> Result<(), Error> {
        let sums = [
            ("upload", upload, self.billed_upload),
            ("download", download, self.billed_download),
        ];
        for (direction, billed, bytes) in sums {
            let sum = billed.saturating_add(bytes);
            if (0..=MAX_COUNTER_BYTES).contains(&sum) {
                continue;
            }
            let message = format!(
                "The correction would change the {direction} billed for {what} from {billed} to \
                 {sum} bytes. It must stay between 0 and {MAX_COUNTER_BYTES}."
            );
            return Err(Error::new(
                ErrorKind::Conflict,
                "usage_out_of_range",
                message,
            ));
        }
        Ok(())
    }

    async fn usage(&self, tx: &mut Connection) -> Result<ExplainedUsage, Error> {
        let rows = usage_explanation::of_hour(tx, self.user, self.hour).await?;
        let corrected = |row: &ExplainedUsage| {
            row.server_id == self.server_id
                && row.node_client_id == self.node_client_id
                && row.package_queue_id == self.package_queue_id
        };
        let row = rows.into_iter().find(corrected);
        row.ok_or_else(|| Error::internal("the corrected usage is missing"))
    }
}
