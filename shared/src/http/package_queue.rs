//! `GET /v1/packages`, `/v1/admin/package-queue` and the paths below it.

use chrono::{DateTime, Utc};
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use strum::VariantNames;
use uuid::Uuid;

use super::packages::ReasonBody;
use super::parameter::{Kind, LONG_ID, Parameter, UNKNOWN_ID};
use super::request::ApiRequest;
use super::{Csv, Endpoint, Example};
use crate::domain::package_version::MAX_TRAFFIC_BYTES;
use crate::domain::queued_package::{Filter, PAGES, PackageQueueStatus};
use crate::domain::time_range::YEAR_PATTERN;
use crate::domain::{LINE_PATTERN, MAX_REASON};
use crate::error::Error;
use crate::services::analysis::{AnalysisService, ListUserPackages};
use crate::services::change::Requested;
use crate::services::manage::{
    AdjustQuota, AdminListPackages, CancelQueuedPackage, CountQueuedPackages, ExtendPackages,
    ManageService, SetPackageEnd,
};

/// Counts package items by series and status.
#[derive(Debug)]
pub struct PackageQueueCounts;

impl Endpoint for PackageQueueCounts {
    type Service = ManageService;
    type Input = CountQueuedPackages;
    const PATH: &'static str = "/v1/admin/package-queue/counts";
    const RULE_PRIORITY: u16 = 180;
    const SUMMARY: &'static str = "Count queued packages";
    const CSV: Option<Csv> = Some(Csv {
        list: "series",
        header: "series,name,in_queue,active,consumed,cancelled,total",
    });

    fn input(_: &ApiRequest<'_>) -> Result<CountQueuedPackages, Error> {
        Ok(CountQueuedPackages)
    }
}

const STATUS: Parameter = Parameter::optional(
    "status",
    "Return only package items in this status.",
    Kind::OneOf(PackageQueueStatus::VARIANTS),
);
/// The table of a list of package items.
const PACKAGES: Csv = Csv {
    list: "packages",
    header: "id,user,order,package_id,package_name,series,version,status,upload,download,used,\
        quota,quota_left,adjust_quota,created_at,activated_at,expires_at,extended_seconds,\
        ended_at,end_reason",
};

/// Lists package items, newest first.
#[derive(Debug)]
pub struct PackageQueue;

impl Endpoint for PackageQueue {
    type Service = ManageService;
    type Input = AdminListPackages;
    const PATH: &'static str = "/v1/admin/package-queue";
    const RULE_PRIORITY: u16 = 190;
    const SUMMARY: &'static str = "List queued packages";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "user",
            "Return only package items of this user.",
            Kind::Uuid,
        ),
        Parameter::optional(
            "order",
            "Return only package items bought by this order.",
            Kind::Uuid,
        ),
        Parameter::optional("package", "Return only items of this package.", LONG_ID),
        STATUS,
        Parameter::limit(PAGES),
        Parameter::offset(PAGES),
    ];
    const CSV: Option<Csv> = Some(PACKAGES);

    fn input(request: &ApiRequest<'_>) -> Result<AdminListPackages, Error> {
        let filter = Filter {
            user: request.get("user")?,
            order: request.get("order")?,
            package: request.get("package")?,
            status: request.one_of("status")?,
        };
        Ok(AdminListPackages {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            filter,
        })
    }
}

/// Lists the user's packages: waiting, active and ended ones, newest first.
#[derive(Debug)]
pub struct Packages;

impl Endpoint for Packages {
    type Service = AnalysisService;
    type Input = ListUserPackages;
    const PATH: &'static str = "/v1/packages";
    const RULE_PRIORITY: u16 = 132;
    const SUMMARY: &'static str = "List packages";
    const PARAMETERS: &'static [Parameter] =
        &[STATUS, Parameter::limit(PAGES), Parameter::offset(PAGES)];
    const CSV: Option<Csv> = Some(PACKAGES);

    fn input(request: &ApiRequest<'_>) -> Result<ListUserPackages, Error> {
        Ok(ListUserPackages {
            user_id: request.user_id(),
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            status: request.one_of("status")?,
        })
    }
}

/// Cancels a package item.
#[derive(Debug)]
pub struct PackageCancellation;

impl Endpoint for PackageCancellation {
    type Service = ManageService;
    type Input = Requested<CancelQueuedPackage>;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/package-queue/{id}/cancellation";
    const ID: Kind = LONG_ID;
    const RULE_PRIORITY: u16 = 184;
    const SUMMARY: &'static str = "Cancel a queued package";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> = ReasonBody::SCHEMA;
    const EXAMPLE: Example = ReasonBody::OF_UNKNOWN_ID;

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let ReasonBody { reason } = request.body()?;
        let id = request.id()?;
        Ok(request.change(CancelQueuedPackage { id, reason }))
    }
}

