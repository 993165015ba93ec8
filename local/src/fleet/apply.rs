//! Sends the steps of a plan.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::api::{Api, Change, Failure};
use super::plan::{Options, Plan};
use super::report::{Action, Outcome, Report, RowReport};
use super::step::{Send, Step};
use super::{Existing, Fields, Fleet, Kind};

/// Sends the changes of a plan one after another, and reports each row to `show`. Sends nothing in
/// a dry run or if a row is invalid. A refused row does not stop the others, but an API that does
/// not respond, or refuses the token, does.
pub fn apply(
    api: &Api,
    plan: Plan,
    fleet: &Fleet,
    options: &Options,
    show: &mut dyn FnMut(&RowReport),
) -> Report {
    let is_sent = !options.dry_run && plan.invalid.is_empty();
    let newest = |kind| fleet.of(kind).iter().map(|found: &Existing| found.id).max();
    let mut sender = Sender {
        api,
        reason: options.archive_missing.as_deref().unwrap_or_default(),
        new_servers: HashMap::new(),
        newest: Kind::ALL
            .map(|kind| (kind, newest(kind).unwrap_or_default()))
            .into(),
        stopped: None,
    };
    let mut rows = Vec::new();
    for mut step in plan.steps {
        if is_sent {
            sender.take(&mut step);
        }
        show(&step.row);
        rows.push(step.row);
    }
    Report::new(options.dry_run, plan.ignored, plan.invalid, rows)
}

struct Sender<'a> {
    api: &'a Api,
    reason: &'a str,
    /// Ids of the servers that were created, by their rows.
    new_servers: HashMap<usize, i32>,
    /// Highest id of each kind.
    newest: HashMap<Kind, i32>,
    /// Why nothing more is sent.
    stopped: Option<String>,
}

impl Sender<'_> {
    fn take(&mut self, step: &mut Step) {
        let Some(change) = self.change(step) else {
            step.row.outcome = Outcome::Unchanged;
            return;
        };
        let has_server = step
            .new_server
            .is_none_or(|row| self.new_servers.contains_key(&row));
        let unsent = match &self.stopped {
            Some(error) => Some(error.clone()),
            None if !has_server => Some("its server was not created".to_owned()),
            None => None,
        };
        if let Some(error) = unsent {
            step.row.outcome = Outcome::NotSent { error };
            return;
        }
        match self.api.change(&change) {
            Ok(answer) => self.applied(step, &answer),
            Err(failure) => self.refused(step, &failure),
        }
    }

    /// The request of a step. `None` if nothing changes.
    fn change(&self, step: &Step) -> Option<Change> {
        let server = step.new_server.and_then(|row| self.new_servers.get(&row));
        let with_server = |body: &Fields| {
            let mut body = body.clone();
            body.extend(server.map(|id| ("server_id".to_owned(), json!(id))));
            Value::Object(body)
        };
        let base = step.kind.path();
        let of_id = |rest: &str| format!("{base}/{}{rest}", step.row.id.unwrap_or_default());
        let newest = self.newest.get(&step.kind).copied();
        let change = |method, path, body| Change {
            method,
            path,
            revision: None,
            body,
            after: 0,
        };
        match &step.send {
            Send::Nothing => None,
            Send::Create(body, _) => Some(Change {
                after: newest.unwrap_or_default(),
                ..change("POST", base.to_owned(), with_server(body))
            }),
            Send::Update(patch, revision) => Some(Change {
                revision: Some(*revision),
                ..change("PATCH", of_id(""), with_server(patch))
            }),
            Send::Archive => {
                let body = json!({ "reason": self.reason });
                Some(change("PUT", of_id("/archive"), body))
            }
        }
    }

    fn applied(&mut self, step: &mut Step, answer: &Value) {
        step.row.outcome = Outcome::Applied;
        let item = match step.kind {
            Kind::Server => answer,
            Kind::Client => answer.get("client").unwrap_or(answer),
        };
        let revision = item.get("revision").and_then(Value::as_i64);
        match &step.send {
            Send::Create(_, row) => {
                let id = answer.get(step.kind.name()).and_then(|item| item.get("id"));
                let id = id.and_then(|id| i32::try_from(id.as_i64()?).ok());
                step.row.id = id;
                if let Some(id) = id {
                    self.newest.insert(step.kind, id);
                    if step.kind == Kind::Server {
                        self.new_servers.insert(*row, id);
                    }
                }
            }
            // A secret that is the stored one changes nothing, which only the API can know.
            Send::Update(_, before) if revision == Some(*before) => {
                step.row.action = Action::Unchanged;
                step.row.changes.clear();
                step.row.outcome = Outcome::Unchanged;
            }
            Send::Update(..) | Send::Archive | Send::Nothing => {}
        }
    }

    fn refused(&mut self, step: &mut Step, failure: &Failure) {
        let error = failure.to_string();
        if failure.concerns_all() {
            self.stopped = Some(format!("an earlier request failed with {error}"));
        }
        step.row.outcome = Outcome::Refused { error };
    }
}
