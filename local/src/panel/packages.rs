//! Package series that stand for what users of a panel have.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::report::{PackageReport, Unmapped};
use super::resets::Method;
use super::table::{Fault, Row, Table};
use super::users::{Offer, PanelUser, ResetMethods};
use super::{Panel, Site, UserOptions};
use crate::fleet::Outcome;
use crate::fleet::api::{Api, Change, Failure};

/// Number of series to request at once, the API's maximum.
const PAGE: usize = 200;
/// Traffic of a package whose plan is unknown. Each item gets what is left of its user's traffic.
const UNKNOWN_LIMIT_BYTES: i64 = 1 << 30;
/// Number of devices of a package without a limit.
const UNLIMITED_DEVICES: i32 = 1_000;

/// A plan of V2board or Xboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub name: String,
    pub limit_bytes: i64,
    /// `None` if it follows the panel's setting.
    pub reset: Option<Method>,
}

/// Plans by their ids.
pub type Plans = BTreeMap<i64, Plan>;

/// Reads the table of plans.
#[must_use]
pub fn plans(table: &Table) -> (Plans, Vec<Unmapped>) {
    let (mut plans, mut unmapped) = (Plans::new(), Vec::new());
    for row in &table.rows {
        match plan(row) {
            Ok((id, plan)) => {
                plans.insert(id, plan);
            }
            Err(fault) => unmapped.push(Unmapped::of("plan", row, fault)),
        }
    }
    (plans, unmapped)
}

fn plan(row: &Row) -> Result<(i64, Plan), Fault> {
    // The panels count the traffic of plans in GiB, and that of users in bytes.
    let gibibytes = row.whole("transfer_enable")?.unwrap_or_default().max(1);
    let limit_bytes = gibibytes.checked_mul(1 << 30);
    let limit_bytes = limit_bytes.ok_or_else(|| Fault::new("transfer_enable", "is too large"))?;
    let reset = row.whole("reset_traffic_method")?;
    let unknown = || Fault::new("reset_traffic_method", "expected 0 to 4");
    let reset = reset.map(|number| Method::numbered(number).ok_or_else(unknown));
    Ok((
        row.required_whole("id")?,
        Plan {
            name: row.required("name")?.to_owned(),
            limit_bytes,
            reset: reset.transpose()?,
        },
    ))
}

/// How each plan gives new traffic.
#[must_use]
pub fn reset_methods(plans: &Plans) -> ResetMethods {
    plans.iter().map(|(id, plan)| (*id, plan.reset)).collect()
}

/// The version of a series that orders deliver.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Master {
    pub id: i64,
    pub series: Uuid,
    name: String,
    /// `None` if the package is unlimited.
    pub traffic_limit: Option<i64>,
    /// Ids of all versions of the series, to which earlier items may belong.
    #[serde(skip)]
    pub versions: Vec<i64>,
}

/// The masters of all series.
pub fn masters(api: &Api) -> Result<Vec<Master>> {
    let mut masters = Vec::new();
    let mut offset: usize = 0;
    loop {
        let path = format!("/v1/admin/package-series?limit={PAGE}&offset={offset}");
        let mut page = api.get(&path).context("Cannot list the package series")?;
        let series = page.get_mut("series").map(Value::take).unwrap_or_default();
        let series: Vec<Versions> = serde_json::from_value(series)?;
        let is_last = series.len() < PAGE;
        offset = offset.saturating_add(series.len());
        masters.extend(series.into_iter().filter_map(Versions::master));
        if is_last {
            return Ok(masters);
        }
    }
}

#[derive(Deserialize)]
struct Versions {
    versions: Vec<Version>,
}

impl Versions {
    /// `None` if the series is not sold.
    fn master(self) -> Option<Master> {
        let versions = self.versions.iter().map(|version| version.package.id);
        let versions = versions.collect();
        let sold = self.versions.into_iter().find(|version| version.is_master);
        sold.map(|sold| Master {
            versions,
            ..sold.package
        })
    }
}

#[derive(Deserialize)]
struct Version {
    is_master: bool,
    #[serde(flatten)]
    package: Master,
}

