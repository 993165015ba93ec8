//! `GET /v1/admin/node-clients` and `GET /v1/admin/node-clients/{id}`.

use super::parameter::{ID, Parameter, REVEAL_SECRETS};
use super::request::ApiRequest;
use super::{Endpoint, cell, timestamp};
use crate::domain::node::NodeClient as Client;
use crate::domain::page::FLEET_PAGES;
use crate::error::Error;
use crate::services::manage::{AdminClients, AdminListClients, AdminShowClient, ManageService};

/// Lists node clients by id.
#[derive(Debug)]
pub struct NodeClients;

impl Endpoint for NodeClients {
    type Service = ManageService;
    type Input = AdminListClients;
    const PATH: &'static str = "/v1/admin/node-clients";
    const RULE_PRIORITY: u16 = 160;
    const SUMMARY: &'static str = "List node clients";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "server_id",
            "Return only node clients of this node server.",
            ID,
        ),
        Parameter::limit(FLEET_PAGES),
        Parameter::offset(FLEET_PAGES),
    ];
    const CSV_COLUMNS: Option<&'static [&'static str]> = Some(&[
        "id",
        "name",
        "server_id",
        "server_name",
        "status",
        "traffic_factor",
        "display_order",
        "speed_limit",
        "country",
        "location",
        "route_class",
        "access_groups",
        "client_config",
        "created_at",
        "updated_at",
    ]);

    fn input(request: &ApiRequest<'_>) -> Result<AdminListClients, Error> {
        Ok(AdminListClients {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            server_id: request.get("server_id")?,
        })
    }

    fn csv_rows(page: &AdminClients) -> Vec<Vec<String>> {
        let row = |client: &Client| {
            let groups: Vec<String> = client
                .access_groups
                .iter()
                .map(ToString::to_string)
                .collect();
            vec![
                client.id.to_string(),
                client.name.clone(),
                client.server_id.to_string(),
                client.server_name.clone(),
                <&str>::from(client.status).to_owned(),
                client.traffic_factor.to_string(),
                client.display_order.to_string(),
                cell(client.speed_limit),
                client.country.clone(),
                client.location.clone(),
                client.route_class.clone(),
                groups.join(" "),
                client.client_config.to_string(),
                timestamp(client.created_at),
                timestamp(client.updated_at),
            ]
        };
        page.clients.iter().map(row).collect()
    }
}

/// Returns a node client with its node server and metrics.
#[derive(Debug)]
pub struct NodeClient;

impl Endpoint for NodeClient {
    type Service = ManageService;
    type Input = AdminShowClient;
    const PATH: &'static str = "/v1/admin/node-clients/{id}";
    const RULE_PRIORITY: u16 = 170;
    const SUMMARY: &'static str = "Show a node client";
    const PARAMETERS: &'static [Parameter] = &[REVEAL_SECRETS];

    fn input(request: &ApiRequest<'_>) -> Result<AdminShowClient, Error> {
        let reveal_secrets = request.get("reveal_secrets")?.unwrap_or(false);
        Ok(AdminShowClient {
            id: request.id()?,
            reveal_secrets,
            actor: request.actor(),
        })
    }
}
