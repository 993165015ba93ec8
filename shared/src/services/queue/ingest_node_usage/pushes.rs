//! Turns the messages of a batch into reports.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::super::record_usage::{Fleet, HashedReport, Record};
use super::ReceivedUsage;
use crate::db::Connection;
use crate::db::node_push::{
    self, ContentKey, ContentPush, NewDoubt, NumberedUser, SourceLast, Times,
};
use crate::domain::doubtful_push::PushDoubt;
use crate::domain::line_rate::LineRate;
use crate::domain::node_push::{
    Arrival, ArrivedPush, Containment, PushHistory, PushRow, PushSource,
};
use crate::error::Error;
use crate::events::node_usage::{NodeUsage, NodeUsageContent, Push};
use crate::events::usage_report::{self, MAX_AGE_DAYS, UsageLine, UsageReport};
use crate::telemetry;

/// What reports are checked against.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'f> {
    pub fleet: &'f Fleet,
    pub line_rate: LineRate,
    pub now: DateTime<Utc>,
}

/// A report, and whether its server may have one.
type Resolved = (HashedReport, Result<(), Error>);

/// The pushes before those of a batch, and what the batch changed.
pub(super) struct Pushes {
    histories: BTreeMap<PushSource, PushHistory>,
    users: HashMap<i32, Uuid>,
    /// Recorded pushes that are new or were repeated.
    touched: BTreeSet<Uuid>,
    doubts: Vec<NewDoubt>,
    repeated: usize,
}

/// What was found in a batch, for the metrics.
pub(super) struct Found {
    repeated: usize,
    doubts: u64,
}

impl Found {
    /// Counts repeated and doubtful pushes, after the commit.
    pub fn log(&self) {
        telemetry::count("PushesRepeated", self.repeated);
        let doubts = usize::try_from(self.doubts).unwrap_or(usize::MAX);
        telemetry::count("PushesDoubtful", doubts);
        if doubts > 0 {
            tracing::info!(doubts, "doubtful pushes recorded");
        }
    }
}

fn interval(usage: &NodeUsage) -> TimeDelta {
    TimeDelta::seconds(usage.interval_seconds.into())
}

fn source(usage: &NodeUsage, push: &Push) -> PushSource {
    PushSource {
        access_id: usage.access_id,
        node_client_id: usage.node_client_id,
        part: push.part,
    }
}

/// The push of a message. `None` if it is a report or a heartbeat.
fn push_of(usage: &NodeUsage) -> Option<&Push> {
    match &usage.content {
        NodeUsageContent::Push(push) if !push.is_heartbeat() => Some(push),
        NodeUsageContent::Push(_) | NodeUsageContent::Report(_) => None,
    }
}

impl Pushes {
    /// Locks the sources of a batch, and reads what their pushes are compared with.
    pub async fn load(tx: &mut Connection, messages: &[&ReceivedUsage]) -> Result<Self, Error> {
        let contents = contents(messages);
        let mut pushes = Self {
            histories: BTreeMap::new(),
            users: HashMap::new(),
            touched: BTreeSet::new(),
            doubts: Vec::new(),
            repeated: 0,
        };
        if contents.is_empty() {
            return Ok(pushes);
        }
        let sources: BTreeSet<PushSource> = contents.keys().map(|key| key.source).collect();
        let sources: Vec<PushSource> = sources.into_iter().collect();
        for (source, last) in node_push::lock_sources(tx, &sources).await? {
            pushes.histories.entry(source).or_default().last = Some(last);
        }
        let contents: Vec<(&ContentKey, Times)> = contents.iter().map(|(k, t)| (k, *t)).collect();
        for (key, push) in node_push::of_content(tx, &contents).await? {
            let history = pushes.histories.entry(key.source).or_default();
            let known = history.by_content.entry(key.body_hash).or_default();
            known.push(push);
        }
        let users = node_push::users(tx, &user_numbers(messages)).await?;
        let users = users
            .into_iter()
            .map(|NumberedUser { number, user_id }| (number, user_id));
        pushes.users.extend(users);
        Ok(pushes)
    }

