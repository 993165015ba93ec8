//! `/v1/admin/node-clients` and the paths below it.

use http::Method;
use schemars::{Schema, SchemaGenerator};

use super::packages::ReasonBody;
use super::parameter::{ID, INCLUDE_ARCHIVED, Parameter, REVEAL_SECRETS};
use super::request::ApiRequest;
use super::{Csv, Endpoint, Example, PATCH_OF_UNKNOWN_NODE, merge_patch};
use crate::domain::node::NodeClientDetails;
use crate::domain::node_settings::NodeClientSettings;
use crate::domain::page::FLEET_PAGES;
use crate::error::Error;
use crate::services::change::Requested;
use crate::services::manage::{
    AdminListClients, AdminShowClient, ArchiveNodeClient, CreateNodeClient, ManageService, Patch,
    UpdateNodeClient,
};

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
        INCLUDE_ARCHIVED,
        Parameter::limit(FLEET_PAGES),
        Parameter::offset(FLEET_PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "clients",
        header: "id,name,server_id,server_name,status,traffic_factor,display_order,speed_limit,\
            country,location,route_class,access_groups,client_config,archived_at,\
            created_at,updated_at",
    });

    fn input(request: &ApiRequest<'_>) -> Result<AdminListClients, Error> {
        Ok(AdminListClients {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            server_id: request.get("server_id")?,
            include_archived: request.get("include_archived")?.unwrap_or(false),
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

    fn revision(details: &NodeClientDetails) -> Option<i64> {
        Some(details.client.revision)
    }

    fn input(request: &ApiRequest<'_>) -> Result<AdminShowClient, Error> {
        let reveal_secrets = request.get("reveal_secrets")?.unwrap_or(false);
        Ok(AdminShowClient {
            id: request.id()?,
            reveal_secrets,
            actor: request.actor(),
        })
    }
}

/// A client of a server that does not exist.
const EXAMPLE_CLIENT: &str = r#"{"name":"example","country":"DE","server_id":2147483647}"#;

/// Adds a node client.
#[derive(Debug)]
pub struct NewNodeClient;

impl Endpoint for NewNodeClient {
    type Service = ManageService;
    type Input = Requested<CreateNodeClient>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = NodeClients::PATH;
    const RULE_PRIORITY: u16 = 159;
    const SUMMARY: &'static str = "Create a node client";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<NodeClientSettings>);
    const EXAMPLE: Example = Example {
        body: Some(EXAMPLE_CLIENT),
        message: EXAMPLE_CLIENT,
        status: 400,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let settings = request.body()?;
        Ok(request.change(CreateNodeClient { settings }))
    }
}

/// Changes the settings of a node client.
#[derive(Debug)]
pub struct NodeClientUpdate;

impl Endpoint for NodeClientUpdate {
    type Service = ManageService;
    type Input = Requested<UpdateNodeClient>;
    const METHOD: Method = Method::PATCH;
    const PATH: &'static str = NodeClient::PATH;
    const RULE_PRIORITY: u16 = 169;
    const SUMMARY: &'static str = "Update a node client";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(merge_patch::<NodeClientSettings>);
    const EXAMPLE: Example = PATCH_OF_UNKNOWN_NODE;

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let patch = Patch(request.body()?);
        let id = request.id()?;
        Ok(request.change(UpdateNodeClient { id, patch }))
    }
}

/// Takes a node client out of use.
#[derive(Debug)]
pub struct NodeClientArchive;

impl Endpoint for NodeClientArchive {
    type Service = ManageService;
    type Input = Requested<ArchiveNodeClient>;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/node-clients/{id}/archive";
    const RULE_PRIORITY: u16 = 168;
    const SUMMARY: &'static str = "Archive a node client";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> = ReasonBody::SCHEMA;
    const EXAMPLE: Example = ReasonBody::OF_UNKNOWN_NODE;

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let ReasonBody { reason } = request.body()?;
        let id = request.id()?;
        Ok(request.change(ArchiveNodeClient { id, reason }))
    }
}
