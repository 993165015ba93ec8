//! What the database must contain after each step of the guide, computed from the requests alone.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// The state of the system that the guide changes.
#[derive(Debug)]
pub struct Oracle {
    /// Time of all steps.
    now: DateTime<Utc>,
    /// Traffic limit and duration of the package.
    limit: i64,
    duration: TimeDelta,
    /// Ten-thousandths of a charged byte per carried byte.
    factor: i64,
    items: Vec<Item>,
    /// Rows of raw usage: upload and download.
    recorded: Vec<(i64, i64)>,
    /// Body of the last dry run of an extension.
    counted: Value,
    /// Extension that the job has not carried out.
    requested_hours: Option<i64>,
}

#[derive(Debug)]
struct Item {
    id: i64,
    status: &'static str,
    upload: i64,
    download: i64,
    adjusted: i64,
    extended: i64,
    activated_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
}

/// An entry of the audit log. Of `after`, only the fields that are given must be equal if `before`
/// is null, because a new object also has generated ids.
#[derive(Debug)]
pub struct Entry {
    pub action: &'static str,
    pub before: Value,
    pub after: Value,
    pub reason: Value,
}

fn number(value: &Value) -> i64 {
    value
        .as_i64()
        .unwrap_or_else(|| panic!("{value} is not a whole number"))
}

