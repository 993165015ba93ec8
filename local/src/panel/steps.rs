//! What is done for each user: compares what the panel had with what the user has here.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::items::Item;
use super::packages::Master;
use super::report::UserAction;
use super::users::PanelUser;

/// A change for a user.
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    SetSecret(Uuid),
    Deliver,
    /// Make the adjustment of the item's quota this, so that what is left is as in the panel.
    AdjustQuota(i64),
    SetEnd(DateTime<Utc>),
}

/// The steps of a user, in order.
#[derive(Clone, PartialEq, Eq)]
pub struct UserPlan {
    pub action: UserAction,
    pub steps: Vec<Step>,
    /// Why an item stays as it is.
    pub note: Option<String>,
}

impl UserPlan {
    fn of(action: UserAction, steps: Vec<Step>) -> Self {
        Self {
            action,
            steps,
            note: None,
        }
    }

    fn differs(note: String) -> Self {
        Self {
            note: Some(note),
            ..Self::of(UserAction::Differs, Vec::new())
        }
    }

    /// Nothing, because the user is skipped.
    #[must_use]
    pub fn skip() -> Self {
        Self::of(UserAction::Skip, Vec::new())
    }

    /// The secret alone, so that the app of a user whose package has ended works again after the
    /// next order.
    #[must_use]
    pub fn secret_alone(user: &PanelUser) -> Self {
        match user.secret {
            Some(secret) => Self::of(UserAction::SetSecret, vec![Step::SetSecret(secret)]),
            None => Self::skip(),
        }
    }

    /// An item for a user who has none of this import. The secret comes first, so that nodes never
    /// get another one, and so that an item proves that the secret was set.
    #[must_use]
    pub fn delivery(user: &PanelUser) -> Self {
        let mut steps: Vec<Step> = user.secret.map(Step::SetSecret).into_iter().collect();
        steps.push(Step::Deliver);
        steps.push(Step::SetEnd(user.expires_at));
        Self::of(UserAction::Move, steps)
    }

    /// What an earlier import left out of an item. `update` also applies what has changed in the
    /// panel since, as long as the item is not used here.
    #[must_use]
    pub fn rest(user: &PanelUser, item: &Item, update: bool) -> Self {
        if !["active", "in_queue"].contains(&item.status.as_str()) {
            return Self::differs(format!("the item has ended here ({})", item.status));
        }
        let update = update && item.used == 0;
        let Some(adjustment) = adjustment(user, item.quota, item.adjust_quota) else {
            return Self::differs("the item is unlimited".to_owned());
        };
        let mut steps = Vec::new();
        if item.adjust_quota != adjustment {
            if item.adjust_quota != 0 && !update {
                return Self::differs(format!(
                    "the quota was adjusted by {} bytes here, and would be by {adjustment}",
                    item.adjust_quota
                ));
            }
            steps.push(Step::AdjustQuota(adjustment));
        }
        if item.expires_at != Some(user.expires_at) {
            if item.extended_seconds != 0 && !update {
                return Self::differs("the end was changed here".to_owned());
            }
            steps.push(Step::SetEnd(user.expires_at));
        }
        let action = if steps.is_empty() {
            UserAction::Unchanged
        } else {
            UserAction::Move
        };
        Self::of(action, steps)
    }
}

/// The adjustment with which an item has what is left of the user's traffic. `None` if the item is
/// unlimited.
#[must_use]
pub fn adjustment(user: &PanelUser, quota: Option<i64>, adjust_quota: i64) -> Option<i64> {
    let limit = quota?.checked_sub(adjust_quota)?;
    user.quota_left_bytes.checked_sub(limit)
}

/// The adjustment of a new item of a package.
#[must_use]
pub fn adjustment_of_new(user: &PanelUser, master: &Master) -> Option<i64> {
    adjustment(user, master.traffic_limit, 0)
}

impl Step {
    /// The step for a report, without secrets.
    #[must_use]
    pub fn shown(&self, user: &PanelUser, package: &str) -> String {
        match self {
            Self::SetSecret(_) => "set the secret of the panel".to_owned(),
            Self::Deliver => {
                let bytes = user.quota_left_bytes;
                format!("deliver {package:?} with {bytes} bytes left")
            }
            Self::AdjustQuota(_) => format!("leave {} bytes", user.quota_left_bytes),
            Self::SetEnd(end) => format!("end at {end}"),
        }
    }
}
