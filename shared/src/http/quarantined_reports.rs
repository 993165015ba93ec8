//! `/v1/admin/quarantined-reports` and the path below it.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use strum::VariantNames;

use super::packages::ReasonBody;
use super::parameter::{ID, Kind, LONG_ID, Parameter};
use super::request::ApiRequest;
use super::{Csv, Endpoint, Example};
use crate::domain::quarantine::{Filter, PAGES, QuarantineReason, QuarantineState};
use crate::domain::{LINE_PATTERN, MAX_REASON};
use crate::error::Error;
use crate::services::change::Requested;
use crate::services::manage::{ListQuarantinedReports, ManageService, ReleaseQuarantinedReport};

/// Lists reports with usage that waits for a release, or was released, newest first.
#[derive(Debug)]
pub struct QuarantinedReports;

impl Endpoint for QuarantinedReports {
    type Service = ManageService;
    type Input = ListQuarantinedReports;
    const PATH: &'static str = "/v1/admin/quarantined-reports";
    const RULE_PRIORITY: u16 = 271;
    const SUMMARY: &'static str = "List reports in quarantine";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional("server_id", "Return only reports of this node server.", ID),
        Parameter::optional(
            "reason",
            "Return only reports that are in quarantine for this reason.",
            Kind::OneOf(QuarantineReason::VARIANTS),
        ),
        Parameter::optional(
            "state",
            "Return only reports that wait, or only those that are released.",
            Kind::OneOf(QuarantineState::VARIANTS),
        ),
        Parameter::limit(PAGES),
        Parameter::offset(PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "reports",
        header: "id,report_id,server_id,sender_id,period_start,period_end,received_at,reason,\
            lines,lines_without_factor,upload,download,released_at,released_by,release_reason",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListQuarantinedReports, Error> {
        Ok(ListQuarantinedReports {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            filter: Filter {
                server_id: request.get("server_id")?,
                reason: request.one_of("reason")?,
                state: request.one_of("state")?,
            },
        })
    }
}

/// How the lines of a quarantined report are billed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseBody {
    /// Bytes charged per byte carried for the lines whose client the server did not have, 0 to 100,
    /// with up to four decimal places. Required if and only if there are such lines.
    #[schemars(range(min = 0, max = 100))]
    factor: Option<f64>,
    /// Reason for the release, 1 to 500 characters. It is stored with it, and in the audit log.
    #[schemars(length(min = 1, max = MAX_REASON), regex(pattern = LINE_PATTERN))]
    reason: String,
}

/// Lets the quarantined lines of a report be billed.
#[derive(Debug)]
pub struct Release;

impl Endpoint for Release {
    type Service = ManageService;
    type Input = Requested<ReleaseQuarantinedReport>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/admin/quarantined-reports/{id}/release";
    const ID: Kind = LONG_ID;
    const RULE_PRIORITY: u16 = 272;
    const SUMMARY: &'static str = "Release a report in quarantine";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<ReleaseBody>);
    const EXAMPLE: Example = ReasonBody::OF_UNKNOWN_ID;

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let ReleaseBody { factor, reason } = request.body()?;
        let id = request.id()?;
        Ok(request.change(ReleaseQuarantinedReport { id, factor, reason }))
    }
}