impl Oracle {
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            now,
            limit: 0,
            duration: TimeDelta::zero(),
            factor: 0,
            items: Vec::new(),
            recorded: Vec::new(),
            counted: Value::Null,
            requested_hours: None,
        }
    }

    /// Applies a call of an operation, with the id in its path. Returns the entry that it leaves in
    /// the audit log. `None` if it changes nothing.
    pub fn call(
        &mut self,
        rpc: &str,
        id: Option<&str>,
        body: &Value,
        answer: &Value,
    ) -> Option<Entry> {
        let created = |action| Entry {
            action,
            before: Value::Null,
            after: body.clone(),
            reason: Value::Null,
        };
        Some(match rpc {
            "CreatePackage" => {
                self.limit = number(&body["traffic_limit"]);
                self.duration = TimeDelta::seconds(number(&body["duration_seconds"]));
                created("CreatePackage")
            }
            "CreateNodeServer" => created("CreateNodeServer"),
            "CreateNodeClient" => {
                let units = body["traffic_factor"].to_string().parse::<f64>().unwrap() * 10_000.0;
                self.factor = format!("{units:.0}").parse().unwrap();
                created("CreateNodeClient")
            }
            "DeliverOrder" => {
                self.deliver(number(&body["amount"]), &answer["order"]["items"]);
                created("DeliverOrder")
            }
            "AdjustQuota" => self.adjust(id.unwrap(), body),
            "ExtendPackages" if body["dry_run"] == true => {
                self.counted = body.clone();
                return None;
            }
            "ExtendPackages" => self.extend(body),
            "CancelQueuedPackage" => self.cancel_item(id.unwrap(), body),
            "CancelOrder" => self.cancel_order(body),
            read if read.starts_with("List") || read.starts_with("Get") => return None,
            "CountQueuedPackages" => return None,
            other => panic!("the oracle does not know {other}"),
        })
    }

    fn deliver(&mut self, amount: i64, ids: &Value) {
        let ids = ids.as_array().unwrap();
        assert_eq!(ids.len(), usize::try_from(amount).unwrap());
        self.items.extend(ids.iter().map(|id| Item {
            id: number(id),
            status: "in_queue",
            upload: 0,
            download: 0,
            adjusted: 0,
            extended: 0,
            activated_at: None,
            ended_at: None,
        }));
        self.activate_next();
    }

    fn active(&mut self) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.status == "active")
    }

    fn activate_next(&mut self) {
        if self.active().is_none()
            && let Some(next) = self.items.iter_mut().find(|item| item.status == "in_queue")
        {
            next.status = "active";
            next.activated_at = Some(self.now);
        }
    }

    fn item(&mut self, id: &str) -> &mut Item {
        let id: i64 = id.parse().unwrap();
        self.items.iter_mut().find(|item| item.id == id).unwrap()
    }

    fn adjust(&mut self, id: &str, body: &Value) -> Entry {
        let limit = self.limit;
        let item = self.item(id);
        let fields = |item: &Item| {
            let quota = limit + item.adjusted;
            json!({ "adjust_quota": item.adjusted, "quota": quota,
                "quota_left": quota - item.upload - item.download })
        };
        let before = fields(item);
        item.adjusted += number(&body["bytes"]);
        Entry {
            action: "AdjustQuota",
            before,
            after: fields(item),
            reason: body["reason"].clone(),
        }
    }

    fn extend(&mut self, body: &Value) -> Entry {
        // The dry run was for the same extension.
        self.counted.as_object_mut().unwrap().remove("dry_run");
        assert_eq!(self.counted, *body);
        let hours = number(&body["hours"]);
        self.requested_hours = Some(hours);
        let items = self
            .items
            .iter()
            .filter(|item| item.status == "active")
            .count();
        Entry {
            action: "ExtendPackages",
            before: Value::Null,
            after: json!({ "series": body["series"], "available_group": null, "hours": hours,
                "items": items }),
            reason: body["reason"].clone(),
        }
    }

    fn cancel_item(&mut self, id: &str, body: &Value) -> Entry {
        let now = self.now;
        let item = self.item(id);
        let before = json!({ "status": item.status, "ended_at": null, "end_reason": null });
        item.cancel(now);
        self.activate_next();
        Entry {
            action: "CancelQueuedPackage",
            before,
            after: json!({ "status": "cancelled", "ended_at": now, "end_reason": "cancelled" }),
            reason: body["reason"].clone(),
        }
    }

    fn cancel_order(&mut self, body: &Value) -> Entry {
        let open = self.items.iter_mut().filter(|item| item.ended_at.is_none());
        let mut cancelled = Vec::new();
        for item in open {
            item.cancel(self.now);
            cancelled.push(item.id);
        }
        Entry {
            action: "CancelOrder",
            before: json!({ "is_cancelled": false, "open_items": cancelled }),
            after: json!({ "is_cancelled": true, "open_items": [] }),
            reason: body["reason"].clone(),
        }
    }

    /// Applies a usage report: the active item is charged with its lines.
    pub fn report(&mut self, report: &Value) {
        for line in report["usage"].as_array().unwrap() {
            let (upload, download) = (number(&line["upload"]), number(&line["download"]));
            self.recorded.push((upload, download));
            let (upload, download) = (self.billed(upload), self.billed(download));
            let item = self.active().unwrap();
            item.upload += upload;
            item.download += download;
        }
    }

    /// Carried bytes times the factor, rounded half away from zero.
    fn billed(&self, bytes: i64) -> i64 {
        (bytes * self.factor + 5_000) / 10_000
    }

    /// Applies what jobs do after a step. Returns the entry that they leave in the audit log.
    pub fn run_jobs(&mut self) -> Option<Entry> {
        let hours = self.requested_hours.take()?;
        let mut extended = 0;
        for item in self.items.iter_mut().filter(|item| item.status == "active") {
            item.extended += hours * 3_600;
            extended += 1;
        }
        Some(Entry {
            action: "ExtendPackages",
            before: json!({ "completed_at": null, "extended": 0 }),
            after: json!({ "completed_at": self.now, "extended": extended }),
            reason: Value::Null,
        })
    }

    /// All items by id, all hourly rows, and the raw usage.
    pub fn state(&self) -> Value {
        let items: Vec<Value> = self.items.iter().map(|item| self.shown(item)).collect();
        let charged = self
            .items
            .iter()
            .filter(|item| item.upload + item.download > 0);
        let hours: Vec<Value> = charged
            .map(|item| {
                let (upload, download) = self.sums();
                json!([
                    self.now.timestamp() / 3_600 * 3_600,
                    item.id,
                    upload,
                    download,
                    item.upload,
                    item.download
                ])
            })
            .collect();
        let recorded = self.recorded.iter();
        let recorded: Vec<Value> = recorded
            .map(|(upload, download)| json!([upload, download, self.factor]))
            .collect();
        json!({ "items": items, "hours": hours, "recorded": recorded })
    }

    fn sums(&self) -> (i64, i64) {
        let add = |sum: (i64, i64), row: &(i64, i64)| (sum.0 + row.0, sum.1 + row.1);
        self.recorded.iter().fold((0, 0), add)
    }

    fn shown(&self, item: &Item) -> Value {
        let seconds = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp());
        let expires_at = item
            .activated_at
            .map(|at| at + self.duration + TimeDelta::seconds(item.extended));
        json!([
            item.id,
            item.status,
            item.upload,
            item.download,
            self.limit + item.adjusted,
            item.extended,
            seconds(item.activated_at),
            seconds(expires_at),
            seconds(item.ended_at)
        ])
    }
}

impl Item {
    fn cancel(&mut self, now: DateTime<Utc>) {
        self.status = "cancelled";
        self.ended_at = Some(now);
    }
}
