//! The parts of an import, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;
use uuid::Uuid;

use super::apply::{Sender, Target};
use super::items::{Item, Items};
use super::packages::{self, Packages, Plans};
use super::report::{Report, Skipped, Totals, Unmapped, UserAction, UserReport};
use super::servers::{MappedFleet, Nodes};
use super::sspanel::Level;
use super::steps::UserPlan;
use super::table::{Fault, Table};
use super::uniproxy::{self, Routes};
use super::users::{PanelUser, Reader};
use super::{Options, Panel, Site, Tables};
use crate::fleet::api::Api;
use crate::fleet::{self, Outcome};
use crate::progress::step;

/// Receives each line of the report when it is done.
pub type Show<'a> = dyn FnMut(&dyn fmt::Display) + 'a;

/// Compares tables with what is here, and sends the changes unless `options` ask for a dry run or a
/// row cannot be moved.
pub fn import(
    api: &Api,
    site: &Site,
    tables: &Tables,
    options: &Options,
    show: &mut Show<'_>,
) -> Result<Report> {
    let mut import = Import {
        api,
        site,
        options,
        unmapped: Vec::new(),
    };
    let plans = import.plans(tables);
    let users = import.users(tables, &plans)?;
    let mapped = import.nodes(tables)?;
    let planned = import.planned_users(&plans, &users)?;
    let is_stopped = !import.unmapped.is_empty() && !options.skip_unmapped && !options.dry_run;
    let is_sent = !is_stopped && !options.dry_run;
    let fleet = import.fleet(&mapped, is_sent, show)?;
    let mut report = Report {
        dry_run: options.dry_run,
        fleet,
        packages: Vec::new(),
        users: Vec::new(),
        totals: Totals::default(),
        notes: mapped.notes,
        unmapped: import.unmapped.clone(),
        is_stopped,
    };
    import.apply(planned, is_sent, &mut report, show);
    Ok(report)
}

struct Import<'a> {
    api: &'a Api,
    site: &'a Site,
    options: &'a Options,
    unmapped: Vec<Unmapped>,
}

/// Users with their packages and steps.
struct Planned<'u> {
    packages: Packages,
    users: Vec<(&'u PanelUser, UserPlan, Option<Item>)>,
}

