//! `CreateWebhook`: lets a receiver get facts over HTTPS.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::db::{Connection, webhook};
use crate::domain::audit::Target;
use crate::domain::condition::Accepts;
use crate::domain::webhook::secret::WebhookSecret;
use crate::domain::webhook::url::Receivers;
use crate::domain::webhook::{MAX_DESCRIPTION, MAX_ENABLED, MAX_TYPES, Webhook, WebhookSettings};
use crate::domain::{line, one_of};
use crate::error::{Error, ErrorKind};
use crate::events::facts::FactType;
use crate::services::Operation;
use crate::services::change::{Change, Work};

/// Creates a webhook with a new secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateWebhook {
    /// The receiver and what it gets.
    pub settings: WebhookSettings,
}

impl Operation for CreateWebhook {
    const NAME: &'static str = "CreateWebhook";
    const ACCESS: Access = Access::Admin;
    const DATABASE_ROLE: DatabaseRole = DatabaseRole::Api;
    const ACCEPTS: Accepts = Accepts::RequiredIdempotencyKey;
    const USES_WEBHOOK_KEY: bool = true;
}

/// A webhook with its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretWebhook {
    /// The webhook without its secret.
    pub webhook: Webhook,
    /// The secret, with which the receiver verifies the signatures of requests. It is not shown
    /// again. `null` if the call was repeated with its idempotency key. If the first answer was
    /// lost, rotate the secret.
    pub secret: Option<String>,
}

#[async_trait]
impl Change for CreateWebhook {
    type Output = SecretWebhook;
    const SHOWN_ONCE: &'static [&'static str] = &["secret"];

    fn checked(self) -> Result<Self, Error> {
        let WebhookSettings {
            url,
            description,
            event_types,
        } = self.settings;
        let description = line("description", &description, MAX_DESCRIPTION)?;
        if event_types.len() > MAX_TYPES {
            let accepted = format!("at most {MAX_TYPES} types");
            return Err(Error::parameter("event_types", &accepted));
        }
        let types = event_types.iter().enumerate().map(|(index, text)| {
            let known: FactType = one_of(&format!("event_types[{index}]"), text)?;
            Ok(<&str>::from(known).to_owned())
        });
        let mut event_types = types.collect::<Result<Vec<String>, Error>>()?;
        event_types.sort();
        event_types.dedup();
        // The deployment may allow less, which `apply` checks.
        let url = Receivers::Any.check(&url)?;
        let settings = WebhookSettings {
            url,
            description,
            event_types,
        };
        Ok(Self { settings })
    }

    async fn apply(
        &self,
        tx: &mut Connection,
        work: &mut Work<'_>,
    ) -> Result<SecretWebhook, Error> {
        let settings = WebhookSettings {
            url: work.webhooks.receivers.check(&self.settings.url)?,
            ..self.settings.clone()
        };
        webhook::lock_number(tx).await?;
        if webhook::count_enabled(tx).await? >= MAX_ENABLED {
            return Err(too_many());
        }
        let (id, secret) = (work.ids.next_id(), WebhookSecret::random()?);
        let sealed = work.webhooks.keys.known()?.seal(id, &secret)?;
        webhook::insert(tx, id, &settings, &sealed, work.now).await?;
        work.created(Target::Webhook(id), &settings)?;
        Ok(SecretWebhook {
            webhook: find(tx, id).await?,
            secret: Some(secret.show()),
        })
    }
}

fn too_many() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "too_many_webhooks",
        format!("There are {MAX_ENABLED} webhooks. Disable one of them first."),
    )
}

/// Returns a webhook that exists, and locks it.
pub(super) async fn find(tx: &mut Connection, id: Uuid) -> Result<Webhook, Error> {
    webhook::lock(tx, id).await?.ok_or_else(|| not_found(id))
}

/// The error for a webhook that does not exist.
pub(super) fn not_found(id: Uuid) -> Error {
    Error::not_found(&format!("Webhook {id}"))
}

/// The error for a webhook that is disabled.
pub(super) fn disabled(id: Uuid) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "webhook_disabled",
        format!("Webhook {id} is disabled. Create another one."),
    )
}
