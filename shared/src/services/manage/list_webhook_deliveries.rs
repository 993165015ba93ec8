//! `ListWebhookDeliveries`: the log of the deliveries to a receiver.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::ManageService;
use super::create_webhook::not_found;
use crate::auth::Access;
use crate::db::{self, webhook, webhook_delivery};
use crate::domain::webhook::{DELIVERY_PAGES, DeliveryStatus, WebhookDelivery};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of the deliveries of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListWebhookDeliveries {
    /// Id of the webhook.
    pub id: Uuid,
    /// Maximum number of deliveries to return, within [`DELIVERY_PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of deliveries to skip. `None` skips none.
    pub offset: Option<i64>,
    /// State of the deliveries. `None` for all.
    pub status: Option<DeliveryStatus>,
}

impl Operation for ListWebhookDeliveries {
    const NAME: &'static str = "ListWebhookDeliveries";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WebhookDeliveries {
    /// Deliveries of this page, newest first (in descending order of id).
    pub deliveries: Vec<WebhookDelivery>,
    /// Number of matching deliveries on all pages. Counting stops at 10000, so there may be more.
    pub total: i64,
}

#[async_trait]
impl Processor<ListWebhookDeliveries> for ManageService {
    type Output = WebhookDeliveries;

    #[tracing::instrument(name = "list_webhook_deliveries", skip_all)]
    async fn process(&self, input: ListWebhookDeliveries) -> Result<WebhookDeliveries, Error> {
        let page = DELIVERY_PAGES.page(input.limit, input.offset)?;
        db::read_tx(&self.pool, async |tx| {
            if !webhook::exists(tx, input.id).await? {
                return Err(not_found(input.id));
            }
            let (deliveries, total) =
                webhook_delivery::list(tx, input.id, input.status, page).await?;
            Ok(WebhookDeliveries { deliveries, total })
        })
        .await
    }
}