/// A series for the users of an offer.
#[derive(Debug, Clone)]
pub struct Package {
    pub report: PackageReport,
    /// `None` before it is created.
    pub master: Option<Master>,
    /// The request body that creates it.
    body: Value,
}

/// Series by what users have.
pub type Packages = BTreeMap<Offer, Package>;

/// What packages are planned with.
#[derive(Debug)]
pub struct Planner<'a> {
    pub site: &'a Site,
    pub options: &'a UserOptions,
    pub plans: &'a Plans,
    pub masters: &'a [Master],
}

impl Planner<'_> {
    /// The series of the users who are moved. An error is about an option.
    pub fn plan(&self, users: &[PanelUser]) -> Result<Packages> {
        let mut packages = Packages::new();
        for user in users.iter().filter(|user| user.skipped.is_none()) {
            let package = match packages.entry(user.offer) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.package(user.offer)?),
            };
            package.report.users = package.report.users.saturating_add(1);
        }
        Ok(packages)
    }

    fn package(&self, offer: Offer) -> Result<Package> {
        let given = offer.plan.and_then(|plan| self.options.packages.get(&plan));
        let (name, suffix) = self.name(offer)?;
        let master = match given {
            Some(series) => {
                let found = self.masters.iter().find(|master| master.series == *series);
                let found = found.with_context(|| format!("Series {series} is not sold"))?;
                found.traffic_limit.with_context(|| {
                    format!("Series {series} is unlimited, so no user's traffic could be moved")
                })?;
                Some(found)
            }
            None => self
                .masters
                .iter()
                .find(|master| master.name.ends_with(&suffix)),
        };
        let limit = offer.plan.and_then(|plan| self.plans.get(&plan));
        let days = i64::from(self.options.duration_days);
        let body = json!({
            "name": name,
            "available_group": offer.group,
            "max_client_number": offer.devices.unwrap_or(UNLIMITED_DEVICES),
            "duration_seconds": days.saturating_mul(86_400),
            "traffic_limit": limit.map_or(UNKNOWN_LIMIT_BYTES, |plan| plan.limit_bytes),
        });
        Ok(Package {
            report: PackageReport {
                name: master.map_or(name, |master| master.name.clone()),
                series: master.map(|master| master.series),
                is_new: master.is_none(),
                users: 0,
                outcome: Outcome::Planned,
            },
            master: master.cloned(),
            body,
        })
    }

    /// The name of an offer's series, and the end of the name, by which it is found again.
    fn name(&self, offer: Offer) -> Result<(String, String)> {
        let devices = match offer.devices {
            Some(devices) => format!("{devices} devices"),
            None => "any devices".to_owned(),
        };
        let plan = match offer.plan {
            Some(plan) => format!("plan {plan}, "),
            None => String::new(),
        };
        let (group, site) = (offer.group, &self.site.label);
        let suffix = format!("({plan}group {group}, {devices} of {site})");
        let is_given = |plan| self.options.packages.contains_key(&plan);
        let title = match offer.plan {
            Some(plan) if !is_given(plan) => {
                let plan = self.plans.get(&plan);
                let missing = "Users have a plan that --plans lacks. Export v2_plan, or map \
                    the plan with --package";
                plan.context(missing)?.name.clone()
            }
            _ if self.site.panel == Panel::Sspanel => "SSPanel".to_owned(),
            _ => "Without a plan".to_owned(),
        };
        Ok((format!("{title} {suffix}"), suffix))
    }
}

impl Package {
    /// Creates the series. A repeated request creates it once.
    pub fn create(&mut self, api: &Api) -> Result<(), Failure> {
        let created = api.change(&Change {
            method: "POST",
            path: "/v1/admin/packages".to_owned(),
            revision: None,
            body: self.body.clone(),
            after: 0,
        });
        match created {
            Ok(answer) => {
                let package = answer.get("package").cloned().unwrap_or_default();
                self.master = serde_json::from_value(package).ok();
                self.report.series = self.master.as_ref().map(|master| master.series);
                self.report.outcome = Outcome::Applied;
                Ok(())
            }
            Err(failure) => {
                let error = failure.to_string();
                self.report.outcome = Outcome::Refused { error };
                Err(failure)
            }
        }
    }
}
