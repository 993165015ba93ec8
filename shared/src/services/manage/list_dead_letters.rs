//! `ListDeadLetters`: returns how many messages wait in dead-letter queues, and why messages
//! failed.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::{self, dead_letter};
use crate::domain::dead_letter::DeadLetterQueue;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests the dead letters of all queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListDeadLetters;

impl Operation for ListDeadLetters {
    const NAME: &'static str = "ListDeadLetters";
    const ACCESS: Access = Access::AdminRead;
}

/// The dead letters of all queues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeadLetters {
    /// The queues, those of usage first.
    pub queues: Vec<DeadLetterQueue>,
}

#[async_trait]
impl Processor<ListDeadLetters> for ManageService {
    type Output = DeadLetters;

    #[tracing::instrument(name = "list_dead_letters", skip_all)]
    async fn process(&self, _: ListDeadLetters) -> Result<DeadLetters, Error> {
        let queues = db::read_tx(&self.pool, async |tx| dead_letter::list(tx).await).await?;
        Ok(DeadLetters { queues })
    }
}
