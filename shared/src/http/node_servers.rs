//! `GET /v1/admin/node-servers` and `GET /v1/admin/node-servers/{id}`.

use strum::VariantNames;

use super::parameter::{Kind, Parameter, REVEAL_SECRETS};
use super::request::ApiRequest;
use super::{Endpoint, cell, moment};
use crate::domain::node::{NodeServerStatus, NodeServerSummary};
use crate::domain::page::FLEET_PAGES;
use crate::error::Error;
use crate::services::manage::{AdminListServers, AdminServers, AdminShowServer, ManageService};

/// Node servers by id.
#[derive(Debug)]
pub struct NodeServers;

impl Endpoint for NodeServers {
    type Service = ManageService;
    type Input = AdminListServers;
    const PATH: &'static str = "/v1/admin/node-servers";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional("status", "Only those in this status.", Kind::OneOf(NodeServerStatus::VARIANTS)),
        Parameter::limit(FLEET_PAGES),
        Parameter::offset(FLEET_PAGES),
    ];
    const CSV_COLUMNS: Option<&'static [&'static str]> =
        Some(&["id", "name", "compatibility", "status", "last_online_at", "client_count"]);

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
        Ok(AdminShowServer { id: request.id()?, reveal_secrets: request.get("reveal_secrets")?.unwrap_or(false) })
    }
}
