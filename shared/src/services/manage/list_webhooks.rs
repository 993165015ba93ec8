//! `ListWebhooks`: lists the receivers of facts.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, webhook};
use crate::domain::webhook::{PAGES, Webhook};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of webhooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListWebhooks {
    /// Maximum number of webhooks to return, within [`PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of webhooks to skip. `None` skips none.
    pub offset: Option<i64>,
    /// Whether disabled webhooks are returned, too.
    pub include_disabled: bool,
}

impl Operation for ListWebhooks {
    const NAME: &'static str = "ListWebhooks";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Webhooks {
    /// Webhooks of this page, newest first.
    pub webhooks: Vec<Webhook>,
    /// Number of matching webhooks on all pages.
    pub total: i64,
}

#[async_trait]
impl Processor<ListWebhooks> for ManageService {
    type Output = Webhooks;

    #[tracing::instrument(name = "list_webhooks", skip_all)]
    async fn process(&self, input: ListWebhooks) -> Result<Webhooks, Error> {
        let page = PAGES.page(input.limit, input.offset)?;
        let (webhooks, total) = db::read_tx(&self.pool, async |tx| {
            webhook::list(tx, input.include_disabled, page).await
        })
        .await?;
        Ok(Webhooks { webhooks, total })
    }
}
