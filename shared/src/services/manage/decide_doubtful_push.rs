//! `DecideDoubtfulPush`: decides whether what a doubtful push billed stays, or is given back.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::DateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

use super::adjust_quota::adjust;
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::Connection;
use crate::db::doubtful_push::{self, RowAtStake};
use crate::db::package_item::{self, OpenItem};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::doubtful_push::{DoubtfulPush, MAX_UNCORRECTED, PushDecision};
use crate::domain::traffic::{UsageFold, UsageKey};
use crate::domain::{reason, within};
use crate::error::{Error, ErrorKind};
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// What to do about a doubtful push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum PushRemedy {
    /// Leave what is billed as it is.
    Keep,
    /// Give back what was billed twice. Only for `contains_previous`.
    Correct,
}

/// Decides about a doubtful push. A correction adds the bytes billed twice to the quota of
/// each user's active item, or of the next waiting one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecideDoubtfulPush {
    /// Id of the doubt.
    pub id: i64,
    /// What to do with it.
    pub decision: PushRemedy,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for DecideDoubtfulPush {
    const NAME: &'static str = "DecideDoubtfulPush";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

/// A decided push, and what was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecidedPush {
    /// The push after the decision.
    pub push: DoubtfulPush,
    /// Number of users whose quota was raised. The audit log has an entry for each of their items.
    pub corrected_users: i64,
    /// Bytes added to their quotas.
    pub corrected_bytes: i64,
    /// Number of users who got nothing back, because they have no active and no waiting item.
    pub uncorrected_users: i64,
    /// The first 1000 of these users.
    pub uncorrected: Vec<UncorrectedUser>,
}

/// A user who got nothing back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UncorrectedUser {
    /// Id of the user.
    pub user: Uuid,
    /// Bytes that the user was billed twice.
    pub bytes: i64,
}

#[async_trait]
impl Change for DecideDoubtfulPush {
    type Output = DecidedPush;

    fn checked(self) -> Result<Self, Error> {
        within("id", self.id, 1, i64::MAX)?;
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(&self, tx: &mut Connection, work: &mut Work<'_>) -> Result<DecidedPush, Error> {
        let not_found = || Error::not_found(&format!("Doubtful push {}", self.id));
        doubtful_push::lock(tx, self.id)
            .await?
            .ok_or_else(not_found)?;
        let before = find(tx, self.id).await?;
        if before.decision.is_some() {
            return Err(decided(self.id));
        }
        let given_back = match self.decision {
            PushRemedy::Keep => {
                doubtful_push::decide(tx, self.id, PushDecision::Kept, work.now).await?;
                GivenBack::default()
            }
            PushRemedy::Correct if !before.billed => {
                let accepted = "keep, because no user was billed for the bytes at stake";
                return Err(Error::parameter("decision", accepted));
            }
            PushRemedy::Correct => {
                doubtful_push::decide(tx, self.id, PushDecision::Corrected, work.now).await?;
                self.give_back(tx, work).await?
            }
        };
        let push = find(tx, self.id).await?;
        let target = Target::DoubtfulPush(self.id);
        work.changed(target, &before, &push, Some(&self.reason))?;
        given_back.answer(push)
    }
}

/// Billed bytes by user.
#[derive(Default)]
struct GivenBack {
    corrected: BTreeMap<Uuid, i64>,
    uncorrected: BTreeMap<Uuid, i64>,
}

impl GivenBack {
    fn answer(self, push: DoubtfulPush) -> Result<DecidedPush, Error> {
        let count = |users: usize| i64::try_from(users).map_err(Error::internal);
        let uncorrected_users = count(self.uncorrected.len())?;
        let uncorrected = self.uncorrected.into_iter().take(MAX_UNCORRECTED);
        let uncorrected = uncorrected.map(|(user, bytes)| UncorrectedUser { user, bytes });
        Ok(DecidedPush {
            push,
            corrected_users: count(self.corrected.len())?,
            corrected_bytes: self
                .corrected
                .values()
                .copied()
                .fold(0, i64::saturating_add),
            uncorrected_users,
            uncorrected: uncorrected.collect(),
        })
    }
}

impl DecideDoubtfulPush {
    /// Adds the bytes that were billed twice to the quotas of the users' items.
    async fn give_back(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<GivenBack, Error> {
        let mut bytes = billed_bytes(&doubtful_push::rows_at_stake(tx, self.id).await?)?;
        let users: Vec<Uuid> = bytes.keys().copied().collect();
        let ids = package_item::next_open(tx, &users).await?;
        let open: Vec<OpenItem> = package_item::lock_open(tx, &ids).await?;
        if open.len() < ids.len() {
            // An item has ended meanwhile. Its owner may have another one.
            return Err(Error::conflict());
        }
        let mut corrected = BTreeMap::new();
        let mut of_item = BTreeMap::new();
        for item in &open {
            let given = bytes.remove(&item.user_id).unwrap_or_default();
            corrected.insert(item.user_id, given);
            of_item.insert(item.id, given);
        }
        if !open.is_empty() {
            adjust(tx, work, &open, &of_item, &self.reason).await?;
        }
        Ok(GivenBack {
            corrected,
            uncorrected: bytes,
        })
    }
}

/// The billed bytes of rows by user, rounded as billing rounds them: once per user and direction.
/// Users without billed bytes are left out.
fn billed_bytes(rows: &[RowAtStake]) -> Result<BTreeMap<Uuid, i64>, Error> {
    let mut fold = UsageFold::default();
    for row in rows {
        let Some(factor) = row.traffic_factor else {
            continue;
        };
        let key = UsageKey {
            user_id: row.user_id,
            bucket_start: DateTime::UNIX_EPOCH,
            node_server_id: 0,
            node_client_id: None,
        };
        fold.add(key, row.upload_bytes, row.download_bytes, factor);
    }
    let billed = fold.finish().ok_or_else(Error::overflow)?;
    let bytes = billed.into_iter().map(|(key, traffic)| {
        let bytes = traffic
            .billed_upload
            .saturating_add(traffic.billed_download);
        (key.user_id, bytes)
    });
    Ok(bytes.filter(|(_, bytes)| *bytes > 0).collect())
}

async fn find(tx: &mut Connection, id: i64) -> Result<DoubtfulPush, Error> {
    let push = doubtful_push::show(tx, &[id]).await?.pop();
    push.ok_or_else(|| Error::not_found(&format!("Doubtful push {id}")))
}

fn decided(id: i64) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "push_decided",
        format!("Doubtful push {id} is already decided."),
    )
}
