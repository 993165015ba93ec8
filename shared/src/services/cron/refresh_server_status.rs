//! `RefreshServerStatus`: marks servers that went silent or came back, and says so once.

use async_trait::async_trait;
use serde::Serialize;

use super::{Run, TelecomCronExecutor};
use crate::db::outbox::OutboxMessage;
use crate::db::{self, Transaction, node_status};
use crate::domain::node_status::{Judgement, Patience, Verdict, judge};
use crate::error::Error;
use crate::events::facts::Fact;
use crate::services::Processor;
use crate::services::outbox::{self, Outbox};
use crate::telemetry;

/// The job.
#[derive(Debug, Clone, Copy)]
pub struct RefreshServerStatus(pub Run);

/// What changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Refreshed {
    /// Servers that came online.
    pub online: usize,
    /// Servers that went offline.
    pub offline: usize,
    /// No server is heard: nothing is known of any.
    pub collection_stopped: bool,
}

#[async_trait]
impl Processor<RefreshServerStatus> for TelecomCronExecutor {
    type Output = Refreshed;

    #[tracing::instrument(name = "refresh_server_status", skip_all)]
    async fn process(&self, _: RefreshServerStatus) -> Result<Refreshed, Error> {
        let (refreshed, messages) = db::retry_conflicts("refresh_server_status", || self.refresh()).await?;
        outbox::send(&self.pool, &self.publisher, messages).await;
        // Each run says it, so that an alarm on it lasts as long as the outage does.
        telemetry::count("CollectionStopped", usize::from(refreshed.collection_stopped));
        Ok(refreshed)
    }
}

impl TelecomCronExecutor {
    async fn refresh(&self) -> Result<(Refreshed, Vec<OutboxMessage>), Error> {
        let now = self.context.now();
        let mut tx = self.pool.begin().await?;
        if !db::try_job_lock(&mut tx, "refresh_server_status").await? {
            return Ok((Refreshed::default(), Vec::new()));
        }
        let patience = Patience::from(self.config.node_health_check);
        let mut outbox = Outbox::new(&self.context, now);
        node_status::begin_log(&mut tx, now).await?;
        let refreshed = match judge(&node_status::heard(&mut tx).await?, &patience, now) {
            Verdict::CollectionStopped { since, begins } => {
                if begins {
                    node_status::open_collection_outage(&mut tx, since).await?;
                    outbox.fact(&Fact::CollectionStopped { since })?;
                }
                Refreshed { collection_stopped: true, ..Refreshed::default() }
            }
            Verdict::Judge { ended, judgement } => {
                if let Some(outage) = ended {
                    node_status::close_collection_outage(&mut tx, outage.until).await?;
                    outbox.fact(&Fact::CollectionResumed { since: outage.since })?;
                }
                self.mark(&mut tx, judgement, &mut outbox).await?
            }
        };
        let messages = outbox.write(&mut tx).await?;
        tx.commit().await?;
        Ok((refreshed, messages))
    }

    async fn mark(
        &self,
        tx: &mut Transaction,
        judgement: Judgement,
        outbox: &mut Outbox<'_>,
    ) -> Result<Refreshed, Error> {
        node_status::shorten_outages(tx, judgement.offline_before).await?;
        let edges = node_status::mark(tx, judgement).await?;
        node_status::log_edges(tx, &edges, self.context.now(), None).await?;
        let mut refreshed = Refreshed::default();
        for edge in &edges {
            let fact = Fact::of_edge(edge);
            match &fact {
                Some(Fact::NodeServerCameOnline { .. }) => refreshed.online += 1,
                Some(Fact::NodeServerWentOffline { .. }) => refreshed.offline += 1,
                _ => {}
            }
            fact.map_or(Ok(()), |fact| outbox.fact(&fact))?;
        }
        Ok(refreshed)
    }
}