impl Import<'_> {
    fn plans(&mut self, tables: &Tables) -> Plans {
        let read = tables.plans.as_ref().map(packages::plans);
        let (plans, unmapped) = read.unwrap_or_default();
        self.unmapped.extend(unmapped);
        plans
    }

    fn users(&mut self, tables: &Tables, plans: &Plans) -> Result<Vec<PanelUser>> {
        let Some(table) = &tables.users else {
            return Ok(Vec::new());
        };
        let user_ids = tables.user_ids.as_ref().map(user_ids).transpose()?;
        let reader = Reader {
            site: self.site,
            options: &self.options.users,
            resets: &packages::reset_methods(plans),
            user_ids: user_ids.as_ref(),
            now: self.options.now,
        };
        let (users, unmapped) = reader.read(table);
        self.unmapped.extend(unmapped);
        Ok(users)
    }

    /// Maps the nodes, and leaves out those that the fleet cannot have.
    fn nodes(&mut self, tables: &Tables) -> Result<MappedFleet> {
        let levels = match (self.site.panel, &tables.users) {
            (Panel::Sspanel, Some(users)) => levels(users),
            (Panel::Sspanel, None) if !tables.servers.is_empty() => {
                anyhow::bail!("Who may use nodes of SSPanel depends on --users")
            }
            _ => BTreeSet::new(),
        };
        let routes = tables.routes.as_ref().map(|table| self.routes(table));
        let nodes = Nodes {
            site: self.site,
            tables: &tables.servers,
            routes: routes.as_ref(),
            country: self.options.country.as_deref(),
            levels: &levels,
        };
        let mut mapped = nodes.map();
        self.unmapped.append(&mut mapped.unmapped);
        if tables.servers.is_empty() {
            return Ok(mapped);
        }
        let planned = self.send_fleet(&mapped, true, &mut |_| {})?;
        for invalid in planned.invalid {
            let rows = [&mut mapped.document.servers, &mut mapped.document.clients];
            for rows in rows.into_iter().flatten() {
                rows.retain(|row| row.source != invalid.source);
            }
            self.unmapped.push(Unmapped {
                kind: invalid.kind,
                source: invalid.source,
                field: invalid.field,
                message: invalid.message,
            });
        }
        Ok(mapped)
    }

    fn routes(&mut self, table: &Table) -> Routes {
        let mut routes = Routes::new();
        for row in &table.rows {
            match uniproxy::route(row) {
                Ok((id, route)) => {
                    routes.insert(id, route);
                }
                Err(fault) => self.unmapped.push(Unmapped::of("route", row, fault)),
            }
        }
        routes
    }

    fn fleet(
        &self,
        mapped: &MappedFleet,
        is_sent: bool,
        show: &mut Show<'_>,
    ) -> Result<Option<fleet::Report>> {
        let rows = mapped.document.clients.as_ref();
        if rows.is_none_or(Vec::is_empty) {
            return Ok(None);
        }
        self.send_fleet(mapped, !is_sent, show).map(Some)
    }

    fn send_fleet(
        &self,
        mapped: &MappedFleet,
        dry_run: bool,
        show: &mut Show<'_>,
    ) -> Result<fleet::Report> {
        let options = fleet::Options {
            dry_run,
            by_name: true,
            archive_missing: None,
        };
        let mut show_row = |row: &fleet::RowReport| {
            if row.action != fleet::Action::Unchanged {
                show(row);
            }
        };
        fleet::import(self.api, &mapped.document, &options, &mut show_row)
    }

    /// What is to be done for each user.
    fn planned_users<'u>(&self, plans: &Plans, users: &'u [PanelUser]) -> Result<Planned<'u>> {
        if users.is_empty() {
            return Ok(Planned {
                packages: Packages::new(),
                users: Vec::new(),
            });
        }
        let masters = packages::masters(self.api)?;
        let planner = packages::Planner {
            site: self.site,
            options: &self.options.users,
            plans,
            masters: &masters,
        };
        let packages = planner.plan(users)?;
        step("Comparing the users", || {
            let known = packages
                .values()
                .filter_map(|package| package.master.as_ref());
            let ids: BTreeSet<i64> = known.flat_map(|master| master.versions.clone()).collect();
            let items = Items::of_packages(self.api, ids.into_iter())?;
            let steps = users.iter().map(|user| {
                let (plan, item) = self.planned_user(user, &items)?;
                Ok((user, plan, item))
            });
            let users = steps.collect::<Result<_>>()?;
            Ok(Planned { packages, users })
        })
    }

    fn planned_user(&self, user: &PanelUser, items: &Items) -> Result<(UserPlan, Option<Item>)> {
        if let Some(skipped) = user.skipped {
            return Ok((self.planned_skipped(user, skipped)?, None));
        }
        let order = self.site.order_id(user.panel_id);
        let item = items.of_order(self.api, order)?;
        let plan = match &item {
            None => UserPlan::delivery(user),
            Some(item) => UserPlan::rest(user, item, self.options.users.update),
        };
        Ok((plan, item))
    }

    /// A user whose secret was set or rotated before keeps it.
    fn planned_skipped(&self, user: &PanelUser, skipped: Skipped) -> Result<UserPlan> {
        let has_ended = matches!(
            skipped,
            Skipped::Expired | Skipped::UsedUp | Skipped::NoPackage
        );
        let (true, true, Some(id)) = (self.options.users.include_ended, has_ended, user.user)
        else {
            return Ok(UserPlan::skip());
        };
        let path =
            format!("/v1/admin/audit-entries?target_kind=node_credential&target_id={id}&limit=1");
        let entries = self
            .api
            .get(&path)
            .context("Cannot list the audit entries")?;
        let is_set = entries.get("total").and_then(Value::as_i64) != Some(0);
        let mut plan = UserPlan::secret_alone(user);
        if is_set {
            plan.action = UserAction::Unchanged;
            plan.steps.clear();
        }
        Ok(plan)
    }

    /// Creates the packages and moves the users, if `is_sent`.
    fn apply(&self, planned: Planned<'_>, is_sent: bool, report: &mut Report, show: &mut Show<'_>) {
        let reason = format!("moved from {}", self.site.label);
        let mut sender = Sender {
            api: self.api,
            reason: &reason,
            stopped: None,
        };
        let Planned {
            mut packages,
            users,
        } = planned;
        for package in packages.values_mut() {
            if is_sent && package.master.is_none() && sender.stopped.is_none() {
                let created = package.create(self.api);
                if let Err(failure) = created.as_ref()
                    && failure.concerns_all()
                {
                    sender.stopped = Some(format!("an earlier request failed with {failure}"));
                }
            }
            show(&package.report);
            report.packages.push(package.report.clone());
        }
        for (user, plan, item) in &users {
            let mut row = user_row(user, plan, &packages);
            if is_sent {
                let package = packages.get(&user.offer);
                row.outcome = self.sent(&mut sender, (user, plan, item.as_ref()), package);
            }
            if row.action != UserAction::Unchanged {
                show(&row);
            }
            report.totals.add(&row, user.secret.is_none());
            report.users.push(row);
        }
    }

    fn sent(
        &self,
        sender: &mut Sender<'_>,
        (panel, plan, item): (&PanelUser, &UserPlan, Option<&Item>),
        package: Option<&packages::Package>,
    ) -> Outcome {
        let Some(user) = panel.user else {
            return Outcome::Unchanged;
        };
        let is_delivered = plan.action == UserAction::Move && item.is_none();
        let is_created = package.is_some_and(|package| package.master.is_some());
        if is_delivered && !is_created {
            let error = "its package was not created".to_owned();
            return Outcome::NotSent { error };
        }
        sender.send(
            plan,
            Target {
                panel,
                user,
                order: self.site.order_id(panel.panel_id),
                package,
                item,
            },
        )
    }
}

