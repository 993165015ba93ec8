//! `TelecomBillingHook`: applies billing events to hourly usage and to active packages.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::config::TelecomConfig;
use crate::db::accepted_usage::{self, AcceptedUsage};
use crate::db::billing::{self, NewBillingBatch};
use crate::db::parked_event::{self, NewParkedEvent};
use crate::db::{self, Connection, node};
use crate::domain::bucket::hour_of;
use crate::domain::dead_letter::Queue;
use crate::domain::levels::Levels;
use crate::domain::traffic::{Traffic, UsageKey};
use crate::error::Error;
use crate::events::outbox::OutboxMessage;
use crate::events::publisher::Publisher;
use crate::events::user_usage_billing::{UserUsageBilling, UserUsageBillingEvent};
use crate::services::charge::{self, Usage};
use crate::services::{Batch, Consumer, Outcomes, Processor, Received, idempotency, outbox};

/// Consumer of route `telecom.user_usage_billing`.
#[derive(Debug, Clone)]
pub struct TelecomBillingHook {
    pool: PgPool,
    publisher: Publisher,
    context: Context,
    requires_event_id: bool,
    thresholds: Levels,
}

/// A message and the key under which it is applied once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedBilling {
    /// Batch id, event id, or the queue's message id.
    pub id: Uuid,
    /// SHA-256 of the payload.
    pub payload_hash: Vec<u8>,
    /// The run of the billing job that published the message. `None` if another publisher did.
    pub billing_run_id: Option<Uuid>,
    /// The event, or the events of the batch. Never empty.
    pub events: Vec<UserUsageBillingEvent>,
}

impl TelecomBillingHook {
    /// A consumer with a database, a publisher that reaches the package-expiring queue and the
    /// event bus, and the default rules.
    #[must_use]
    pub fn new(pool: PgPool, publisher: Publisher, context: Context) -> Self {
        Self {
            pool,
            publisher,
            context,
            requires_event_id: false,
            thresholds: Levels::DEFAULT_QUOTA_PERCENT,
        }
    }

    /// Applies the rules of a deployment.
    #[must_use]
    pub fn with_config(self, config: &TelecomConfig) -> Self {
        Self {
            requires_event_id: config.require_event_id,
            thresholds: config.quota_thresholds_percent,
            ..self
        }
    }
}

#[async_trait]
impl FromApp for TelecomBillingHook {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        let hook = Self::new(app.database()?, app.publisher().await, app.context());
        Ok(hook.with_config(&app.config()?))
    }
}

impl Consumer for TelecomBillingHook {
    type Message = KeyedBilling;
    const QUEUE: Queue = Queue::UserUsageBilling;

    fn parse(&self, received: &Received, body: &str) -> Result<KeyedBilling, Error> {
        let billing = UserUsageBilling::parse(body)?;
        let payload_hash = billing.payload_hash();
        if billing.key.is_none() && self.requires_event_id {
            return Err(Error::invalid(
                "event_id_missing",
                "event_id",
                "is missing, but this deployment requires it",
            ));
        }
        Ok(KeyedBilling {
            id: billing.key.unwrap_or(received.message_id),
            payload_hash,
            billing_run_id: billing.billing_run_id,
            events: billing.events,
        })
    }
}

#[async_trait]
impl Processor<Batch<KeyedBilling>> for TelecomBillingHook {
    type Output = Outcomes;

    #[tracing::instrument(name = "telecom_billing_hook", skip_all, fields(messages = batch.len()))]
    async fn process(&self, batch: Batch<KeyedBilling>) -> Result<Outcomes, Error> {
        const NAME: &str = "apply_user_usage_billing";
        let together = db::write_tx(&self.pool, NAME, async |tx| {
            self.apply(tx, &batch, Charging::Together).await
        });
        let (outcomes, messages) = match together.await {
            Err(error) if charge::may_be_charged_separately(&error) => {
                tracing::warn!(
                    cause = error.cause(),
                    code = error.code(),
                    "charging users separately"
                );
                db::write_tx(&self.pool, NAME, async |tx| {
                    self.apply(tx, &batch, Charging::Separately).await
                })
                .await?
            }
            applied => applied?,
        };
        outbox::send(&self.pool, &self.publisher, messages).await;
        Ok(outcomes)
    }
}

