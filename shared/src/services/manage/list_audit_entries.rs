//! `ListAuditEntries`: lists who changed what, and who was shown secrets, newest first.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, audit};
use crate::domain::audit::{Filter, PAGES, RecordedAction};
use crate::domain::within;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests a page of audit entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListAuditEntries {
    /// Maximum number of entries to return, within [`PAGES`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of entries to skip. `None` skips none.
    pub offset: Option<i64>,
    /// Conditions that the returned entries meet.
    pub filter: Filter,
}

impl Operation for ListAuditEntries {
    const NAME: &'static str = "ListAuditEntries";
    const ACCESS: Access = Access::AdminRead;
}

/// A page of audit entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditEntries {
    /// Entries of this page, newest first (in descending order of time, then id).
    pub entries: Vec<RecordedAction>,
    /// Number of matching entries on all pages. Counting stops at 10000, so there may be more.
    pub total: i64,
}

#[async_trait]
impl Processor<ListAuditEntries> for ManageService {
    type Output = AuditEntries;

    #[tracing::instrument(name = "list_audit_entries", skip_all)]
    async fn process(&self, input: ListAuditEntries) -> Result<AuditEntries, Error> {
        let page = PAGES.page(input.limit, input.offset)?;
        if let Some(id) = input.filter.older_than {
            within("older_than", id, 1, i64::MAX)?;
        }
        if let (Some(start), Some(end)) = (input.filter.start, input.filter.end)
            && start >= end
        {
            return Err(Error::parameter("start", "a time before `end`"));
        }
        let (entries, total) = db::read_tx(&self.pool, async |tx| {
            audit::list(tx, &input.filter, page).await
        })
        .await?;
        Ok(AuditEntries { entries, total })
    }
}
