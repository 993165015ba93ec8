//! `DeliverWebhooksJob`: sends facts to the receivers of webhooks, and attempts failed deliveries
//! again.
//!
//! Each webhook has [`REQUESTS_PER_WEBHOOK`] requests of its own. A receiver that does not answer
//! takes nothing from the others.

mod attempt;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use self::attempt::{Attempt, Finished};
use super::{Job, Run};
use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::webhook_delivery::{self, Busy, Claimed};
use crate::db::{self, webhook};
use crate::domain::job_run::JobName;
use crate::domain::webhook::{DeliveryStatus, REQUESTS_PER_WEBHOOK, WebhookEnd};
use crate::error::Error;
use crate::events::webhook::keys::WebhookKeySource;
use crate::events::webhook::sender::{REQUEST_TIMEOUT, WebhookClient, WebhookSender};
use crate::services::Processor;
use crate::telemetry;

/// How long a run alone may attempt a delivery. If the run is killed, another one attempts the
/// delivery after this time.
pub const CLAIM: TimeDelta = TimeDelta::seconds(60);
/// While requests are open, new deliveries are looked for at this interval at least.
const POLL: Duration = Duration::from_secs(1);
/// For so long, further responses are awaited after the first one, to record them together.
const GATHER: Duration = Duration::from_millis(20);

/// Input of the job.
#[derive(Debug, Clone, Copy)]
pub struct DeliverWebhooksJob(pub Run);

impl Job for DeliverWebhooksJob {
    const NAME: JobName = JobName::DeliverWebhooks;
}

/// Result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DeliveredWebhooks {
    /// Number of facts that receivers accepted.
    pub delivered: usize,
    /// Number of failed attempts after which another one follows.
    pub retried: usize,
    /// Number of deliveries that were given up.
    pub failed: usize,
}

/// Delivers facts to webhooks.
#[derive(Debug, Clone)]
pub struct WebhookDispatcher {
    pool: PgPool,
    context: Context,
    keys: WebhookKeySource,
    sender: WebhookSender,
}

impl WebhookDispatcher {
    /// Creates a dispatcher that signs with secrets that `keys` decrypt.
    #[must_use]
    pub fn new(
        pool: PgPool,
        context: Context,
        keys: WebhookKeySource,
        sender: WebhookSender,
    ) -> Self {
        Self {
            pool,
            context,
            keys,
            sender,
        }
    }
}

#[async_trait]
impl FromApp for WebhookDispatcher {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        let config = app.webhooks()?;
        let sender = WebhookSender::new(config.receivers);
        let keys = app.webhook_keys(&config).await;
        Ok(Self::new(app.database()?, app.context(), keys, sender))
    }
}

#[async_trait]
impl Processor<DeliverWebhooksJob> for WebhookDispatcher {
    type Output = DeliveredWebhooks;

    #[tracing::instrument(name = "deliver_webhooks", skip_all)]
    async fn process(
        &self,
        DeliverWebhooksJob(run): DeliverWebhooksJob,
    ) -> Result<DeliveredWebhooks, Error> {
        // Without webhooks, the run does not wait for work.
        if !self.keys.exists() || db::on_connection(&self.pool, webhook::count_enabled).await? == 0
        {
            return Ok(DeliveredWebhooks::default());
        }
        let mut deliveries = Deliveries {
            dispatcher: self,
            client: self.sender.client()?,
            open: FuturesUnordered::new(),
            busy: HashMap::new(),
            done: DeliveredWebhooks::default(),
        };
        let result = deliveries.make(run).await;
        telemetry::count("WebhooksDelivered", deliveries.done.delivered);
        telemetry::count("WebhookAttemptsFailed", deliveries.done.retried);
        telemetry::count("WebhookDeliveriesFailed", deliveries.done.failed);
        self.measure_age().await?;
        result.map(|()| deliveries.done)
    }
}

