//! `GET /v1/admin/node-clients` and `GET /v1/admin/node-clients/{id}`.

use super::parameter::{ID, Parameter, REVEAL_SECRETS};
use super::request::ApiRequest;
use super::{Csv, Endpoint};
use crate::domain::page::FLEET_PAGES;
use crate::error::Error;
use crate::services::manage::{AdminListClients, AdminShowClient, ManageService};

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
    const CSV: Option<Csv> = Some(Csv {
        list: "clients",
        header: "id,name,server_id,server_name,status,traffic_factor,display_order,speed_limit,\
            country,location,route_class,access_groups,client_config,created_at,updated_at",
    });

    fn input(request: &ApiRequest<'_>) -> Result<AdminListClients, Error> {
        Ok(AdminListClients {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            server_id: request.get("server_id")?,
        })
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
