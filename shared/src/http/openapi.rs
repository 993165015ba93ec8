//! The OpenAPI document, generated from the types and tables that serve requests.

use http::Method;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::parameter::{self, Parameter, REVEAL_SECRETS, TIME_ZONE};
use super::problem::Problem;
use super::{Csv, Endpoint, Output};
use crate::auth::{ADMIN_READ_SCOPE, ADMIN_SCOPE, Access, SECRETS_SCOPE};
use crate::domain::condition::{Accepts, IDEMPOTENCY_KEY, IF_MATCH};
use crate::services::Operation;

const ABOUT: &str = "Traffic, nodes and packages of a VPN or proxy fleet. Every call requires a \
    bearer token. The user is the subject of the token, never a parameter. Traffic is in bytes, \
    timestamps are in UTC, and intervals are half-open. Lists and series are available as CSV \
    (`accept: text/csv`). Responses to `GET` have an `etag`. If a client sends it as \
    `if-none-match` and the data has not changed, the response is 304 without a body. Errors are \
    `application/problem+json` with a stable `code`.";

const TOKEN: &str = "A JSON Web Token signed by the issuer that the deployment trusts. `sub` is \
    the id of the user. `scope` lists scopes: `telecom:admin` permits the administrators' \
    operations, and `telecom:secrets` additionally permits unmasked keys and passwords \
    (`reveal_secrets`).";
const ETAG: &str = "Version of this response, for `if-none-match`.";
const WAIT: &str = "Number of seconds after which the request may succeed.";
const CONDITION: &str = "The `etag` of an earlier response. If the data has not changed since, the \
    response is 304.";

const KEY: &str = "Identifies this change among all changes of the caller within 24 hours. A \
    repeated request with the same key gets the first response and changes nothing.";
const REVISION: &str = "The `etag` of the resource when it was read, or its revision in quotes, or \
    `*`. If the resource has changed since, the response is 412.";

/// The OpenAPI 3.1 document of all endpoints.
#[must_use]
pub fn document() -> Value {
    let mut document = Document::new();
    macro_rules! add {
        ($endpoint:ty) => {
            document.add::<$endpoint>();
        };
    }
    crate::for_each_endpoint!(add);
    document.finish()
}

struct Document {
    schemas: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Document {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            schemas: settings.into_generator(),
            paths: Map::new(),
        }
    }

    fn add<E: Endpoint>(&mut self) {
        let (tag, scopes) = match E::Input::ACCESS {
            Access::User => ("User", vec![vec![]]),
            Access::AdminRead => (
                "Administrator",
                vec![vec![ADMIN_READ_SCOPE], vec![ADMIN_SCOPE]],
            ),
            Access::Admin | Access::Secrets => ("Administrator", vec![vec![ADMIN_SCOPE]]),
        };
        let mut security: Vec<Value> = scopes
            .into_iter()
            .map(|scopes| json!({ "token": scopes }))
            .collect();
        if E::PARAMETERS
            .iter()
            .any(|parameter| parameter.name == REVEAL_SECRETS.name)
        {
            security.push(json!({ "token": [ADMIN_SCOPE, SECRETS_SCOPE] }));
        }
        let mut operation = json!({
            "operationId": E::Input::NAME,
            "summary": E::SUMMARY,
            "tags": [tag],
            "security": security,
            "parameters": parameters::<E>(),
            "responses": self.responses::<E>(),
        });
        if let (Some(body), Some(fields)) = (E::BODY, operation.as_object_mut()) {
            let format = match E::METHOD {
                Method::PATCH => "application/merge-patch+json",
                _ => "application/json",
            };
            let content = json!({ format: { "schema": body(&mut self.schemas) } });
            fields.insert(
                "requestBody".into(),
                json!({ "required": true, "content": content }),
            );
        }
        let item = self.paths.entry(E::PATH).or_insert_with(|| json!({}));
        if let Some(operations) = item.as_object_mut() {
            operations.insert(E::METHOD.as_str().to_lowercase(), operation);
        }
    }

    fn responses<E: Endpoint>(&mut self) -> Value {
        let mut content = Map::new();
        content.insert(
            "application/json".into(),
            json!({ "schema": self.schemas.subschema_for::<Output<E>>() }),
        );
        if let Some(Csv { header, .. }) = E::CSV {
            let about = format!("RFC 4180 with the header {header}");
            content.insert(
                "text/csv".into(),
                json!({ "schema": { "type": "string", "description": about } }),
            );
        }
        let mut responses = Map::new();
        let mut success = Map::new();
        success.insert("description".into(), "Success".into());
        success.insert("content".into(), content.into());
        if E::METHOD == Method::GET {
            let tag = json!({ "ETag": { "description": ETAG, "schema": { "type": "string" } } });
            success.insert("headers".into(), tag.clone());
            let about =
                "The data has not changed since the response with the `etag` in `if-none-match`";
            responses.insert(
                "304".into(),
                json!({ "description": about, "headers": tag }),
            );
        }
        responses.insert("200".into(), success.into());
        for (status, about) in problems::<E>() {
            let schema = self.schemas.subschema_for::<Problem<'_>>();
            let content = json!({ "application/problem+json": { "schema": schema } });
            let mut response = json!({ "description": about, "content": content });
            if let ("429" | "503", Some(fields)) = (status, response.as_object_mut()) {
                let wait = json!({ "description": WAIT, "schema": { "type": "integer" } });
                fields.insert("headers".into(), json!({ "Retry-After": wait }));
            }
            responses.insert(status.to_owned(), response);
        }
        Value::Object(responses)
    }

    fn finish(mut self) -> Value {
        let mut schemas = self.schemas.take_definitions(true);
        schemas.insert(TIME_ZONE.into(), parameter::time_zones());
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Telecom",
                "version": env!("CARGO_PKG_VERSION"),
                "description": ABOUT,
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "servers": [{ "url": "/" }],
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                        "description": TOKEN },
                },
            },
        })
    }
}

