//! `/v1/admin/node-servers` and the paths below it.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::Value;
use strum::VariantNames;

use super::packages::ReasonBody;
use super::parameter::{INCLUDE_ARCHIVED, Kind, Parameter, REVEAL_SECRETS};
use super::request::ApiRequest;
use super::{Csv, Endpoint, Example, Output, PATCH_OF_UNKNOWN_NODE, merge_patch};
use crate::domain::node::{NodeServerDetails, NodeServerStatus};
use crate::domain::node_settings::NodeServerSettings;
use crate::domain::page::FLEET_PAGES;
use crate::domain::{LINE_PATTERN, MAX_REASON};
use crate::error::Error;
use crate::services::change::Requested;
use crate::services::manage::{
    AdminListServers, AdminShowServer, ArchiveNodeServer, CreateNodeServer,
    GetNodeServerAvailability, GetNodeServerMetrics, ManageService, Patch,
    SetNodeServerMaintenance, UpdateNodeServer,
};

/// Lists node servers by id.
#[derive(Debug)]
pub struct NodeServers;

impl Endpoint for NodeServers {
    type Service = ManageService;
    type Input = AdminListServers;
    const PATH: &'static str = "/v1/admin/node-servers";
    const RULE_PRIORITY: u16 = 140;
    const SUMMARY: &'static str = "List node servers";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "status",
            "Return only node servers in this status.",
            Kind::OneOf(NodeServerStatus::VARIANTS),
        ),
        INCLUDE_ARCHIVED,
        Parameter::limit(FLEET_PAGES),
        Parameter::offset(FLEET_PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "servers",
        header: "id,name,compatibility,status,last_online_at,client_count,last_traffic_at,\
            archived_at",
    });

    fn input(request: &ApiRequest<'_>) -> Result<AdminListServers, Error> {
        Ok(AdminListServers {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            filter_status: request.one_of("status")?,
            include_archived: request.get("include_archived")?.unwrap_or(false),
        })
    }
}

/// Returns a node server with its configuration and metrics.
#[derive(Debug)]
pub struct NodeServer;

impl Endpoint for NodeServer {
    type Service = ManageService;
    type Input = AdminShowServer;
    const PATH: &'static str = "/v1/admin/node-servers/{id}";
    const RULE_PRIORITY: u16 = 150;
    const SUMMARY: &'static str = "Show a node server";
    const PARAMETERS: &'static [Parameter] = &[REVEAL_SECRETS];

    fn revision(details: &NodeServerDetails) -> Option<i64> {
        Some(details.revision)
    }

    fn input(request: &ApiRequest<'_>) -> Result<AdminShowServer, Error> {
        let reveal_secrets = request.get("reveal_secrets")?.unwrap_or(false);
        Ok(AdminShowServer {
            id: request.id()?,
            reveal_secrets,
            actor: request.actor(),
        })
    }
}

/// Returns how long a node server was in each status.
#[derive(Debug)]
pub struct NodeServerAvailability;

impl Endpoint for NodeServerAvailability {
    type Service = ManageService;
    type Input = GetNodeServerAvailability;
    const PATH: &'static str = "/v1/admin/node-servers/{id}/availability";
    const RULE_PRIORITY: u16 = 145;
    const SUMMARY: &'static str = "Get a node server's availability";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "start",
            "Start of the range, inclusive. Default: 24 hours before `end`.",
            Kind::Time,
        ),
        Parameter::optional(
            "end",
            "End of the range, exclusive, at most 92 days after `start`. Default: now. The part of \
             the range that is in the future is left out.",
            Kind::Time,
        ),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "",
        header: "id,start,end,online_seconds,offline_seconds,maintenance_seconds,\
            unknown_seconds,availability",
    });

    fn input(request: &ApiRequest<'_>) -> Result<GetNodeServerAvailability, Error> {
        Ok(GetNodeServerAvailability {
            id: request.id()?,
            start: request.time("start")?,
            end: request.time("end")?,
        })
    }

    /// One row, which is the response.
    fn csv_items(output: &Output<Self>) -> Result<Vec<Value>, Error> {
        Ok(vec![serde_json::to_value(output).map_err(Error::internal)?])
    }
}

/// Returns the metrics of a node server per hour.
#[derive(Debug)]
pub struct NodeServerMetrics;

