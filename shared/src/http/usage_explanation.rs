//! How billed usage came about, and its corrections: `/v1/admin/usage-explanation`,
//! `/v1/admin/package-queue/{id}/usage-explanation` and `/v1/admin/usage-corrections`.

use chrono::{DateTime, Utc};
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use uuid::Uuid;

use super::parameter::{Kind, LONG_ID, Parameter, UNKNOWN_ID};
use super::request::ApiRequest;
use super::{Csv, Endpoint, Example};
use crate::domain::time_range::YEAR_PATTERN;
use crate::domain::traffic::MAX_CHARGE_BYTES;
use crate::domain::usage_explanation::{CORRECTION_PAGES, PAGES};
use crate::domain::{LINE_PATTERN, MAX_NODE_ID, MAX_REASON};
use crate::error::Error;
use crate::services::change::Requested;
use crate::services::manage::{
    CorrectUsage, ExplainPackageUsage, ExplainUsage, ListUsageCorrections, ManageService,
};

/// Shows how the usage of a user's hour came about: which billing runs billed which lines of which
/// reports, by which factors, and what was corrected.
#[derive(Debug)]
pub struct HourExplanation;

impl Endpoint for HourExplanation {
    type Service = ManageService;
    type Input = ExplainUsage;
    const PATH: &'static str = "/v1/admin/usage-explanation";
    const RULE_PRIORITY: u16 = 266;
    const SUMMARY: &'static str = "Explain the usage of a user's hour";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required("user", "The user.", Kind::Uuid),
        Parameter::required("hour", "A time in the UTC hour.", Kind::Time),
        Parameter::limit(PAGES),
        Parameter::offset(PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "parts",
        header: "billing_run_id,server_id,node_client_id,node_client_name,raw_upload,raw_download,\
                 billed_upload,billed_download,exact_upload,exact_download,line_count",
    });
    const EXAMPLE: Example = Example {
        query: "user=00000000-0000-4000-8000-0000000000aa&hour=2026-01-01T00:00:00Z",
        message: r#"{"user":"00000000-0000-4000-8000-0000000000aa",
            "hour":"2026-01-01T00:00:00Z"}"#,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<ExplainUsage, Error> {
        let user = request.get("user")?;
        let hour = request.time("hour")?;
        Ok(ExplainUsage {
            user: user.ok_or_else(|| Error::parameter("user", "a UUID"))?,
            hour: hour.ok_or_else(|| Error::parameter("hour", "a timestamp"))?,
            limit: request.get("limit")?,
            offset: request.get("offset")?,
        })
    }
}

/// Shows how the counters of a package item came about, by hour and node client.
#[derive(Debug)]
pub struct PackageExplanation;

impl Endpoint for PackageExplanation {
    type Service = ManageService;
    type Input = ExplainPackageUsage;
    const PATH: &'static str = "/v1/admin/package-queue/{id}/usage-explanation";
    const ID: Kind = LONG_ID;
    const RULE_PRIORITY: u16 = 267;
    const SUMMARY: &'static str = "Explain the counters of a package";
    const PARAMETERS: &'static [Parameter] = &[Parameter::limit(PAGES), Parameter::offset(PAGES)];
    const CSV: Option<Csv> = Some(Csv {
        list: "usage",
        header: "hour,server_id,node_client_id,node_client_name,package_queue_id,raw_upload,\
                 raw_download,billed_upload,billed_download,corrected_upload,corrected_download",
    });
    const EXAMPLE: Example = Example {
        id: Some(UNKNOWN_ID),
        status: 404,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<ExplainPackageUsage, Error> {
        Ok(ExplainPackageUsage {
            id: request.id()?,
            limit: request.get("limit")?,
            offset: request.get("offset")?,
        })
    }
}

/// Which usage to correct, and by how many bytes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectionBody {
    /// Id of the user.
    user: Uuid,
    /// A time in the UTC hour whose usage is corrected.
    #[schemars(regex(pattern = YEAR_PATTERN))]
    hour: DateTime<Utc>,
    /// Id of the node server that carried the traffic.
    #[schemars(range(min = 1, max = MAX_NODE_ID))]
    server_id: i32,
    /// Id of the node client that carried the traffic. Absent if it is unknown.
    #[schemars(range(min = 1, max = MAX_NODE_ID))]
    node_client_id: Option<i32>,
    /// Id of the package item that is charged. Absent if the usage is charged to no item.
    #[schemars(range(min = 1))]
    package_queue_id: Option<i64>,
    /// Bytes to add to those billed for upload. Negative to bill less. Default: 0.
    #[schemars(range(min = -MAX_CHARGE_BYTES, max = MAX_CHARGE_BYTES))]
    #[serde(default)]
    billed_upload: i64,
    /// Bytes to add to those billed for download. Negative to bill less. Default: 0.
    #[schemars(range(min = -MAX_CHARGE_BYTES, max = MAX_CHARGE_BYTES))]
    #[serde(default)]
    billed_download: i64,
    /// Reason for the correction, 1 to 500 characters. It is stored with it, and in the audit log.
    #[schemars(length(min = 1, max = MAX_REASON), regex(pattern = LINE_PATTERN))]
    reason: String,
}

/// Adds signed bytes to what a user is billed for an hour. The reports stay as they are.
#[derive(Debug)]
pub struct Corrections;

impl Endpoint for Corrections {
    type Service = ManageService;
    type Input = Requested<CorrectUsage>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/admin/usage-corrections";
    const RULE_PRIORITY: u16 = 268;
    const SUMMARY: &'static str = "Correct the usage of a user's hour";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<CorrectionBody>);
    const EXAMPLE: Example = Example {
        body: Some(
            r#"{"user":"00000000-0000-4000-8000-0000000000aa","hour":"2026-01-01T00:00:00Z",
                "server_id":1,"billed_download":1048576,"reason":"example"}"#,
        ),
        message: r#"{"user":"00000000-0000-4000-8000-0000000000aa",
            "hour":"2026-01-01T00:00:00Z","server_id":1,"billed_download":"1048576",
            "reason":"example"}"#,
        status: 400,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let body: CorrectionBody = request.body()?;
        Ok(request.change(CorrectUsage {
            user: body.user,
            hour: body.hour,
            server_id: body.server_id,
            node_client_id: body.node_client_id,
            package_queue_id: body.package_queue_id,
            billed_upload: body.billed_upload,
            billed_download: body.billed_download,
            reason: body.reason,
        }))
    }
}

/// Lists corrections, newest first.
#[derive(Debug)]
pub struct ListedCorrections;

impl Endpoint for ListedCorrections {
    type Service = ManageService;
    type Input = ListUsageCorrections;
    const PATH: &'static str = "/v1/admin/usage-corrections";
    const RULE_PRIORITY: u16 = 280;
    const SUMMARY: &'static str = "List corrections of usage";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional("user", "Return only corrections of this user.", Kind::Uuid),
        Parameter::limit(CORRECTION_PAGES),
        Parameter::offset(CORRECTION_PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "corrections",
        header: "id,user,hour,server_id,node_client_id,package_queue_id,billed_upload,\
            billed_download,corrected_at,actor,reason",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListUsageCorrections, Error> {
        Ok(ListUsageCorrections {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            user: request.get("user")?,
        })
    }
}
