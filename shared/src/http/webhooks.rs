//! `/v1/admin/webhooks`, the paths below it, and `/v1/admin/webhook-deliveries`.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::packages::ReasonBody;
use super::parameter::{Kind, LONG_ID, Parameter};
use super::request::ApiRequest;
use super::{Csv, Endpoint, Example};
use crate::domain::webhook::url::MAX_URL;
use crate::domain::webhook::{
    DEFAULT_OVERLAP_SECONDS, DELIVERY_PAGES, DeliveryStatus, MAX_DESCRIPTION, MAX_OVERLAP_SECONDS,
    MAX_TYPES, PAGES, WebhookSettings,
};
use crate::domain::{LINE_PATTERN, MAX_REASON};
use crate::error::Error;
use crate::events::facts::FactType;
use crate::services::change::Requested;
use crate::services::manage::{
    CreateWebhook, DisableWebhook, ListWebhookDeliveries, ListWebhooks, ManageService,
    RedeliverWebhook, RotateWebhookSecret, ShowWebhook,
};

/// An id that no webhook has, for examples.
const UNKNOWN_WEBHOOK: &str = "00000000-0000-4000-8000-0000000000ee";

/// Lists webhooks, newest first.
#[derive(Debug)]
pub struct WebhookList;

impl Endpoint for WebhookList {
    type Service = ManageService;
    type Input = ListWebhooks;
    const PATH: &'static str = "/v1/admin/webhooks";
    const RULE_PRIORITY: u16 = 261;
    const SUMMARY: &'static str = "List webhooks";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "include_disabled",
            "Return disabled webhooks, too.",
            Kind::Flag,
        ),
        Parameter::limit(PAGES),
        Parameter::offset(PAGES),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "webhooks",
        header: "id,url,description,event_types,created_at,previous_secret_until,disabled_at,\
            disabled_by",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListWebhooks, Error> {
        Ok(ListWebhooks {
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            include_disabled: request.get("include_disabled")?.unwrap_or(false),
        })
    }
}

/// Returns a webhook, which may be disabled.
#[derive(Debug)]
pub struct ShownWebhook;

impl Endpoint for ShownWebhook {
    type Service = ManageService;
    type Input = ShowWebhook;
    const PATH: &'static str = "/v1/admin/webhooks/{id}";
    const ID: Kind = Kind::Uuid;
    const RULE_PRIORITY: u16 = 269;
    const SUMMARY: &'static str = "Show a webhook";
    const EXAMPLE: Example = Example {
        message: r#"{"id":"00000000-0000-4000-8000-0000000000ee"}"#,
        id: Some(UNKNOWN_WEBHOOK),
        status: 404,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<ShowWebhook, Error> {
        Ok(ShowWebhook { id: request.id()? })
    }
}

/// The receiver of a new webhook, and what it gets.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookBody {
    /// The receiver, an https URL with port 443 of a host with a public name, without user,
    /// password and fragment.
    #[schemars(length(min = 1, max = MAX_URL), regex(pattern = "^https://"))]
    url: String,
    /// What the webhook is for, 1 to 200 characters.
    #[schemars(length(min = 1, max = MAX_DESCRIPTION), regex(pattern = LINE_PATTERN))]
    description: String,
    /// Types of the facts that are delivered, at most 100. Default: all types, also future ones.
    #[serde(default)]
    #[schemars(length(max = MAX_TYPES))]
    event_types: Vec<FactType>,
}

/// Lets a receiver get facts.
#[derive(Debug)]
pub struct NewWebhook;

impl Endpoint for NewWebhook {
    type Service = ManageService;
    type Input = Requested<CreateWebhook>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = WebhookList::PATH;
    const RULE_PRIORITY: u16 = 260;
    const SUMMARY: &'static str = "Create a webhook";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<WebhookBody>);
    const EXAMPLE: Example = Example {
        body: Some(r#"{"url":"https://user@hooks.example.com/","description":"example"}"#),
        message: r#"{"url":"https://user@hooks.example.com/","description":"example"}"#,
        status: 400,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let WebhookBody {
            url,
            description,
            event_types,
        } = request.body()?;
        let types = event_types.into_iter().map(<&str>::from);
        let settings = WebhookSettings {
            url,
            description,
            event_types: types.map(str::to_owned).collect(),
        };
        Ok(request.change(CreateWebhook { settings }))
    }
}

/// A rotation of a secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotationBody {
    /// For how long requests are also signed with the previous secret, in seconds. Default: 86400,
    /// a day.
    #[schemars(range(min = 0, max = MAX_OVERLAP_SECONDS))]
    overlap_seconds: Option<i64>,
    /// Reason for the change, 1 to 500 characters. It is stored in the audit log.
    #[schemars(length(min = 1, max = MAX_REASON), regex(pattern = LINE_PATTERN))]
    reason: String,
}