/// How users are charged.
#[derive(Debug, Clone, Copy)]
enum Charging {
    /// All users in one statement per table. A failure concerns all of them.
    Together,
    /// In groups. The usage of users who cannot be charged is parked.
    Separately,
}

impl TelecomBillingHook {
    async fn apply(
        &self,
        tx: &mut Connection,
        batch: &Batch<KeyedBilling>,
        charging: Charging,
    ) -> Result<(Outcomes, Vec<OutboxMessage>), Error> {
        let servers = Servers::of(tx, batch).await?;
        let checked: Vec<Result<(), Error>> =
            batch.iter().map(|billing| servers.check(billing)).collect();
        let known = batch
            .iter()
            .zip(&checked)
            .filter(|(_, check)| check.is_ok())
            .map(|(billing, _)| &**billing);
        let by_id = by_id(known);
        let new =
            billing::insert_new_batches(tx, &new_batches(&by_id)?, self.context.now()).await?;
        let ids: Vec<Uuid> = by_id.keys().copied().collect();
        let recorded: HashMap<Uuid, Vec<u8>> =
            billing::batch_hashes(tx, &ids).await?.into_iter().collect();

        let new: Vec<&KeyedBilling> = new.iter().filter_map(|id| by_id.get(id).copied()).collect();
        let usage = fold(new.iter().flat_map(|billing| &billing.events))?;
        accepted_usage::insert(tx, &accepted(&new)).await?;
        let messages = match charging {
            Charging::Together => {
                charge::together(tx, &self.context, &self.thresholds, &usage).await?
            }
            Charging::Separately => self.charge_or_park(tx, &usage).await?,
        };
        let outcomes = batch
            .iter()
            .zip(checked)
            .map(|(billing, check)| check.and_then(|()| check_payload(billing, &recorded)));
        Ok((outcomes.collect(), messages))
    }

    async fn charge_or_park(
        &self,
        tx: &mut Connection,
        usage: &Usage,
    ) -> Result<Vec<OutboxMessage>, Error> {
        let (messages, refused) =
            charge::separately(tx, &self.context, &self.thresholds, usage).await?;
        let reasons: HashMap<Uuid, &str> = refused
            .iter()
            .map(|refused| (refused.user_id, refused.reason.as_str()))
            .collect();
        let parked: Vec<NewParkedEvent<'_>> = usage
            .iter()
            .filter_map(|(&key, &traffic)| {
                Some(NewParkedEvent {
                    key,
                    traffic,
                    reason: reasons.get(&key.user_id)?,
                })
            })
            .collect();
        parked_event::insert(tx, &parked, self.context.now()).await?;
        Ok(messages)
    }
}

/// The existing servers and billing runs among those that a delivery names.
struct Servers {
    known: HashSet<i32>,
    runs: HashSet<Uuid>,
}

impl Servers {
    async fn of(tx: &mut Connection, batch: &Batch<KeyedBilling>) -> Result<Self, Error> {
        let named: HashSet<i32> = batch
            .iter()
            .flat_map(|billing| &billing.events)
            .map(|event| event.server_id)
            .collect();
        let named: Vec<i32> = named.into_iter().collect();
        let known: HashSet<i32> = node::existing(tx, &named).await?.into_iter().collect();
        let runs: Vec<Uuid> = batch
            .iter()
            .filter_map(|billing| billing.billing_run_id)
            .collect();
        // A server may have been deleted since its reports were accepted. Only then the runs are
        // needed.
        let runs = if known.len() < named.len() {
            billing::existing_runs(tx, &runs).await?
        } else {
            Vec::new()
        };
        Ok(Self {
            known,
            runs: runs.into_iter().collect(),
        })
    }

