//! `CancelOrder`: cancels the items of an order that have not ended.

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use super::deliver_order::ShownOrder;
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::Connection;
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::reason;
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};
use crate::services::order::{self, Cancelled};

/// Cancels an order. The cancellation of an order that has not arrived keeps it from being
/// delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CancelOrder {
    /// Id of the order.
    pub order_id: Uuid,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for CancelOrder {
    const NAME: &'static str = "CancelOrder";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::IdempotencyKey;
}

#[derive(Serialize)]
struct Audited<'a> {
    is_cancelled: bool,
    open_items: &'a [i64],
}

#[async_trait]
impl Change for CancelOrder {
    type Output = ShownOrder;

    fn checked(self) -> Result<Self, Error> {
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(&self, tx: &mut Connection, work: &mut Work<'_>) -> Result<ShownOrder, Error> {
        let Cancelled {
            order,
            items,
            changed,
        } = order::cancel(tx, &mut work.outbox, self.order_id).await?;
        if changed {
            let items: Vec<i64> = items.iter().map(|item| item.id).collect();
            let before = Audited {
                is_cancelled: false,
                open_items: &items,
            };
            let after = Audited {
                is_cancelled: true,
                open_items: &[],
            };
            let target = Target::Order(self.order_id);
            work.changed(target, &before, &after, Some(&self.reason))?;
        }
        Ok(ShownOrder { order, changed })
    }
}
