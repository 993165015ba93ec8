//! Orders of packages.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::within;
use crate::error::Error;

/// Maximum number of items of an order.
pub const MAX_AMOUNT: i64 = 120;

/// An order to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    /// Id that the shop assigned. An order is delivered once.
    pub order_id: Uuid,
    /// The user who gets the items.
    pub user: Uuid,
    /// The series whose master is delivered.
    pub series: Uuid,
    /// Number of items, from 1 to [`MAX_AMOUNT`].
    pub amount: i32,
}

impl NewOrder {
    /// Fails if the amount is out of range.
    pub fn check(&self) -> Result<(), Error> {
        within("amount", self.amount.into(), 1, MAX_AMOUNT).map(|_| ())
    }

    /// Whether this is the order that was delivered as `delivered`.
    #[must_use]
    pub fn is(&self, delivered: &DeliveredOrder) -> bool {
        let Self {
            order_id,
            user,
            series,
            amount,
        } = *self;
        delivered.order_id == order_id
            && (delivered.user, delivered.series, delivered.amount)
                == (Some(user), Some(series), Some(amount))
    }
}

/// An order that was delivered, or a cancellation that arrived before its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveredOrder {
    /// Id that the shop assigned.
    pub order_id: Uuid,
    /// The user who got the items. `null` if the order was cancelled before it arrived.
    pub user: Option<Uuid>,
    /// The ordered series. `null` if the order was cancelled before it arrived.
    pub series: Option<Uuid>,
    /// Number of ordered items. `null` if the order was cancelled before it arrived.
    pub amount: Option<i32>,
    /// Id of the delivered package. `null` if the order was cancelled before it was delivered.
    pub package_id: Option<i64>,
    /// When the order, or its cancellation, arrived.
    pub received_at: DateTime<Utc>,
    /// When the order was cancelled. `null` if it was not.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// Ids of the package items that the order delivered, in the order in which they are used.
    pub items: Vec<i64>,
}