/// Gives a webhook a new secret.
#[derive(Debug)]
pub struct SecretRotation;

impl Endpoint for SecretRotation {
    type Service = ManageService;
    type Input = Requested<RotateWebhookSecret>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/admin/webhooks/{id}/secret/rotation";
    const ID: Kind = Kind::Uuid;
    const RULE_PRIORITY: u16 = 262;
    const SUMMARY: &'static str = "Rotate the secret of a webhook";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<RotationBody>);
    const EXAMPLE: Example = EXAMPLE_WITH_REASON;

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let RotationBody {
            overlap_seconds,
            reason,
        } = request.body()?;
        Ok(request.change(RotateWebhookSecret {
            id: request.id()?,
            overlap_seconds: overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS),
            reason,
        }))
    }
}

const EXAMPLE_WITH_REASON: Example = Example {
    body: Some(ReasonBody::EXAMPLE),
    message: r#"{"id":"00000000-0000-4000-8000-0000000000ee","reason":"example"}"#,
    id: Some(UNKNOWN_WEBHOOK),
    status: 404,
    ..Example::DEFAULT
};

/// Ends the deliveries to a receiver.
#[derive(Debug)]
pub struct WebhookDisablement;

impl Endpoint for WebhookDisablement {
    type Service = ManageService;
    type Input = Requested<DisableWebhook>;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/webhooks/{id}/disablement";
    const ID: Kind = Kind::Uuid;
    const RULE_PRIORITY: u16 = 263;
    const SUMMARY: &'static str = "Disable a webhook";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> = ReasonBody::SCHEMA;
    const EXAMPLE: Example = EXAMPLE_WITH_REASON;

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let ReasonBody { reason } = request.body()?;
        let id = request.id()?;
        Ok(request.change(DisableWebhook { id, reason }))
    }
}

/// Lists the deliveries to a receiver, newest first.
#[derive(Debug)]
pub struct DeliveryList;

impl Endpoint for DeliveryList {
    type Service = ManageService;
    type Input = ListWebhookDeliveries;
    const PATH: &'static str = "/v1/admin/webhooks/{id}/deliveries";
    const ID: Kind = Kind::Uuid;
    const RULE_PRIORITY: u16 = 264;
    const SUMMARY: &'static str = "List the deliveries of a webhook";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "status",
            "Return only deliveries in this state.",
            Kind::OneOf(<DeliveryStatus as strum::VariantNames>::VARIANTS),
        ),
        Parameter::limit(DELIVERY_PAGES),
        Parameter::offset(DELIVERY_PAGES),
    ];
    const EXAMPLE: Example = Example {
        message: r#"{"id":"00000000-0000-4000-8000-0000000000ee"}"#,
        id: Some(UNKNOWN_WEBHOOK),
        status: 404,
        ..Example::DEFAULT
    };
    const CSV: Option<Csv> = Some(Csv {
        list: "deliveries",
        header: "id,webhook_id,event_id,event_type,status,attempts,created_at,last_attempt_at,\
            next_attempt_at,response_status,failure",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListWebhookDeliveries, Error> {
        Ok(ListWebhookDeliveries {
            id: request.id()?,
            limit: request.get("limit")?,
            offset: request.get("offset")?,
            status: request.get("status")?,
        })
    }
}

/// Sends a fact to a receiver again.
#[derive(Debug)]
pub struct Redelivery;

impl Endpoint for Redelivery {
    type Service = ManageService;
    type Input = Requested<RedeliverWebhook>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/admin/webhook-deliveries/{id}/redelivery";
    const ID: Kind = LONG_ID;
    const RULE_PRIORITY: u16 = 265;
    const SUMMARY: &'static str = "Send a fact to a webhook again";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> = ReasonBody::SCHEMA;
    const EXAMPLE: Example = ReasonBody::OF_UNKNOWN_ID;

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let ReasonBody { reason } = request.body()?;
        let id = request.id()?;
        Ok(request.change(RedeliverWebhook { id, reason }))
    }
}