fn user_row(user: &PanelUser, plan: &UserPlan, packages: &Packages) -> UserReport {
    let package = packages.get(&user.offer);
    let name = package.map_or("", |package| package.report.name.as_str());
    let steps = plan.steps.iter().map(|step| step.shown(user, name));
    let is_moved = user.skipped.is_none();
    let notes = user.notes.iter().filter(|_| is_moved);
    UserReport {
        source: user.source.clone(),
        panel_id: user.panel_id,
        user: user.user,
        action: plan.action,
        skipped: user.skipped,
        quota_left_bytes: user.quota_left_bytes,
        expires_at: is_moved.then_some(user.expires_at),
        steps: steps.collect(),
        notes: notes.cloned().chain(plan.note.clone()).collect(),
        outcome: Outcome::Planned,
    }
}

fn levels(users: &Table) -> BTreeSet<Level> {
    let levels = users.rows.iter().map(Level::of_user);
    levels.filter_map(Result::ok).collect()
}

fn user_ids(table: &Table) -> Result<BTreeMap<i64, Uuid>> {
    let read = |row: &super::table::Row| {
        let user = row.required("user")?.parse();
        let user = user.map_err(|_| Fault::new("user", "is not a UUID"))?;
        Ok((row.required_whole("id")?, user))
    };
    let rows = table.rows.iter().map(|row| {
        let fault = |fault: Fault| {
            let Fault { field, message } = fault;
            anyhow::anyhow!("{}: {field}: {message}", row.source)
        };
        read(row).map_err(fault)
    });
    rows.collect()
}
