//! `RotateWebhookSecret`: gives a webhook a new secret.

use async_trait::async_trait;
use chrono::TimeDelta;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::create_webhook::{SecretWebhook, disabled, find};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, webhook};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::secret::MASK;
use crate::domain::webhook::secret::WebhookSecret;
use crate::domain::webhook::{MAX_OVERLAP_SECONDS, Webhook};
use crate::domain::{reason, within};
use crate::error::Error;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Replaces the secret of a webhook. Requests are signed with both secrets for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RotateWebhookSecret {
    /// Id of the webhook.
    pub id: Uuid,
    /// For how long requests are also signed with the previous secret.
    pub overlap_seconds: i64,
    /// Reason in the administrator's words, for the audit log.
    pub reason: String,
}

impl Operation for RotateWebhookSecret {
    const NAME: &'static str = "RotateWebhookSecret";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
    const USES_WEBHOOK_KEY: bool = true;
}

#[async_trait]
impl Change for RotateWebhookSecret {
    type Output = SecretWebhook;
    const SHOWN_ONCE: &'static [&'static str] = &["secret"];

    fn checked(self) -> Result<Self, Error> {
        within(
            "overlap_seconds",
            self.overlap_seconds,
            0,
            MAX_OVERLAP_SECONDS,
        )?;
        let reason = reason(&self.reason)?;
        Ok(Self { reason, ..self })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<SecretWebhook, Error> {
        let before = find(tx, self.id).await?;
        if before.disabled_at.is_some() {
            return Err(disabled(self.id));
        }
        let secret = WebhookSecret::random()?;
        let sealed = work.webhooks.keys.known()?.seal(self.id, &secret)?;
        let previous_until = work.now + TimeDelta::seconds(self.overlap_seconds);
        webhook::rotate(tx, self.id, &sealed, previous_until).await?;
        let webhook = find(tx, self.id).await?;
        record(work, &before, &webhook, &self.reason)?;
        Ok(SecretWebhook {
            webhook,
            secret: Some(secret.show()),
        })
    }
}

/// Records that the secret was changed, without the secret.
fn record(
    work: &mut Work<'_>,
    before: &Webhook,
    after: &Webhook,
    reason: &str,
) -> Result<(), Error> {
    let of = |webhook: &Webhook, secret: String| {
        let until = webhook.previous_secret_until;
        json!({ "secret": secret, "previous_secret_until": until })
    };
    work.changed(
        Target::Webhook(after.id),
        &of(before, MASK.to_owned()),
        &of(after, format!("{MASK} (changed)")),
        Some(reason),
    )
}