/// By how much a quota changes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustmentBody {
    /// Bytes to add to the quota. Negative to lower it. Not 0.
    #[schemars(range(min = -MAX_TRAFFIC_BYTES, max = MAX_TRAFFIC_BYTES))]
    #[schemars(extend("not" = { "const": 0 }))]
    bytes: i64,
    /// Reason for the change, 1 to 500 characters. It is stored in the audit log.
    #[schemars(length(min = 1, max = MAX_REASON), regex(pattern = LINE_PATTERN))]
    reason: String,
}

/// Raises or lowers the quota of a package item.
#[derive(Debug)]
pub struct QuotaAdjustments;

impl Endpoint for QuotaAdjustments {
    type Service = ManageService;
    type Input = Requested<AdjustQuota>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/admin/package-queue/{id}/quota-adjustments";
    const ID: Kind = LONG_ID;
    const RULE_PRIORITY: u16 = 186;
    const SUMMARY: &'static str = "Adjust a quota";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<AdjustmentBody>);
    const EXAMPLE: Example = Example {
        body: Some(r#"{"bytes":1073741824,"reason":"example"}"#),
        message: r#"{"bytes":"1073741824","reason":"example"}"#,
        id: Some(UNKNOWN_ID),
        status: 404,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let AdjustmentBody { bytes, reason } = request.body()?;
        let id = request.id()?;
        Ok(request.change(AdjustQuota { id, bytes, reason }))
    }
}

/// When a package item ends.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndBody {
    /// The new end: in the future, and at most 100 years after the activation of the item.
    #[schemars(regex(pattern = YEAR_PATTERN))]
    expires_at: DateTime<Utc>,
    /// Reason for the change, 1 to 500 characters. It is stored in the audit log.
    #[schemars(length(min = 1, max = MAX_REASON), regex(pattern = LINE_PATTERN))]
    reason: String,
}

/// Sets when the time of an active package item ends.
#[derive(Debug)]
pub struct PackageEnd;

impl Endpoint for PackageEnd {
    type Service = ManageService;
    type Input = Requested<SetPackageEnd>;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/package-queue/{id}/end";
    const ID: Kind = LONG_ID;
    const RULE_PRIORITY: u16 = 188;
    const SUMMARY: &'static str = "Set the end of a package";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<EndBody>);
    const EXAMPLE: Example = Example {
        body: Some(r#"{"expires_at":"2100-01-01T00:00:00Z","reason":"example"}"#),
        message: r#"{"expires_at":"2100-01-01T00:00:00Z","reason":"example"}"#,
        id: Some(UNKNOWN_ID),
        status: 404,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let EndBody { expires_at, reason } = request.body()?;
        let id = request.id()?;
        Ok(request.change(SetPackageEnd {
            id,
            expires_at: Some(expires_at),
            reason,
        }))
    }
}

/// Which packages get more time, and how much.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["available_group"],
      "properties": { "available_group": { "type": "integer" }, "series": { "type": "null" } } },
    { "required": ["series"],
      "properties": { "available_group": { "type": "null" }, "series": { "type": "string" } } },
]))]
pub struct ExtensionBody {
    /// Extends the items of the packages of this access group. Exactly one of this and `series` is
    /// given.
    #[schemars(range(min = 0, max = i32::MAX))]
    available_group: Option<i32>,
    /// Extends the items of all versions of this series.
    series: Option<Uuid>,
    /// Hours to add to the time of each active item, at most a year.
    #[schemars(range(min = 1, max = 8_760))]
    hours: i32,
    /// Reason for the change, 1 to 500 characters. It is stored in the audit log.
    #[schemars(length(min = 1, max = MAX_REASON), regex(pattern = LINE_PATTERN))]
    reason: String,
    /// `true`: the items are only counted, and nothing is changed.
    #[serde(default)]
    dry_run: bool,
}

/// Adds hours to the time of all active items of an access group or of a series.
#[derive(Debug)]
pub struct PackageExtensions;

impl Endpoint for PackageExtensions {
    type Service = ManageService;
    type Input = Requested<ExtendPackages>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/admin/package-queue/extensions";
    const RULE_PRIORITY: u16 = 182;
    const SUMMARY: &'static str = "Extend packages";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<ExtensionBody>);
    const EXAMPLE: Example = Example {
        body: Some(
            r#"{"series":"00000000-0000-4000-8000-0000000000bb","hours":24,"reason":"example",
                "dry_run":true}"#,
        ),
        message: r#"{"series":"00000000-0000-4000-8000-0000000000bb","hours":24,"reason":"example",
            "dry_run":true}"#,
        status: 404,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let body: ExtensionBody = request.body()?;
        Ok(request.change(ExtendPackages {
            available_group: body.available_group,
            series: body.series,
            hours: body.hours,
            reason: body.reason,
            dry_run: body.dry_run,
        }))
    }
}