    fn check(&self, billing: &KeyedBilling) -> Result<(), Error> {
        let is_ours = billing
            .billing_run_id
            .is_some_and(|run| self.runs.contains(&run));
        let is_known = |event: &UserUsageBillingEvent| self.known.contains(&event.server_id);
        if is_ours || billing.events.iter().all(is_known) {
            return Ok(());
        }
        Err(Error::invalid(
            "unknown_server",
            "server_id",
            "unknown node server",
        ))
    }
}

fn by_id<'b>(batch: impl Iterator<Item = &'b KeyedBilling>) -> BTreeMap<Uuid, &'b KeyedBilling> {
    idempotency::first_of_each_key(batch, |billing| billing.id)
}

fn new_batches(by_id: &BTreeMap<Uuid, &KeyedBilling>) -> Result<Vec<NewBillingBatch>, Error> {
    let new = |billing: &&KeyedBilling| {
        Ok(NewBillingBatch {
            id: billing.id,
            payload_hash: billing.payload_hash.clone(),
            event_count: i32::try_from(billing.events.len()).map_err(Error::internal)?,
        })
    };
    by_id.values().map(new).collect()
}

fn check_payload(billing: &KeyedBilling, recorded: &HashMap<Uuid, Vec<u8>>) -> Result<(), Error> {
    let (id, hash) = (billing.id, &billing.payload_hash);
    let what = format!("Billing id {id}");
    idempotency::check_payload(recorded, &id, hash, "billing_id_reused", &what)
}

/// Sums up events per user, hour, server and client. Events arrive nearly sorted by user, so
/// sorting them takes less time than a lookup for each.
fn fold<'e>(events: impl Iterator<Item = &'e UserUsageBillingEvent>) -> Result<Usage, Error> {
    let mut rows: Vec<(UsageKey, Traffic)> = events
        .map(|event| (usage_key(event), traffic(event)))
        .collect();
    rows.sort_by_key(|(key, _)| *key);
    let mut sums: Vec<(UsageKey, Traffic)> = Vec::with_capacity(rows.len());
    for (key, traffic) in rows {
        match sums.last_mut() {
            Some((last, sum)) if *last == key => {
                *sum = sum.checked_add(traffic).ok_or_else(Error::overflow)?;
            }
            _ => sums.push((key, traffic)),
        }
    }
    Ok(sums.into_iter().collect())
}

fn usage_key(event: &UserUsageBillingEvent) -> UsageKey {
    UsageKey {
        user_id: event.user,
        bucket_start: hour_of(event.at()),
        node_server_id: event.server_id,
        node_client_id: event.node_client_id,
    }
}

fn traffic(event: &UserUsageBillingEvent) -> Traffic {
    Traffic {
        raw_upload: event.raw_upload.unwrap_or(event.billed_upload),
        raw_download: event.raw_download.unwrap_or(event.billed_download),
        billed_upload: event.billed_upload,
        billed_download: event.billed_download,
    }
}

/// Accepted usage by billing run and hour. A sum that would overflow is split into two rows.
fn accepted(new: &[&KeyedBilling]) -> Vec<AcceptedUsage> {
    let mut sums: BTreeMap<(Option<Uuid>, DateTime<Utc>), Traffic> = BTreeMap::new();
    let mut full = Vec::new();
    for billing in new {
        for event in &billing.events {
            let (billing_run_id, bucket_start) = (billing.billing_run_id, hour_of(event.at()));
            let sum = sums.entry((billing_run_id, bucket_start)).or_default();
            match sum.checked_add(traffic(event)) {
                Some(total) => *sum = total,
                None => full.push(AcceptedUsage {
                    billing_run_id,
                    bucket_start,
                    traffic: std::mem::replace(sum, traffic(event)),
                }),
            }
        }
    }
    let sums = sums.into_iter();
    full.extend(
        sums.map(|((billing_run_id, bucket_start), traffic)| AcceptedUsage {
            billing_run_id,
            bucket_start,
            traffic,
        }),
    );
    full
}
