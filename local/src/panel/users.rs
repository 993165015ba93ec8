//! Users of a panel, with what is left of their packages.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, NaiveDateTime, Utc};
use shared::services::manage::is_random;
use uuid::Uuid;

use super::report::{Skipped, Unmapped};
use super::resets::{self, Method};
use super::sspanel::Level;
use super::table::{Fault, Row, Table};
use super::{Panel, Site, UserOptions};

/// What users have in common who get the same package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offer {
    /// Id of the plan in V2board and Xboard.
    pub plan: Option<i64>,
    /// Access group of the package.
    pub group: i32,
    /// Number of devices. `None` without a limit.
    pub devices: Option<i32>,
}

/// A user of a panel.
#[derive(Clone, PartialEq, Eq)]
pub struct PanelUser {
    pub source: String,
    pub panel_id: i64,
    /// The user's id here. `None` if the given list lacks the user.
    pub user: Option<Uuid>,
    /// `None` if the secret of the panel cannot be used here.
    pub secret: Option<Uuid>,
    pub offer: Offer,
    pub quota_left_bytes: i64,
    /// The end of the user's time here. It is in the far future if it has none in the panel.
    pub expires_at: DateTime<Utc>,
    /// Why the user is not moved.
    pub skipped: Option<Skipped>,
    pub notes: Vec<String>,
}

impl std::fmt::Debug for PanelUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PanelUser")
            .field("panel_id", &self.panel_id)
            .finish_non_exhaustive()
    }
}

/// How a panel gives new traffic, by the ids of plans.
pub type ResetMethods = BTreeMap<i64, Option<Method>>;

/// What users are read with.
#[derive(Debug)]
pub struct Reader<'a> {
    pub site: &'a Site,
    pub options: &'a UserOptions,
    pub resets: &'a ResetMethods,
    /// Ids of the shop by the ids of the panel. `None`: ids are derived.
    pub user_ids: Option<&'a BTreeMap<i64, Uuid>>,
    pub now: DateTime<Utc>,
}

/// Columns that a table of users must have.
#[must_use]
pub fn required_columns(panel: Panel) -> &'static [&'static str] {
    match panel {
        Panel::V2board | Panel::Xboard => &[
            "id",
            "uuid",
            "u",
            "d",
            "transfer_enable",
            "banned",
            "group_id",
            "plan_id",
            "expired_at",
        ],
        Panel::Sspanel => &[
            "id",
            "uuid",
            "u",
            "d",
            "transfer_enable",
            "class",
            "class_expire",
            "node_group",
        ],
    }
}

