//! `/v1/admin/node-servers` and what is below it.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use strum::VariantNames;

use super::parameter::{Kind, Parameter, REVEAL_SECRETS};
use super::request::ApiRequest;
use super::{Endpoint, cell, moment};
use crate::domain::node::{NodeServerStatus, NodeServerSummary};
use crate::domain::page::FLEET_PAGES;
use crate::error::Error;
use crate::services::manage::{
    AdminListServers, AdminServers, AdminShowServer, GetNodeServerAvailability, ManageService,
    SetNodeServerMaintenance,
};

/// Node servers by id.
#[derive(Debug)]
pub struct NodeServers;

impl Endpoint for NodeServers {
    type Service = ManageService;
    type Input = AdminListServers;
    const PATH: &'static str = "/v1/admin/node-servers";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "status",
            "Only those in this status.",
            Kind::OneOf(NodeServerStatus::VARIANTS),
        ),
        Parameter::limit(FLEET_PAGES),
        Parameter::offset(FLEET_PAGES),
    ];
    const CSV_COLUMNS: Option<&'static [&'static str]> = Some(&[
        "id",
        "name",
        "compatibility",
        "status",
        "last_online_at",
        "client_count",
        "last_traffic_at",
    ]);

    fn input(request: &ApiRequest<'_>) -> Result<AdminListServers, Error> {
        Ok(AdminListServers {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            filter_status: request.one_of("status")?,
        })
    }

    fn csv_rows(page: &AdminServers) -> Vec<Vec<String>> {
        let row = |server: &NodeServerSummary| {
            vec![
                server.id.to_string(),
                server.name.clone(),
                <&str>::from(server.compatibility).to_owned(),
                <&str>::from(server.status).to_owned(),
                cell(server.last_online_at.map(moment)),
                server.client_count.to_string(),
                cell(server.last_traffic_at.map(moment)),
            ]
        };
        page.servers.iter().map(row).collect()
    }
}

/// All there is about a node server.
#[derive(Debug)]
pub struct NodeServer;

impl Endpoint for NodeServer {
    type Service = ManageService;
    type Input = AdminShowServer;
    const PATH: &'static str = "/v1/admin/node-servers/{id}";
    const PARAMETERS: &'static [Parameter] = &[REVEAL_SECRETS];

    fn input(request: &ApiRequest<'_>) -> Result<AdminShowServer, Error> {
        let reveal_secrets = request.get("reveal_secrets")?.unwrap_or(false);
        Ok(AdminShowServer {
            id: request.id()?,
            reveal_secrets,
            actor: request.actor(),
        })
    }
}

/// How long a node server was in which status.
#[derive(Debug)]
pub struct NodeServerAvailability;

impl Endpoint for NodeServerAvailability {
    type Service = ManageService;
    type Input = GetNodeServerAvailability;
    const PATH: &'static str = "/v1/admin/node-servers/{id}/availability";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "start",
            "From when on. Default: 24 hours before `end`.",
            Kind::Time,
        ),
        Parameter::optional(
            "end",
            "Until before when. Default: now. At most 92 days after `start`; what is still to \
             come is left out.",
            Kind::Time,
        ),
    ];

    fn input(request: &ApiRequest<'_>) -> Result<GetNodeServerAvailability, Error> {
        Ok(GetNodeServerAvailability {
            id: request.id()?,
            start: request.time("start")?,
            end: request.time("end")?,
        })
    }
}

/// What to do about a server's maintenance.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceBody {
    /// Out of service, or back.
    maintenance: bool,
    /// Why: 1 to 500 characters, kept in the log.
    #[schemars(length(min = 1, max = 500))]
    reason: String,
}

/// Take a node server out of service, or back.
#[derive(Debug)]
pub struct NodeServerMaintenance;

impl Endpoint for NodeServerMaintenance {
    type Service = ManageService;
    type Input = SetNodeServerMaintenance;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/node-servers/{id}/maintenance";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<MaintenanceBody>);

    fn input(request: &ApiRequest<'_>) -> Result<SetNodeServerMaintenance, Error> {
        let MaintenanceBody {
            maintenance,
            reason,
        } = request.body()?;
        Ok(SetNodeServerMaintenance {
            id: request.id()?,
            maintenance,
            reason,
            actor: request.actor(),
        })
    }
}