impl Endpoint for NodeServerMetrics {
    type Service = ManageService;
    type Input = GetNodeServerMetrics;
    const PATH: &'static str = "/v1/admin/node-servers/{id}/metrics";
    const RULE_PRIORITY: u16 = 135;
    const SUMMARY: &'static str = "Get a node server's metrics";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "start",
            "Start of the range, inclusive. Default: 24 hours before `end`.",
            Kind::Time,
        ),
        Parameter::optional(
            "end",
            "End of the range, exclusive, at most 92 days after `start`. Default: now.",
            Kind::Time,
        ),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "hours",
        header: "hour,samples,cpu_percent_mean,cpu_percent_max,memory_used_mean,memory_used_max,\
            memory_total,disk_used_mean,disk_used_max,disk_total,load1_mean,load1_max,\
            online_users_mean,online_users_max,upload_rate_mean,upload_rate_max,\
            download_rate_mean,download_rate_max",
    });

    fn input(request: &ApiRequest<'_>) -> Result<GetNodeServerMetrics, Error> {
        Ok(GetNodeServerMetrics {
            id: request.id()?,
            start: request.time("start")?,
            end: request.time("end")?,
        })
    }
}

/// Whether a node server is in maintenance.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceBody {
    /// `true` takes the server out of service. `false` ends the maintenance.
    maintenance: bool,
    /// Reason for the change, 1 to 500 characters. It is stored in the status log.
    #[schemars(length(min = 1, max = MAX_REASON), regex(pattern = LINE_PATTERN))]
    reason: String,
}

/// Starts or ends the maintenance of a node server.
#[derive(Debug)]
pub struct NodeServerMaintenance;

impl Endpoint for NodeServerMaintenance {
    type Service = ManageService;
    type Input = Requested<SetNodeServerMaintenance>;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/node-servers/{id}/maintenance";
    const RULE_PRIORITY: u16 = 146;
    const EXAMPLE: Example = Example {
        body: Some(r#"{"maintenance":false,"reason":"new disk"}"#),
        message: r#"{"maintenance":false,"reason":"new disk"}"#,
        ..Example::DEFAULT
    };
    const SUMMARY: &'static str = "Set a node server's maintenance";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<MaintenanceBody>);

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let MaintenanceBody {
            maintenance,
            reason,
        } = request.body()?;
        Ok(request.change(SetNodeServerMaintenance {
            id: request.id()?,
            maintenance,
            reason,
        }))
    }
}

/// Adds a node server.
#[derive(Debug)]
pub struct NewNodeServer;

impl Endpoint for NewNodeServer {
    type Service = ManageService;
    type Input = Requested<CreateNodeServer>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = NodeServers::PATH;
    const RULE_PRIORITY: u16 = 139;
    const SUMMARY: &'static str = "Create a node server";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<NodeServerSettings>);
    const EXAMPLE: Example = Example {
        body: Some(r#"{"name":"example","compatibility":"ssp","server_config":{"server":1}}"#),
        message: r#"{"name":"example","compatibility":"NODE_SERVER_COMPATIBILITY_SSP",
            "server_config":{"server":1}}"#,
        status: 400,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let settings = request.body()?;
        Ok(request.change(CreateNodeServer { settings }))
    }
}

/// Changes the settings of a node server.
#[derive(Debug)]
pub struct NodeServerUpdate;

impl Endpoint for NodeServerUpdate {
    type Service = ManageService;
    type Input = Requested<UpdateNodeServer>;
    const METHOD: Method = Method::PATCH;
    const PATH: &'static str = NodeServer::PATH;
    const RULE_PRIORITY: u16 = 149;
    const SUMMARY: &'static str = "Update a node server";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(merge_patch::<NodeServerSettings>);
    const EXAMPLE: Example = PATCH_OF_UNKNOWN_NODE;

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let patch = Patch(request.body()?);
        let id = request.id()?;
        Ok(request.change(UpdateNodeServer { id, patch }))
    }
}

/// Takes a node server out of use.
#[derive(Debug)]
pub struct NodeServerArchive;

impl Endpoint for NodeServerArchive {
    type Service = ManageService;
    type Input = Requested<ArchiveNodeServer>;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/node-servers/{id}/archive";
    const RULE_PRIORITY: u16 = 147;
    const SUMMARY: &'static str = "Archive a node server";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> = ReasonBody::SCHEMA;
    const EXAMPLE: Example = ReasonBody::OF_UNKNOWN_NODE;

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let ReasonBody { reason } = request.body()?;
        let id = request.id()?;
        Ok(request.change(ArchiveNodeServer { id, reason }))
    }
}
