//! `/v1/admin/audit-entries`, `/v1/admin/dead-letters`, `/v1/admin/job-runs`,
//! `/v1/admin/parked-events` and the path below it.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Value, json};
use strum::VariantNames;
use uuid::Uuid;

use super::parameter::{Kind, LONG_ID, Parameter};
use super::request::ApiRequest;
use super::{Csv, Endpoint, Example};
use crate::domain::audit::{self, Filter, TargetFilter, TargetKind};
use crate::domain::job_run::{self, JobName, JobOutcome};
use crate::domain::parked_usage::{self, Selection};
use crate::domain::{LINE_PATTERN, MAX_REASON};
use crate::error::Error;
use crate::services::change::Requested;
use crate::services::manage::{
    self, ListAuditEntries, ListDeadLetters, ListJobRuns, ListParkedEvents, ManageService,
    RetryParkedEvents,
};

/// Lists audit entries, newest first.
#[derive(Debug)]
pub struct AuditEntries;

impl Endpoint for AuditEntries {
    type Service = ManageService;
    type Input = ListAuditEntries;
    const PATH: &'static str = "/v1/admin/audit-entries";
    const RULE_PRIORITY: u16 = 240;
    const SUMMARY: &'static str = "List audit entries";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional("actor", "Return only actions of this caller.", Kind::Uuid),
        Parameter::optional(
            "action",
            "Return only actions with this name, such as `AdjustQuota`.",
            Kind::Action,
        ),
        Parameter::optional(
            "target_kind",
            "Return only actions on the object of this kind with the id `target_id`.",
            Kind::OneOf(TargetKind::VARIANTS),
        ),
        Parameter::optional(
            "target_id",
            "Return only actions on the object with this id. Requires `target_kind`.",
            Kind::TargetId,
        ),
        Parameter::optional(
            "start",
            "Return only actions at or after this time.",
            Kind::Time,
        ),
        Parameter::optional("end", "Return only actions before this time.", Kind::Time),
        Parameter::optional(
            "older_than",
            "Return only entries that are older than the entry with this id.",
            LONG_ID,
        ),
        Parameter::limit(audit::PAGES),
        Parameter::offset(audit::PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "entries",
        header: "id,created_at,actor_user_id,request_id,action,target_kind,target_id,before,after,\
            reason",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListAuditEntries, Error> {
        let filter = Filter {
            actor: request.get("actor")?,
            action: request.text("action").map(audit::action).transpose()?,
            target: TargetFilter::parse(request.text("target_kind"), request.text("target_id"))?,
            start: request.time("start")?,
            end: request.time("end")?,
            older_than: request.get("older_than")?,
        };
        Ok(ListAuditEntries {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            filter,
        })
    }
}

/// Lists the runs of scheduled jobs, newest first, and the newest runs of each job.
#[derive(Debug)]
pub struct JobRuns;

impl Endpoint for JobRuns {
    type Service = ManageService;
    type Input = ListJobRuns;
    const PATH: &'static str = "/v1/admin/job-runs";
    const RULE_PRIORITY: u16 = 213;
    const SUMMARY: &'static str = "List runs of jobs";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "job",
            "Return only runs of this job.",
            Kind::OneOf(JobName::VARIANTS),
        ),
        Parameter::optional(
            "outcome",
            "Return only runs that ended in this way.",
            Kind::OneOf(JobOutcome::VARIANTS),
        ),
        Parameter::optional(
            "start",
            "Return only runs that started at or after this time.",
            Kind::Time,
        ),
        Parameter::optional(
            "end",
            "Return only runs that started before this time.",
            Kind::Time,
        ),
        Parameter::limit(job_run::PAGES),
        Parameter::offset(job_run::PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "runs",
        header: "id,job,request_id,started_at,ended_at,duration_milliseconds,outcome,error_code,\
            counts,lag_seconds",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListJobRuns, Error> {
        Ok(ListJobRuns {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            filter: job_run::Filter {
                job: request.one_of("job")?,
                outcome: request.one_of("outcome")?,
                start: request.time("start")?,
                end: request.time("end")?,
            },
        })
    }
}

/// Returns how many messages wait in dead-letter queues, and why messages failed.
#[derive(Debug)]
pub struct DeadLetters;

impl Endpoint for DeadLetters {
    type Service = ManageService;
    type Input = ListDeadLetters;
    const PATH: &'static str = "/v1/admin/dead-letters";
    const RULE_PRIORITY: u16 = 214;
    const SUMMARY: &'static str = "List dead letters";
    const CSV: Option<Csv> = Some(Csv {
        list: "queues",
        header: "queue,dead_letters,counted_at,error_code,reason,messages,last_message_id,\
            first_failed_at,last_failed_at",
    });

