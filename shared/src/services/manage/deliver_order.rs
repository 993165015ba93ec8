//! `DeliverOrder`: delivers packages that a user ordered.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::Connection;
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::order::{DeliveredOrder, NewOrder};
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};
use crate::services::order;

/// Delivers an order once. The order id makes a repeat harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeliverOrder(pub NewOrder);

impl Operation for DeliverOrder {
    const NAME: &'static str = "DeliverOrder";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::IdempotencyKey;
}

/// An order after a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShownOrder {
    /// The order after the call.
    pub order: DeliveredOrder,
    /// `false` if the order was in this state before, and nothing was written.
    pub changed: bool,
}

#[async_trait]
impl Change for DeliverOrder {
    type Output = ShownOrder;

    fn checked(self) -> Result<Self, Error> {
        self.0.check()?;
        Ok(self)
    }

    async fn apply(&self, tx: &mut Connection, work: &mut Work<'_>) -> Result<ShownOrder, Error> {
        let (order, changed) = order::deliver(tx, &mut work.outbox, &self.0).await?;
        if changed {
            work.created(Target::Order(order.order_id), &order)?;
        }
        Ok(ShownOrder { order, changed })
    }
}