impl Reader<'_> {
    /// Reads all users. Of two users with the same secret, the second gets another one.
    #[must_use]
    pub fn read(&self, table: &Table) -> (Vec<PanelUser>, Vec<Unmapped>) {
        let (mut users, mut unmapped) = (Vec::new(), Vec::new());
        let (mut secrets, mut ids) = (HashSet::new(), HashSet::new());
        for row in &table.rows {
            match self.user(row) {
                Ok(user) if !ids.insert(user.panel_id) => {
                    let fault = Fault::new("id", "another row has the same id");
                    unmapped.push(Unmapped::of("user", row, fault));
                }
                Ok(mut user) => {
                    if user.secret.is_some_and(|secret| !secrets.insert(secret)) {
                        user.secret = None;
                        user.notes
                            .push(new_secret("another user has the same uuid"));
                    }
                    users.push(user);
                }
                Err(fault) => unmapped.push(Unmapped::of("user", row, fault)),
            }
        }
        (users, unmapped)
    }

    fn user(&self, row: &Row) -> Result<PanelUser, Fault> {
        let panel_id = row.required_whole("id")?;
        let used = amount(row, "u")?.checked_add(amount(row, "d")?);
        let used = used.ok_or_else(|| Fault::new("d", "is too large"))?;
        let limit = amount(row, "transfer_enable")?;
        let mut notes = Vec::new();
        let secret = secret(row, &mut notes)?;
        let offer = self.offer(row)?;
        let end = self.end(row)?;
        let resets = self.reset_bytes(offer, end, limit, &mut notes)?;
        let left = limit.saturating_sub(used).saturating_add(resets);
        let id = match self.user_ids {
            Some(ids) => ids.get(&panel_id).copied(),
            None => Some(self.site.user_id(panel_id)),
        };
        let skipped = self.skipped(row, offer, end, left)?;
        let expires_at = self.last_end(end, &mut notes);
        self.note_limits(row, &mut notes);
        Ok(PanelUser {
            source: row.source.clone(),
            panel_id,
            user: id,
            secret,
            offer: offer.unwrap_or(NO_OFFER),
            quota_left_bytes: left,
            expires_at,
            skipped: skipped.or_else(|| id.is_none().then_some(Skipped::NoUserId)),
            notes,
        })
    }

    /// `None` if the user may use no node in the panel.
    fn offer(&self, row: &Row) -> Result<Option<Offer>, Fault> {
        if self.site.panel == Panel::Sspanel {
            let level = Level::of_user(row)?;
            return Ok(Some(Offer {
                plan: None,
                group: level.access_group(),
                devices: row.small("node_iplimit")?.filter(|limit| *limit > 0),
            }));
        }
        let Some(group) = row.small("group_id")? else {
            return Ok(None);
        };
        Ok(Some(Offer {
            plan: row.whole("plan_id")?,
            group,
            devices: row.small("device_limit")?.filter(|limit| *limit > 0),
        }))
    }

    /// When the panel ends the user's time. `None`: never.
    fn end(&self, row: &Row) -> Result<Option<DateTime<Utc>>, Fault> {
        if self.site.panel == Panel::Sspanel {
            let class = self.local(row, "class_expire")?;
            let account = self.local(row, "expire_in")?;
            return Ok([class, account].into_iter().flatten().min());
        }
        // 0 is the default of the column, and long past.
        let instant = |seconds| {
            let invalid = || Fault::new("expired_at", "is not a Unix time in seconds");
            DateTime::from_timestamp(seconds, 0).ok_or_else(invalid)
        };
        row.whole("expired_at")?.map(instant).transpose()
    }

    /// The instant of a local time of the panel.
    fn local(&self, row: &Row, column: &str) -> Result<Option<DateTime<Utc>>, Fault> {
        let read = |text: &str| {
            let read = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S");
            let local = read.map_err(|_| Fault::new(column, "is not a time"))?;
            let missing = "is a local time of the panel; expected --time-zone, such as \
                Asia/Shanghai";
            let instant = self.site.instant(local);
            instant.ok_or_else(|| Fault::new(column, missing))
        };
        row.text(column).map(read).transpose()
    }

    fn skipped(
        &self,
        row: &Row,
        offer: Option<Offer>,
        end: Option<DateTime<Utc>>,
        left: i64,
    ) -> Result<Option<Skipped>, Fault> {
        // Forks of SSPanel before 2022 have `enable` instead.
        let is_disabled = row.text("enable") == Some("0");
        let banned = is_disabled || row.flag("banned")? || row.flag("is_banned")?;
        Ok(if banned && !self.options.include_banned {
            Some(Skipped::Banned)
        } else if row.text("deleted_at").is_some() {
            Some(Skipped::Deleted)
        } else if offer.is_none() {
            Some(Skipped::NoPackage)
        } else if end.is_some_and(|end| end <= self.now) {
            Some(Skipped::Expired)
        } else if left <= 0 {
            Some(Skipped::UsedUp)
        } else {
            None
        })
    }

    /// The traffic that the panel would still give before the end. It is 0 unless it is asked for.
    fn reset_bytes(
        &self,
        offer: Option<Offer>,
        end: Option<DateTime<Utc>>,
        limit: i64,
        notes: &mut Vec<String>,
    ) -> Result<i64, Fault> {
        let plan = offer.and_then(|offer| offer.plan);
        let Some(method) = plan.and_then(|plan| self.resets.get(&plan)) else {
            return Ok(0);
        };
        let Some(end) = end else { return Ok(0) };
        let count = match method.or(self.options.default_reset) {
            Some(method) => resets::count(method, self.now, end, self.site.time_zone),
            None => Err("the plan follows the panel's setting; expected --default-reset".into()),
        };
        match count {
            Ok(0) => Ok(0),
            Ok(count) if self.options.add_resets => {
                notes.push(format!(
                    "with the traffic of {count} later resets, usable at once"
                ));
                Ok(limit.saturating_mul(count))
            }
            Ok(count) => {
                notes.push(format!(
                    "{count} later resets of the traffic are not moved (--add-resets adds them)"
                ));
                Ok(0)
            }
            Err(message) if self.options.add_resets => Err(Fault::new("plan_id", message)),
            Err(message) => {
                notes.push(format!(
                    "later resets of the traffic are not moved: {message}"
                ));
                Ok(0)
            }
        }
    }

    /// The end here, which every item has.
    fn last_end(&self, end: Option<DateTime<Utc>>, notes: &mut Vec<String>) -> DateTime<Utc> {
        if let Some(end) = end.filter(|end| *end <= self.options.no_end) {
            return end;
        }
        let end = self.options.no_end;
        notes.push(format!("ends at {end}, because every item ends"));
        end
    }

    fn note_limits(&self, row: &Row, notes: &mut Vec<String>) {
        let column = match self.site.panel {
            Panel::Sspanel => "node_speedlimit",
            Panel::V2board | Panel::Xboard => "speed_limit",
        };
        if matches!(row.decimal(column), Ok(Some(limit)) if limit > 0.0) {
            notes.push("the user's speed limit is not moved".to_owned());
        }
        if matches!(row.whole("auto_reset_day"), Ok(Some(day)) if day > 0) {
            notes.push("the monthly reset of the traffic is not moved".to_owned());
        }
    }
}

const NO_OFFER: Offer = Offer {
    plan: None,
    group: 0,
    devices: None,
};

fn amount(row: &Row, column: &str) -> Result<i64, Fault> {
    let bytes = row.whole(column)?.unwrap_or_default();
    if bytes < 0 {
        return Err(Fault::new(column, "is negative"));
    }
    Ok(bytes)
}

fn secret(row: &Row, notes: &mut Vec<String>) -> Result<Option<Uuid>, Fault> {
    let text = row.required("uuid")?;
    let secret: Uuid = text
        .parse()
        .map_err(|_| Fault::new("uuid", "is not a UUID"))?;
    if is_random(secret) {
        return Ok(Some(secret));
    }
    notes.push(new_secret("the uuid is not a random one of version 4"));
    Ok(None)
}

fn new_secret(why: &str) -> String {
    format!("{why}, so the user gets a new secret, and their app needs a new configuration")
}