/// The statuses of the errors that an endpoint may return, with their descriptions.
fn problems<E: Endpoint>() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        (
            "400",
            "A parameter or the body is invalid, or the response would be too large",
            true,
        ),
        ("401", "The token is missing or not valid", true),
        (
            "403",
            "The token lacks a required scope",
            E::Input::ACCESS != Access::User,
        ),
        (
            "404",
            "The requested resource does not exist",
            E::PATH.contains("{id}") || E::BODY.is_some(),
        ),
        (
            "409",
            "The state of the resource does not allow the change, or the idempotency key \
             belongs to another request",
            E::METHOD != Method::GET,
        ),
        (
            "412",
            "The resource has another revision than the one in `if-match`",
            E::Input::ACCEPTS == Accepts::RequiredRevision,
        ),
        (
            "428",
            "The header `if-match` is missing",
            E::Input::ACCEPTS == Accepts::RequiredRevision,
        ),
        ("405", "The method is not one of those in `allow`", true),
        (
            "429",
            "The user has sent too many requests. Try again after the time in `retry-after`",
            true,
        ),
        ("500", "Internal error", true),
        (
            "503",
            "The database is unreachable or busy. Try again later",
            true,
        ),
        ("504", "The request took too long. Try again later", true),
    ]
    .into_iter()
    .filter_map(|(status, about, possible)| possible.then_some((status, about)))
}

fn parameters<E: Endpoint>() -> Vec<Value> {
    let in_path = E::PATH.contains("{id}").then(|| {
        json!({ "name": "id", "in": "path", "required": true, "description": "Id of the resource.",
            "schema": E::ID.schema() })
    });
    let in_query = E::PARAMETERS.iter().map(
        |Parameter {
             name,
             about,
             kind,
             required,
         }| {
            json!({ "name": name, "in": "query", "required": required, "description": about,
            "schema": kind.schema() })
        },
    );
    let in_header = (E::METHOD == Method::GET).then(|| {
        let schema = json!({ "type": "string",
            "examples": ["\"0123456789abcdef0123456789abcdef\""] });
        json!({ "name": "If-None-Match", "in": "header", "required": false,
            "description": CONDITION, "schema": schema })
    });
    in_path
        .into_iter()
        .chain(in_query)
        .chain(in_header)
        .chain(conditions(E::Input::ACCEPTS))
        .collect()
}

/// The headers with the conditions of a change.
fn conditions(accepts: Accepts) -> Vec<Value> {
    let header = |name: &str, required: bool, about: &str, schema: Value| {
        json!({ "name": name, "in": "header", "required": required, "description": about,
            "schema": schema })
    };
    let key = |required| {
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255,
            "pattern": "^[!#-~]+$" });
        header(IDEMPOTENCY_KEY, required, KEY, schema)
    };
    let revision = || {
        let schema = json!({ "type": "string",
            "pattern": "^(\\*|\"[0-9]{1,18}(-[0-9a-f]*)?\")$" });
        header(IF_MATCH, true, REVISION, schema)
    };
    match accepts {
        Accepts::Nothing => Vec::new(),
        Accepts::IdempotencyKey => vec![key(false)],
        Accepts::RequiredIdempotencyKey => vec![key(true)],
        Accepts::RequiredRevision => vec![key(false), revision()],
    }
}
