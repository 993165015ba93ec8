//! `ShowWebhook`: returns a webhook.

use async_trait::async_trait;
use uuid::Uuid;

use super::ManageService;
use super::create_webhook::not_found;
use super::disable_webhook::ShownWebhook;
use crate::auth::Access;
use crate::db::{self, webhook};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests one webhook, which may be disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShowWebhook {
    /// Id of the webhook.
    pub id: Uuid,
}

impl Operation for ShowWebhook {
    const NAME: &'static str = "ShowWebhook";
    const ACCESS: Access = Access::AdminRead;
}

#[async_trait]
impl Processor<ShowWebhook> for ManageService {
    type Output = ShownWebhook;

    #[tracing::instrument(name = "show_webhook", skip_all, fields(id = %input.id))]
    async fn process(&self, input: ShowWebhook) -> Result<ShownWebhook, Error> {
        let webhook = db::on_connection(&self.pool, async |connection| {
            webhook::show(connection, input.id).await
        })
        .await?;
        let webhook = webhook.ok_or_else(|| not_found(input.id))?;
        Ok(ShownWebhook { webhook })
    }
}
