//! Messages of the shop: an order of packages (`package.order.v1`), and the cancellation of an
//! order (`package.order_cancelled.v1`).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::parse;
use crate::domain::order::NewOrder;
use crate::error::Error;

/// Value of the field `type` of an order.
pub const ORDER: &str = "package.order.v1";
/// Value of the field `type` of a cancellation.
pub const CANCELLATION: &str = "package.order_cancelled.v1";

/// A parsed message body. It has the same fields as the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum PackageOrder {
    /// A user ordered packages.
    #[serde(rename = "package.order.v1")]
    Ordered(NewOrder),
    /// An order was cancelled, perhaps before it arrived here.
    #[serde(rename = "package.order_cancelled.v1")]
    Cancelled(Cancellation),
}

/// The cancellation of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    /// Id that the shop assigned to the order.
    pub order_id: Uuid,
}

/// The field that decides which other fields a body has.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: String,
}

impl PackageOrder {
    /// Parses a body and checks its values. The error names the invalid field.
    pub fn parse(body: &str) -> Result<Self, Error> {
        let Head { kind } = parse(body)?;
        match kind.as_str() {
            ORDER => {
                let order: NewOrder = parse(body)?;
                order.check()?;
                Ok(Self::Ordered(order))
            }
            CANCELLATION => parse(body).map(Self::Cancelled),
            _ => Err(Error::invalid(
                "unsupported_type",
                "type",
                format!("unknown type; expected one of: {ORDER:?}, {CANCELLATION:?}"),
            )),
        }
    }
}
