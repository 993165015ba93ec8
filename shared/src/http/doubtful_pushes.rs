//! `/v1/admin/doubtful-pushes` and the path below it.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use strum::VariantNames;

use super::parameter::{ID, Kind, LONG_ID, Parameter, UNKNOWN_ID};
use super::request::ApiRequest;
use super::{Csv, Endpoint, Example};
use crate::domain::doubtful_push::{DoubtState, Filter, PAGES, PushDoubt};
use crate::domain::{LINE_PATTERN, MAX_REASON};
use crate::error::Error;
use crate::services::change::Requested;
use crate::services::manage::{DecideDoubtfulPush, ListDoubtfulPushes, ManageService, PushRemedy};

/// Lists pushes of node software that may have billed too much or too little, newest first.
#[derive(Debug)]
pub struct DoubtfulPushes;

impl Endpoint for DoubtfulPushes {
    type Service = ManageService;
    type Input = ListDoubtfulPushes;
    const PATH: &'static str = "/v1/admin/doubtful-pushes";
    const RULE_PRIORITY: u16 = 244;
    const SUMMARY: &'static str = "List doubtful pushes";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional("server_id", "Return only pushes of this node server.", ID),
        Parameter::optional(
            "node_client_id",
            "Return only pushes of this node client.",
            ID,
        ),
        Parameter::optional(
            "doubt",
            "Return only pushes with this doubt.",
            Kind::OneOf(PushDoubt::VARIANTS),
        ),
        Parameter::optional(
            "state",
            "Return only pushes that are open, or only those that are decided.",
            Kind::OneOf(DoubtState::VARIANTS),
        ),
        Parameter::limit(PAGES),
        Parameter::offset(PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "pushes",
        header: "id,doubt,evidence,push_id,previous_push_id,access_id,server_id,node_client_id,\
            arrived_at,users,bytes,billed,unreadable_rows,unreadable,decision,decided_at",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListDoubtfulPushes, Error> {
        Ok(ListDoubtfulPushes {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            filter: Filter {
                server_id: request.get("server_id")?,
                node_client_id: request.get("node_client_id")?,
                doubt: request.one_of("doubt")?,
                state: request.one_of("state")?,
            },
        })
    }
}

/// What to do about a doubtful push.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionBody {
    /// `keep`: what is billed stays. `correct`: what was billed twice is given back.
    decision: PushRemedy,
    /// Reason for the decision, 1 to 500 characters. It is stored in the audit log.
    #[schemars(length(min = 1, max = MAX_REASON), regex(pattern = LINE_PATTERN))]
    reason: String,
}

/// Decides whether what a doubtful push billed stays, or is given back.
#[derive(Debug)]
pub struct PushDecision;

impl Endpoint for PushDecision {
    type Service = ManageService;
    type Input = Requested<DecideDoubtfulPush>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/admin/doubtful-pushes/{id}/decision";
    const ID: Kind = LONG_ID;
    const RULE_PRIORITY: u16 = 245;
    const SUMMARY: &'static str = "Decide about a doubtful push";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<DecisionBody>);
    const EXAMPLE: Example = Example {
        body: Some(r#"{"decision":"keep","reason":"example"}"#),
        message: r#"{"decision":"PUSH_REMEDY_KEEP","reason":"example"}"#,
        id: Some(UNKNOWN_ID),
        status: 404,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let DecisionBody { decision, reason } = request.body()?;
        let id = request.id()?;
        Ok(request.change(DecideDoubtfulPush {
            id,
            decision,
            reason,
        }))
    }
}
