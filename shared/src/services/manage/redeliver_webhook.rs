//! `RedeliverWebhook`: sends a fact to a receiver again.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::create_webhook::{disabled, find};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, webhook_delivery};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::webhook::WebhookDelivery;
use crate::domain::webhook::retry::RETRIED_FOR;
use crate::domain::{reason, within};
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Makes a delivery due now, whatever its state is, with attempts for another day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RedeliverWebhook {
    /// Id of the delivery.
    pub id: i64,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for RedeliverWebhook {
    const NAME: &'static str = "RedeliverWebhook";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
}

/// A delivery after a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShownWebhookDelivery {
    /// The delivery after the call.
    pub delivery: WebhookDelivery,
}

#[async_trait]
impl Change for RedeliverWebhook {
    type Output = ShownWebhookDelivery;

    fn checked(self) -> Result<Self, Error> {
        within("id", self.id, 1, i64::MAX)?;
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<ShownWebhookDelivery, Error> {
        let before = self.find(tx).await?;
        let webhook = find(tx, before.webhook_id).await?;
        if webhook.disabled_at.is_some() {
            return Err(disabled(webhook.id));
        }
        webhook_delivery::redeliver(tx, self.id, work.now, work.now + RETRIED_FOR).await?;
        let delivery = self.find(tx).await?;
        let target = Target::WebhookDelivery(self.id);
        work.changed(target, &before, &delivery, Some(&self.reason))?;
        Ok(ShownWebhookDelivery { delivery })
    }
}

impl RedeliverWebhook {
    async fn find(&self, tx: &mut Connection) -> Result<WebhookDelivery, Error> {
        let delivery = webhook_delivery::lock(tx, self.id).await?;
        delivery.ok_or_else(|| Error::not_found(&format!("Delivery {}", self.id)))
    }
}
