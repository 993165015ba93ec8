//! `/v1/admin/node-access`, the paths below it, and the paths of the users' credentials for nodes.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use uuid::Uuid;

use super::packages::ReasonBody;
use super::parameter::{ID, Kind, LONG_ID, Parameter};
use super::request::ApiRequest;
use super::{Csv, Endpoint, Example};
use crate::db::node_access::Filter;
use crate::domain::node_access::{NewNodeAccess, PAGES};
use crate::domain::{LINE_PATTERN, MAX_REASON};
use crate::error::Error;
use crate::services::change::Requested;
use crate::services::manage::{
    IssueNodeAccess, ListNodeAccess, ManageService, RevokeNodeAccess, RotateNodeCredential,
    RotateUserNodeCredential, SetUserNodeCredential,
};

/// Lists accesses, newest first.
#[derive(Debug)]
pub struct NodeAccessList;

impl Endpoint for NodeAccessList {
    type Service = ManageService;
    type Input = ListNodeAccess;
    const PATH: &'static str = "/v1/admin/node-access";
    const RULE_PRIORITY: u16 = 250;
    const SUMMARY: &'static str = "List accesses of nodes";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "server_id",
            "Return only accesses for this node server.",
            ID,
        ),
        Parameter::optional(
            "include_revoked",
            "Return revoked accesses, too.",
            Kind::Flag,
        ),
        Parameter::limit(PAGES),
        Parameter::offset(PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "accesses",
        header: "id,protocol,software,server_id,node_client_id,allowed_networks,interval_seconds,\
            client_timeout_seconds,created_at,revoked_at",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListNodeAccess, Error> {
        Ok(ListNodeAccess {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            filter: Filter {
                server_id: request.get("server_id")?,
                include_revoked: request.get("include_revoked")?.unwrap_or(false),
            },
        })
    }
}

/// Lets node software or a collector report for a node server.
#[derive(Debug)]
pub struct NewAccess;

impl Endpoint for NewAccess {
    type Service = ManageService;
    type Input = Requested<IssueNodeAccess>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = NodeAccessList::PATH;
    const RULE_PRIORITY: u16 = 249;
    const SUMMARY: &'static str = "Issue an access for a node";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<NewNodeAccess>);
    const EXAMPLE: Example = Example {
        body: Some(r#"{"protocol":"uniproxy","server_id":2147483647}"#),
        message: r#"{"protocol":"NODE_PROTOCOL_UNIPROXY","server_id":2147483647}"#,
        status: 404,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let new: NewNodeAccess = request.body()?;
        Ok(request.change(IssueNodeAccess {
            settings: new.into(),
        }))
    }
}

/// Ends the access of node software or of a collector.
#[derive(Debug)]
pub struct AccessRevocation;

impl Endpoint for AccessRevocation {
    type Service = ManageService;
    type Input = Requested<RevokeNodeAccess>;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/node-access/{id}/revocation";
    const ID: Kind = LONG_ID;
    const RULE_PRIORITY: u16 = 251;
    const SUMMARY: &'static str = "Revoke an access of a node";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> = ReasonBody::SCHEMA;
    const EXAMPLE: Example = ReasonBody::OF_UNKNOWN_ID;

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let ReasonBody { reason } = request.body()?;
        let id = request.id()?;
        Ok(request.change(RevokeNodeAccess { id, reason }))
    }
}

/// Gives a user a new secret for nodes.
#[derive(Debug)]
pub struct UserNodeCredentialRotation;

impl Endpoint for UserNodeCredentialRotation {
    type Service = ManageService;
    type Input = Requested<RotateUserNodeCredential>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/admin/users/{id}/node-credential/rotation";
    const ID: Kind = Kind::Uuid;
    const RULE_PRIORITY: u16 = 252;
    const SUMMARY: &'static str = "Rotate a user's secret for nodes";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> = ReasonBody::SCHEMA;
    const EXAMPLE: Example = Example {
        body: Some(ReasonBody::EXAMPLE),
        message: r#"{"id":"00000000-0000-4000-8000-0000000000ee","reason":"example"}"#,
        id: Some("00000000-0000-4000-8000-0000000000ee"),
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let ReasonBody { reason } = request.body()?;
        let user = request.id()?;
        Ok(request.change(RotateUserNodeCredential { user, reason }))
    }
}

/// The secret that a user had elsewhere.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretBody {
    /// The secret, a random UUID of version 4 that no other user has.
    #[schemars(regex(pattern = RANDOM_UUID_PATTERN))]
    secret: Uuid,
    /// Reason for the change, 1 to 500 characters. It is stored in the audit log.
    #[schemars(length(min = 1, max = MAX_REASON), regex(pattern = LINE_PATTERN))]
    reason: String,
}

/// Pattern of UUIDs of version 4, for the OpenAPI document.
const RANDOM_UUID_PATTERN: &str = concat!(
    "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-",
    "[0-9a-fA-F]{12}$"
);

/// Gives a user the secret for nodes that they had elsewhere.
#[derive(Debug)]
pub struct UserNodeCredential;

impl Endpoint for UserNodeCredential {
    type Service = ManageService;
    type Input = Requested<SetUserNodeCredential>;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/users/{id}/node-credential";
    const ID: Kind = Kind::Uuid;
    const RULE_PRIORITY: u16 = 254;
    const SUMMARY: &'static str = "Set a user's secret for nodes";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<SecretBody>);
    const EXAMPLE: Example = Example {
        body: Some(r#"{"secret":"8a2b1a52-43f1-4c53-9f0d-3f8f5f0c2a11","reason":"example"}"#),
        message: r#"{"id":"00000000-0000-4000-8000-0000000000ee","reason":"example",
            "secret":"8a2b1a52-43f1-4c53-9f0d-3f8f5f0c2a11"}"#,
        id: Some("00000000-0000-4000-8000-0000000000ee"),
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let SecretBody { secret, reason } = request.body()?;
        let user = request.id()?;
        Ok(request.change(SetUserNodeCredential {
            user,
            secret,
            reason,
        }))
    }
}

/// Gives the caller a new secret for nodes.
#[derive(Debug)]
pub struct NodeCredentialRotation;

impl Endpoint for NodeCredentialRotation {
    type Service = ManageService;
    type Input = Requested<RotateNodeCredential>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/node-credential/rotation";
    const RULE_PRIORITY: u16 = 253;
    const SUMMARY: &'static str = "Rotate your secret for nodes";

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        Ok(request.change(RotateNodeCredential))
    }
}
