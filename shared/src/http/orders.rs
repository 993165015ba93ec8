//! `/v1/admin/orders/{id}` and the path below it.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use uuid::Uuid;

use super::packages::ReasonBody;
use super::parameter::Kind;
use super::request::ApiRequest;
use super::{Endpoint, Example};
use crate::domain::order::NewOrder;
use crate::error::Error;
use crate::services::change::Requested;
use crate::services::manage::{CancelOrder, DeliverOrder, ManageService};

/// What a user ordered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderBody {
    /// The user who gets the items.
    user: Uuid,
    /// The series whose master package is delivered.
    series: Uuid,
    /// Number of items, each of which is one package.
    #[schemars(range(min = 1, max = 120))]
    amount: i32,
}

/// Delivers an order once.
#[derive(Debug)]
pub struct Order;

impl Endpoint for Order {
    type Service = ManageService;
    type Input = Requested<DeliverOrder>;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/orders/{id}";
    const ID: Kind = Kind::Uuid;
    const RULE_PRIORITY: u16 = 212;
    const SUMMARY: &'static str = "Deliver an order";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<OrderBody>);
    const EXAMPLE: Example = Example {
        body: Some(
            r#"{"user":"00000000-0000-4000-8000-0000000000aa",
                "series":"00000000-0000-4000-8000-0000000000bb","amount":1}"#,
        ),
        message: r#"{"order_id":"00000000-0000-4000-8000-0000000000cc",
            "user":"00000000-0000-4000-8000-0000000000aa",
            "series":"00000000-0000-4000-8000-0000000000bb","amount":1}"#,
        id: Some("00000000-0000-4000-8000-0000000000cc"),
        status: 400,
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let OrderBody {
            user,
            series,
            amount,
        } = request.body()?;
        Ok(request.change(DeliverOrder(NewOrder {
            order_id: request.id()?,
            user,
            series,
            amount,
        })))
    }
}

/// Cancels the items of an order that have not ended.
#[derive(Debug)]
pub struct OrderCancellation;

impl Endpoint for OrderCancellation {
    type Service = ManageService;
    type Input = Requested<CancelOrder>;
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/admin/orders/{id}/cancellation";
    const ID: Kind = Kind::Uuid;
    const RULE_PRIORITY: u16 = 211;
    const SUMMARY: &'static str = "Cancel an order";
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> = ReasonBody::SCHEMA;
    const EXAMPLE: Example = Example {
        body: Some(ReasonBody::EXAMPLE),
        message: r#"{"order_id":"00000000-0000-4000-8000-0000000000dd","reason":"example"}"#,
        id: Some("00000000-0000-4000-8000-0000000000dd"),
        ..Example::DEFAULT
    };

    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error> {
        let ReasonBody { reason } = request.body()?;
        let order_id = request.id()?;
        Ok(request.change(CancelOrder { order_id, reason }))
    }
}
