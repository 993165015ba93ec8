//! `DisableWebhook`: ends the deliveries to a receiver.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::create_webhook::find;
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, webhook};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::reason;
use crate::domain::webhook::{Webhook, WebhookEnd};
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Disables a webhook for good. Its log of deliveries is kept. Does nothing if it is disabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DisableWebhook {
    /// Id of the webhook.
    pub id: Uuid,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for DisableWebhook {
    const NAME: &'static str = "DisableWebhook";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::IdempotencyKey;
}

/// A webhook, after the change if the call made one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShownWebhook {
    /// The webhook, after the change if the call made one.
    pub webhook: Webhook,
}

#[async_trait]
impl Change for DisableWebhook {
    type Output = ShownWebhook;

    fn checked(self) -> Result<Self, Error> {
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(&self, tx: &mut Connection, work: &mut Work<'_>) -> Result<ShownWebhook, Error> {
        let before = find(tx, self.id).await?;
        webhook::disable(tx, &[self.id], work.now, WebhookEnd::Requested).await?;
        let webhook = find(tx, self.id).await?;
        let target = Target::Webhook(self.id);
        work.changed(target, &before, &webhook, Some(&self.reason))?;
        Ok(ShownWebhook { webhook })
    }
}
