//! `/v1/admin/package-series`, `/v1/admin/packages` and the paths below it.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::parameter::{Kind, LONG_ID, Parameter, UNKNOWN_ID, UNKNOWN_NODE};
use super::request::ApiRequest;
use super::{Csv, Endpoint, Example, Output};
use crate::domain::package_version::{
    MAX_DURATION_SECONDS, MAX_NAME, MAX_TRAFFIC_BYTES, SERIES_PAGES,
};
use crate::domain::{LINE_PATTERN, MAX_REASON};
use crate::error::Error;
use crate::services::change::Requested;
use crate::services::manage::{
    CreatePackage, ListPackageSeries, ManageService, RetirePackage, SetMasterPackage, ShowPackage,
};

/// Lists package series with their versions.
#[derive(Debug)]
pub struct PackageSeries;

impl Endpoint for PackageSeries {
    type Service = ManageService;
    type Input = ListPackageSeries;
    const PATH: &'static str = "/v1/admin/package-series";
    const RULE_PRIORITY: u16 = 200;
    const SUMMARY: &'static str = "List package series";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::limit(SERIES_PAGES),
        Parameter::offset(SERIES_PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "series",
        header: "id,series,version,is_master,name,available_group,max_client_number,\
                 duration_seconds,traffic_limit,created_at,retired_at",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListPackageSeries, Error> {
        Ok(ListPackageSeries {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
        })
    }

    /// One row per version.
    fn csv_items(page: &Output<Self>) -> Result<Vec<Value>, Error> {
        let versions = page.series.iter().flat_map(|series| &series.versions);
        versions
            .map(|version| serde_json::to_value(version).map_err(Error::internal))
            .collect()
    }
}

/// A package to create.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["traffic_limit"],
      "properties": { "traffic_limit": { "type": "integer" }, "unlimited": { "const": false } } },
    { "required": ["unlimited"],
      "properties": { "traffic_limit": { "type": "null" }, "unlimited": { "const": true } } },
]))]
pub struct PackageBody {
    /// Id of the series that gets a new version. Absent: a new series begins.
    series: Option<Uuid>,
    /// Name of the package.
    #[schemars(length(min = 1, max = MAX_NAME), regex(pattern = LINE_PATTERN))]
    name: String,
    /// Access group of the node clients that the package opens.
    #[schemars(range(min = 0, max = i32::MAX))]
    available_group: i32,
    /// Number of devices that may connect at the same time.
    #[schemars(range(min = 1, max = i32::MAX))]
    max_client_number: i32,
    /// Time from activation to expiry, in seconds, at most 100 years.
    #[schemars(range(min = 1, max = MAX_DURATION_SECONDS))]
    duration_seconds: i64,
    /// Traffic limit in bytes, at most 1 EiB. Exactly one of this and `unlimited` is given.
    #[schemars(range(min = 0, max = MAX_TRAFFIC_BYTES))]
    traffic_limit: Option<i64>,
    /// `true`: the traffic is unlimited.
    #[serde(default)]
    unlimited: bool,
    /// `true`: orders of the series deliver this version from now on. The first version of a series
    /// is always its master.
    #[serde(default)]
    make_master: bool,
}

/// Creates a package: a new series, or the next version of one.
#[derive(Debug)]
pub struct NewPackage;

impl Endpoint for NewPackage {
    type Service = ManageService;
    type Input = Requested<CreatePackage>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/admin/packages";
    const RULE_PRIORITY: u16 = 202;
    const SUMMARY: &'static str = "Create a package";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<PackageBody>);
    const EXAMPLE: Example = Example {
        body: Some(
            r#"{"name":"Example","available_group":99,"max_client_number":3,
                "duration_seconds":2592000,"traffic_limit":107374182400}"#,
        ),
        message: r#"{"name":"Example","available_group":99,"max_client_number":3,
            "duration_seconds":"2592000","traffic_limit":"107374182400"}"#,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let body: PackageBody = request.body()?;
        Ok(request.change(CreatePackage {
            series: body.series,
            name: body.name,
            available_group: body.available_group,
            max_client_number: body.max_client_number,
            duration_seconds: body.duration_seconds,
            traffic_limit: body.traffic_limit,
            unlimited: body.unlimited,
            make_master: body.make_master,
        }))
    }
}

/// Returns one version of a package series.
#[derive(Debug)]
pub struct Package;

impl Endpoint for Package {
    type Service = ManageService;
    type Input = ShowPackage;
    const PATH: &'static str = "/v1/admin/packages/{id}";
    const ID: Kind = LONG_ID;
    const RULE_PRIORITY: u16 = 206;
    const SUMMARY: &'static str = "Show a package";
    const EXAMPLE: Example = Example {
        id: Some(UNKNOWN_ID),
        status: 404,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<ShowPackage, Error> {
        Ok(ShowPackage { id: request.id()? })
    }
}

/// Why a change is made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonBody {
    /// Reason for the change, 1 to 500 characters. It is stored in the audit log.
    #[schemars(length(min = 1, max = MAX_REASON), regex(pattern = LINE_PATTERN))]
    pub(super) reason: String,
}

impl ReasonBody {
    pub(super) const SCHEMA: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<Self>);
    pub(super) const EXAMPLE: &'static str = r#"{"reason":"example"}"#;
    /// Like [`Self::OF_UNKNOWN_ID`], for a node server or a node client.
    pub(super) const OF_UNKNOWN_NODE: Example = Example {
        id: Some(UNKNOWN_NODE),
        ..Self::OF_UNKNOWN_ID
    };
    /// The example of a change that would change what the demo uses.
    pub(super) const OF_UNKNOWN_ID: Example = Example {
        body: Some(Self::EXAMPLE),
        message: Self::EXAMPLE,
        id: Some(UNKNOWN_ID),
        status: 404,
        ..Example::DEFAULT
    };
}

/// Selects the version that orders of the series deliver.
#[derive(Debug)]
pub struct PackageMaster;

impl Endpoint for PackageMaster {
    type Service = ManageService;
    type Input = Requested<SetMasterPackage>;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/packages/{id}/master";
    const ID: Kind = LONG_ID;
    const RULE_PRIORITY: u16 = 203;
    const SUMMARY: &'static str = "Make a package the master of its series";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> = ReasonBody::SCHEMA;
    const EXAMPLE: Example = ReasonBody::OF_UNKNOWN_ID;

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let ReasonBody { reason } = request.body()?;
        let id = request.id()?;
        Ok(request.change(SetMasterPackage { id, reason }))
    }
}

/// Ends the sale of a package.
#[derive(Debug)]
pub struct PackageRetirement;

impl Endpoint for PackageRetirement {
    type Service = ManageService;
    type Input = Requested<RetirePackage>;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/packages/{id}/retirement";
    const ID: Kind = LONG_ID;
    const RULE_PRIORITY: u16 = 204;
    const SUMMARY: &'static str = "Retire a package";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> = ReasonBody::SCHEMA;
    const EXAMPLE: Example = ReasonBody::OF_UNKNOWN_ID;

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let ReasonBody { reason } = request.body()?;
        let id = request.id()?;
        Ok(request.change(RetirePackage { id, reason }))
    }
}
