//! The service for receivers of facts.

use proto::v1;
use proto::v1::webhook_manage_server::WebhookManage;
use shared::auth::Principal;
use shared::domain::webhook::{DEFAULT_OVERLAP_SECONDS, WebhookSettings};
use shared::services::manage::{
    CreateWebhook, DisableWebhook, ListWebhookDeliveries, ListWebhooks, RedeliverWebhook,
    RotateWebhookSecret, ShowWebhook,
};
use tonic::{Request, async_trait};

use super::{Manage, Reply};
use crate::convert::{given, named_or_none, required_uuid};

#[async_trait]
impl WebhookManage for Manage {
    async fn list_webhooks(
        &self,
        request: Request<v1::ListWebhooksRequest>,
    ) -> Reply<v1::ListWebhooksResponse> {
        let input = |_: &_, asked: v1::ListWebhooksRequest| {
            Ok(ListWebhooks {
                limit: given(asked.limit),
                offset: given(asked.offset),
                include_disabled: asked.include_disabled,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn show_webhook(
        &self,
        request: Request<v1::ShowWebhookRequest>,
    ) -> Reply<v1::ShowWebhookResponse> {
        let input = |_: &_, asked: v1::ShowWebhookRequest| {
            Ok(ShowWebhook {
                id: required_uuid("id", &asked.id)?,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn create_webhook(
        &self,
        request: Request<v1::CreateWebhookRequest>,
    ) -> Reply<v1::CreateWebhookResponse> {
        let input = |caller: &Principal, asked: v1::CreateWebhookRequest| {
            let settings = WebhookSettings {
                url: asked.url,
                description: asked.description,
                event_types: asked.event_types,
            };
            Ok(caller.request(CreateWebhook { settings }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn rotate_webhook_secret(
        &self,
        request: Request<v1::RotateWebhookSecretRequest>,
    ) -> Reply<v1::RotateWebhookSecretResponse> {
        let input = |caller: &Principal, asked: v1::RotateWebhookSecretRequest| {
            Ok(caller.request(RotateWebhookSecret {
                id: required_uuid("id", &asked.id)?,
                overlap_seconds: asked.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS),
                reason: asked.reason,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn disable_webhook(
        &self,
        request: Request<v1::DisableWebhookRequest>,
    ) -> Reply<v1::DisableWebhookResponse> {
        let input = |caller: &Principal, asked: v1::DisableWebhookRequest| {
            Ok(caller.request(DisableWebhook {
                id: required_uuid("id", &asked.id)?,
                reason: asked.reason,
            }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn list_webhook_deliveries(
        &self,
        request: Request<v1::ListWebhookDeliveriesRequest>,
    ) -> Reply<v1::ListWebhookDeliveriesResponse> {
        let input = |_: &_, asked: v1::ListWebhookDeliveriesRequest| {
            Ok(ListWebhookDeliveries {
                id: required_uuid("id", &asked.id)?,
                limit: given(asked.limit),
                offset: given(asked.offset),
                status: named_or_none::<v1::DeliveryStatus, _>("status", asked.status)?,
            })
        };
        self.dispatcher.call(&self.service, request, input).await
    }

    async fn redeliver_webhook(
        &self,
        request: Request<v1::RedeliverWebhookRequest>,
    ) -> Reply<v1::RedeliverWebhookResponse> {
        let input = |caller: &Principal, asked: v1::RedeliverWebhookRequest| {
            let (id, reason) = (asked.id, asked.reason);
            Ok(caller.request(RedeliverWebhook { id, reason }))
        };
        self.dispatcher.call(&self.service, request, input).await
    }
}