    /// Returns a report for each message, in the order of the messages. Pushes are compared in the
    /// order in which they arrived.
    pub fn resolve(
        &mut self,
        messages: &[&ReceivedUsage],
        around: Surroundings<'_>,
    ) -> Result<Vec<Resolved>, Error> {
        let mut in_order: Vec<(usize, &ReceivedUsage)> =
            messages.iter().copied().enumerate().collect();
        in_order.sort_by_key(|(_, message)| (message.usage.arrived_at, message.usage.push_id));
        let mut resolved = in_order
            .into_iter()
            .map(|(place, message)| Ok((place, self.resolve_one(message, around)?)))
            .collect::<Result<Vec<(usize, Resolved)>, Error>>()?;
        resolved.sort_by_key(|(place, _)| *place);
        Ok(resolved.into_iter().map(|(_, resolved)| resolved).collect())
    }

    fn resolve_one(
        &mut self,
        message: &ReceivedUsage,
        around: Surroundings<'_>,
    ) -> Result<Resolved, Error> {
        let usage = &message.usage;
        let mut hashed = match &usage.content {
            NodeUsageContent::Push(push) => self.report_of_push(usage, push, around.now),
            NodeUsageContent::Report(report) => report_of_collector(usage, report, around.now),
        };
        hashed.cause.clone_from(&message.cause);
        let check = around.fleet.check_server(&hashed.report);
        if let (Some(push), Ok(())) = (push_of(usage), &check) {
            self.arrive(message, push, &mut hashed, around)?;
        }
        Ok((hashed, check))
    }

    /// The report that a push stands for: the traffic of known users since the last push.
    fn report_of_push(&self, usage: &NodeUsage, push: &Push, now: DateTime<Utc>) -> HashedReport {
        let line = |row: &PushRow| {
            Some(UsageLine {
                user: *self.users.get(&row.user_number)?,
                node_client_id: usage.node_client_id,
                upload: row.upload_bytes,
                download: row.download_bytes,
            })
        };
        let history = self.histories.get(&source(usage, push));
        let last = history.and_then(|history| history.last.as_ref());
        let last = last
            .map(|last| last.arrived_at)
            .filter(|last| *last < usage.arrived_at);
        let earliest = usage.arrived_at - TimeDelta::days(MAX_AGE_DAYS);
        let period_start = last.unwrap_or(usage.arrived_at - interval(usage));
        HashedReport {
            report: UsageReport {
                kind: usage_report::TYPE.to_owned(),
                report_id: usage.push_id,
                server_id: usage.server_id,
                period_start: period_start.max(earliest),
                period_end: usage.arrived_at,
                usage: push.rows.iter().filter_map(line).collect(),
                metrics: push.metrics.clone(),
            },
            seen_at: usage.arrived_at.min(now),
            // The end of the period is the time of our own clock.
            clock_skew: None,
            sender_id: Some(sender(usage)),
            payload_hash: push.payload_hash(usage),
            cause: None,
        }
    }

    /// Compares a push with those before. The report of a repeat loses its lines and its metrics,
    /// which the other push has. It stays as a heartbeat, so that the message is known if it is
    /// delivered again.
    fn arrive(
        &mut self,
        message: &ReceivedUsage,
        push: &Push,
        hashed: &mut HashedReport,
        around: Surroundings<'_>,
    ) -> Result<(), Error> {
        let usage = &message.usage;
        let record = Record::new(hashed, around.fleet, around.line_rate);
        let billed_by = |line| record.billed_by(line, around.fleet);
        let client = hashed.report.usage.first().and_then(billed_by);
        let timeout = TimeDelta::seconds(usage.client_timeout_seconds.into());
        let source = source(usage, push);
        let arrived = ArrivedPush {
            push_id: usage.push_id,
            arrived_at: usage.arrived_at,
            interval: interval(usage),
            resends_larger: usage.resends_larger,
            was_late: message
                .sent_at
                .is_some_and(|sent_at| sent_at - usage.arrived_at > timeout),
            body_hash: &push.body_hash(),
            rows: &push.rows,
            factor: client.map(|client| client.traffic_factor),
        };
        match self.histories.entry(source).or_default().arrive(&arrived) {
            Arrival::Redelivered => {}
            Arrival::Repeat(of) => {
                self.touched.insert(of);
                self.repeated += 1;
                hashed.report.usage.clear();
                hashed.report.metrics = None;
            }
            Arrival::New(containment) => {
                self.touched.insert(usage.push_id);
                self.doubt(usage, push, containment)?;
            }
        }
        Ok(())
    }