impl WebhookDispatcher {
    async fn measure_age(&self) -> Result<(), Error> {
        let oldest = db::on_connection(&self.pool, webhook_delivery::oldest_due).await?;
        let age = oldest.map_or(0, |oldest| {
            (self.context.now() - oldest).num_seconds().max(0)
        });
        telemetry::measure("WebhookDueAgeSeconds", age);
        Ok(())
    }
}

/// The deliveries of one run.
struct Deliveries<'d> {
    dispatcher: &'d WebhookDispatcher,
    client: WebhookClient,
    open: FuturesUnordered<BoxFuture<'d, Finished>>,
    /// Number of open requests per webhook.
    busy: HashMap<Uuid, i64>,
    done: DeliveredWebhooks,
}

impl Deliveries<'_> {
    /// Makes deliveries until the deadline is near, or until none is due and the run does not
    /// repeat its work.
    async fn make(&mut self, run: Run) -> Result<(), Error> {
        loop {
            // The last requests may take their whole time.
            let may_start = run.has_time_for(REQUEST_TIMEOUT);
            if may_start {
                self.start_due().await?;
            }
            if !self.open.is_empty() {
                let finished = self.next_finished().await;
                self.record(&finished).await?;
            } else if !may_start || !run.next_round(Instant::now()).await {
                return Ok(());
            }
        }
    }

    /// Sends requests for deliveries that are due, as many as their webhooks may have.
    async fn start_due(&mut self) -> Result<(), Error> {
        let busy: Vec<Busy> = self.busy();
        let per_webhook = i64::try_from(REQUESTS_PER_WEBHOOK).map_err(Error::internal)?;
        let now = self.dispatcher.context.now();
        let until = now + CLAIM;
        let claimed = db::on_connection(&self.dispatcher.pool, async |connection| {
            webhook_delivery::claim(connection, &busy, per_webhook, now, until).await
        })
        .await?;
        if claimed.is_empty() {
            return Ok(());
        }
        let keys = self.dispatcher.keys.keys().await?;
        for delivery in claimed {
            *self.busy.entry(delivery.webhook_id).or_default() += 1;
            let attempt = Attempt::new(delivery, until, keys, now);
            let (client, context) = (self.client.clone(), &self.dispatcher.context);
            self.open.push(Box::pin(
                async move { attempt.send(&client, context).await },
            ));
        }
        Ok(())
    }

    fn busy(&self) -> Vec<Busy> {
        let busy = |(&webhook_id, &requests): (&Uuid, &i64)| Busy {
            webhook_id,
            requests,
        };
        self.busy.iter().map(busy).collect()
    }

    /// Waits for the next response, and for those that follow it at once. Empty if there was none
    /// for a second.
    async fn next_finished(&mut self) -> Vec<Finished> {
        let mut finished = Vec::new();
        let mut wait = POLL;
        while let Ok(Some(one)) = tokio::time::timeout(wait, self.open.next()).await {
            if let Some(requests) = self.busy.get_mut(&one.webhook_id) {
                *requests -= 1;
            }
            finished.push(one);
            wait = GATHER;
        }
        finished
    }

    async fn record(&mut self, finished: &[Finished]) -> Result<(), Error> {
        if finished.is_empty() {
            return Ok(());
        }
        let attempts: Vec<_> = finished.iter().map(|one| one.attempted).collect();
        let gone = finished.iter().filter(|one| one.is_gone);
        let gone: Vec<Uuid> = gone.map(|one| one.webhook_id).collect();
        let now = self.dispatcher.context.now();
        db::write_tx(&self.dispatcher.pool, "deliver_webhooks", async |tx| {
            webhook_delivery::save(tx, &attempts).await?;
            if !gone.is_empty() {
                webhook::disable(tx, &gone, now, WebhookEnd::Gone).await?;
            }
            Ok(())
        })
        .await?;
        for attempt in &attempts {
            match attempt.status {
                DeliveryStatus::Delivered => self.done.delivered += 1,
                DeliveryStatus::Pending => self.done.retried += 1,
                DeliveryStatus::Failed => self.done.failed += 1,
            }
        }
        Ok(())
    }
}
