//! Sends the steps of users one after another.

use serde_json::{Value, json};
use uuid::Uuid;

use super::items::{self, Item};
use super::packages::{Master, Package};
use super::steps::{Step, UserPlan, adjustment, adjustment_of_new};
use super::users::PanelUser;
use crate::fleet::Outcome;
use crate::fleet::api::{Api, Change, Failure};
use crate::process::interrupt;

/// Sends changes to one API.
pub struct Sender<'a> {
    pub api: &'a Api,
    /// Reason of all changes, for the audit log.
    pub reason: &'a str,
    /// Why nothing more is sent.
    pub stopped: Option<String>,
}

/// A user with what is sent.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub panel: &'a PanelUser,
    pub user: Uuid,
    pub order: Uuid,
    /// The series of the user's offer. `None` for a user who gets no item.
    pub package: Option<&'a Package>,
    /// The item that an earlier import delivered.
    pub item: Option<&'a Item>,
}

/// An item to change.
#[derive(Clone, Copy)]
struct Held {
    id: i64,
    adjust_quota: i64,
}

impl Held {
    fn of(item: &Item) -> Self {
        Self {
            id: item.id,
            adjust_quota: item.adjust_quota,
        }
    }
}

impl Sender<'_> {
    /// Sends the steps of a user, and returns what became of them. The steps after a refused one
    /// are left to the next import. An API that does not respond, or refuses the token, stops all
    /// others.
    pub fn send(&mut self, plan: &UserPlan, target: Target<'_>) -> Outcome {
        if plan.steps.is_empty() {
            return Outcome::Unchanged;
        }
        if self.stopped.is_none() && interrupt::requested() {
            self.stopped = Some("the import was stopped".to_owned());
        }
        if let Some(error) = self.stopped.clone() {
            return Outcome::NotSent { error };
        }
        match self.steps(plan, target) {
            Ok(()) => Outcome::Applied,
            Err(failure) => {
                let error = failure.to_string();
                if failure.concerns_all() {
                    self.stopped = Some(format!("an earlier request failed with {error}"));
                }
                Outcome::Refused { error }
            }
        }
    }

    fn steps(&self, plan: &UserPlan, target: Target<'_>) -> Result<(), Failure> {
        // A delivery was planned for a user without an item of the listed packages. The item may be
        // one of a series that is not sold any more, and then only the rest is sent.
        let found = match target.item {
            None if plan.steps.contains(&Step::Deliver) => items::ordered(self.api, target.order)?,
            None => None,
            Some(item) => Some(item.clone()),
        };
        let Some(item) = found else {
            return self.each(&plan.steps, target, None);
        };
        let rest = UserPlan::rest(target.panel, &item, false);
        let steps = target.item.map_or(&rest.steps, |_| &plan.steps);
        self.each(steps, target, Some(Held::of(&item)))
    }

    fn each(
        &self,
        steps: &[Step],
        target: Target<'_>,
        mut item: Option<Held>,
    ) -> Result<(), Failure> {
        for step in steps {
            match (step, item) {
                (Step::SetSecret(secret), _) => {
                    let path = format!("/v1/admin/users/{}/node-credential", target.user);
                    let body = json!({ "secret": secret, "reason": self.reason });
                    self.change("PUT", path, body)?;
                }
                (Step::Deliver, _) => item = self.deliver(target)?,
                (Step::AdjustQuota(to), Some(held)) => self.adjust(held, *to)?,
                (Step::SetEnd(end), Some(held)) => {
                    let path = format!("/v1/admin/package-queue/{}/end", held.id);
                    let body = json!({ "expires_at": end, "reason": self.reason });
                    self.change("PUT", path, body)?;
                }
                (Step::AdjustQuota(_) | Step::SetEnd(_), None) => {}
            }
        }
        Ok(())
    }

    /// Delivers an item and leaves what is left of the user's traffic.
    fn deliver(&self, target: Target<'_>) -> Result<Option<Held>, Failure> {
        let Some(master) = target.package.and_then(|package| package.master.as_ref()) else {
            return Ok(None);
        };
        let path = format!("/v1/admin/orders/{}", target.order);
        let body = json!({ "user": target.user, "series": master.series, "amount": 1 });
        let answer = self.change("PUT", path, body)?;
        let (held, wanted) = match new_item(&answer, master) {
            Some(id) => {
                let held = Held {
                    id,
                    adjust_quota: 0,
                };
                (held, adjustment_of_new(target.panel, master))
            }
            // The series has another master now.
            None => match items::ordered(self.api, target.order)? {
                None => return Ok(None),
                Some(item) => {
                    let wanted = adjustment(target.panel, item.quota, item.adjust_quota);
                    (Held::of(&item), wanted)
                }
            },
        };
        if let Some(wanted) = wanted {
            self.adjust(held, wanted)?;
        }
        Ok(Some(held))
    }

    fn adjust(&self, item: Held, to: i64) -> Result<(), Failure> {
        let bytes = to.saturating_sub(item.adjust_quota);
        if bytes == 0 {
            return Ok(());
        }
        let path = format!("/v1/admin/package-queue/{}/quota-adjustments", item.id);
        let body = json!({ "bytes": bytes, "reason": self.reason });
        self.change("POST", path, body).map(|_| ())
    }

    fn change(&self, method: &'static str, path: String, body: Value) -> Result<Value, Failure> {
        self.api.change(&Change {
            method,
            path,
            revision: None,
            body,
            after: 0,
        })
    }
}

/// The id of the item that a call delivered. `None` if it is not a new one of the expected package.
fn new_item(answer: &Value, master: &Master) -> Option<i64> {
    let order = answer.get("order")?;
    let is_new = answer.get("changed") == Some(&json!(true));
    let is_expected = order.get("package_id") == Some(&json!(master.id));
    let id = order.get("items")?.get(0)?.as_i64()?;
    (is_new && is_expected).then_some(id)
}