    /// Adds the doubts about a new push.
    fn doubt(
        &mut self,
        usage: &NodeUsage,
        push: &Push,
        containment: Option<Containment>,
    ) -> Result<(), Error> {
        let is_known = |row: &PushRow| self.users.contains_key(&row.user_number);
        let (mut containment, mut unknown) = (containment, push.rows.clone());
        unknown.retain(|row| !is_known(row));
        if let Some(containment) = &mut containment {
            containment.rows.retain(is_known);
        }
        let of_push = |doubt| NewDoubt {
            push_id: usage.push_id,
            doubt,
            source: source(usage, push),
            node_server_id: usage.server_id,
            arrived_at: usage.arrived_at,
            previous_push_id: None,
            evidence: Vec::new(),
            rows: Vec::new(),
            factor: None,
            unreadable: serde_json::Value::Array(Vec::new()),
            unreadable_rows: 0,
        };
        if let Some(containment) = containment.filter(|containment| !containment.rows.is_empty()) {
            self.doubts.push(NewDoubt {
                push_id: containment.push_id,
                arrived_at: containment.arrived_at,
                previous_push_id: Some(containment.previous_push_id),
                evidence: containment.evidence.iter().map(Into::into).collect(),
                rows: containment.rows,
                factor: containment.factor,
                ..of_push(PushDoubt::ContainsPrevious)
            });
        }
        if !unknown.is_empty() {
            self.doubts.push(NewDoubt {
                rows: unknown,
                ..of_push(PushDoubt::UnknownUsers)
            });
        }
        if push.unreadable_rows > 0 {
            self.doubts.push(NewDoubt {
                unreadable: serde_json::to_value(&push.unreadable).map_err(Error::internal)?,
                unreadable_rows: push.unreadable_rows,
                ..of_push(PushDoubt::UnreadableRows)
            });
        }
        Ok(())
    }

    /// Stores what the batch changed.
    pub async fn save(self, tx: &mut Connection) -> Result<Found, Error> {
        let mut lasts = Vec::new();
        let mut pushes = Vec::new();
        for (&source, history) in &self.histories {
            let last = history.last.as_ref().filter(|_| history.last_changed);
            lasts.extend(last.map(|last| SourceLast { source, last }));
            for (body_hash, known) in &history.by_content {
                let touched = known
                    .iter()
                    .filter(|push| self.touched.contains(&push.push_id));
                pushes.extend(touched.map(|&push| ContentPush {
                    source,
                    body_hash,
                    push,
                }));
            }
        }
        if !lasts.is_empty() {
            node_push::save_last(tx, &lasts).await?;
        }
        if !pushes.is_empty() {
            node_push::save_content(tx, &pushes).await?;
        }
        let doubts = match self.doubts.as_slice() {
            [] => 0,
            doubts => node_push::insert_doubts(tx, doubts).await?,
        };
        Ok(Found {
            repeated: self.repeated,
            doubts,
        })
    }
}

fn sender(usage: &NodeUsage) -> String {
    format!("node-access:{}", usage.access_id)
}

/// The report of a collector, whose lines are of the client of the access unless they name one.
fn report_of_collector(
    usage: &NodeUsage,
    report: &UsageReport,
    now: DateTime<Utc>,
) -> HashedReport {
    let mut of_client = report.clone();
    for line in &mut of_client.usage {
        line.node_client_id = line.node_client_id.or(usage.node_client_id);
    }
    HashedReport {
        seen_at: report.period_end.min(usage.arrived_at).min(now),
        clock_skew: Some(report.period_end - usage.arrived_at),
        sender_id: Some(sender(usage)),
        payload_hash: report.payload_hash(),
        cause: None,
        report: of_client,
    }
}

/// The contents of the pushes in a batch, with the times in which equal ones may be repeats.
fn contents(messages: &[&ReceivedUsage]) -> BTreeMap<ContentKey, Times> {
    let mut contents: BTreeMap<ContentKey, Times> = BTreeMap::new();
    for ReceivedUsage { usage, .. } in messages {
        let Some(push) = push_of(usage) else { continue };
        let (after, before) = (
            usage.arrived_at - interval(usage),
            usage.arrived_at + interval(usage),
        );
        let key = ContentKey {
            source: source(usage, push),
            body_hash: push.body_hash(),
        };
        let times = contents.entry(key).or_insert(Times { after, before });
        times.after = times.after.min(after);
        times.before = times.before.max(before);
    }
    contents
}

/// The numbers of all users in a batch.
fn user_numbers(messages: &[&ReceivedUsage]) -> Vec<i32> {
    let rows = messages
        .iter()
        .filter_map(|message| push_of(&message.usage))
        .flat_map(|push| &push.rows);
    let numbers: BTreeSet<i32> = rows.map(|row| row.user_number).collect();
    numbers.into_iter().collect()
}