    fn input(_: &ApiRequest<'_>) -> Result<ListDeadLetters, Error> {
        Ok(ListDeadLetters)
    }

    /// One row per queue and error code. A queue without failures has one row.
    fn csv_items(output: &manage::DeadLetters) -> Result<Vec<Value>, Error> {
        let rows = output.queues.iter().flat_map(|queue| {
            let reasons = queue.reasons.iter().map(Some);
            let none = queue.reasons.is_empty().then_some(None);
            reasons.chain(none).map(move |reason| {
                json!({
                    "queue": queue.queue, "dead_letters": queue.dead_letters,
                    "counted_at": queue.counted_at, "failure": reason,
                })
            })
        });
        Ok(rows.collect())
    }
}

/// Lists parked events in the order in which they were parked.
#[derive(Debug)]
pub struct ParkedEvents;

impl Endpoint for ParkedEvents {
    type Service = ManageService;
    type Input = ListParkedEvents;
    const PATH: &'static str = "/v1/admin/parked-events";
    const RULE_PRIORITY: u16 = 242;
    const SUMMARY: &'static str = "List parked events";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "user",
            "Return only parked events of this user.",
            Kind::Uuid,
        ),
        Parameter::limit(parked_usage::PAGES),
        Parameter::offset(parked_usage::PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "events",
        header: "id,user,bucket_start,server_id,node_client_id,raw_upload,raw_download,\
            billed_upload,billed_download,reason,parked_at,attempts,retry_at",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListParkedEvents, Error> {
        Ok(ListParkedEvents {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            user: request.get("user")?,
        })
    }
}

/// Parked events to retry. Exactly one of `ids`, `user` and `all` is given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["ids"], "properties": {
      "ids": { "minItems": 1 }, "user": { "type": "null" }, "all": { "const": false } } },
    { "required": ["user"], "properties": {
      "ids": { "maxItems": 0 }, "user": { "type": "string" }, "all": { "const": false } } },
    { "required": ["all"], "properties": {
      "ids": { "maxItems": 0 }, "user": { "type": "null" }, "all": { "const": true } } },
]))]
pub struct RetryBody {
    /// Ids of the events, at most 1000.
    #[serde(default)]
    #[schemars(length(max = 1_000), inner(range(min = 1, max = i64::MAX)))]
    ids: Vec<i64>,
    /// The user whose events are retried.
    user: Option<Uuid>,
    /// `true`: all events are retried.
    #[serde(default)]
    all: bool,
    /// Reason for the change, 1 to 500 characters. It is stored in the audit log.
    #[schemars(length(min = 1, max = MAX_REASON), regex(pattern = LINE_PATTERN))]
    reason: String,
}

/// Makes parked events due, so that they are retried.
#[derive(Debug)]
pub struct ParkedEventRetry;

impl Endpoint for ParkedEventRetry {
    type Service = ManageService;
    type Input = Requested<RetryParkedEvents>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/admin/parked-events/retry";
    const RULE_PRIORITY: u16 = 241;
    const SUMMARY: &'static str = "Retry parked events";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<RetryBody>);
    const EXAMPLE: Example = Example {
        body: Some(r#"{"ids":[4611686018427387904],"reason":"example"}"#),
        message: r#"{"ids":["4611686018427387904"],"reason":"example"}"#,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let body: RetryBody = request.body()?;
        Ok(request.change(RetryParkedEvents {
            selection: Selection::parse(body.ids, body.user, body.all)?,
            reason: body.reason,
        }))
    }
}
