//! `TelecomBillingHook`: applies billing events to hourly usage and to active packages.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::outbox::{self, Outbox, expiring_before};
use super::{Batch, Consumer, Outcomes, Processor, Received};
use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::billing::{self, NewBillingBatch};
use crate::db::outbox::OutboxMessage;
use crate::db::user_package_usage::{self, UsageToAdd};
use crate::db::{self, Connection, node, package_queue};
use crate::domain::bucket::hour_of;
use crate::domain::package::{ActiveItem, Charge, Charged};
use crate::domain::traffic::{Traffic, UsageKey};
use crate::error::{Error, ErrorKind};
use crate::events::facts::Fact;
use crate::events::package_expiring::ExpiryReason;
use crate::events::publisher::Publisher;
use crate::events::user_usage_billing::{UserUsageBilling, UserUsageBillingEvent};

/// Consumer of route `telecom.user_usage_billing`.
#[derive(Debug, Clone)]
pub struct TelecomBillingHook {
    pool: PgPool,
    publisher: Publisher,
    context: Context,
}

/// A message with the key under which it is applied once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedBilling {
    /// Batch id, event id, or the queue's message id.
    pub id: Uuid,
    /// Of the payload.
    pub payload_hash: Vec<u8>,
    /// The charges.
    pub events: Vec<UserUsageBillingEvent>,
}

impl TelecomBillingHook {
    /// Over a database and a publisher that reaches the package-expiring queue and the bus.
    #[must_use]
    pub fn new(pool: PgPool, publisher: Publisher, context: Context) -> Self {
        Self { pool, publisher, context }
    }
}

#[async_trait]
impl FromApp for TelecomBillingHook {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.publisher().await, app.context()))
    }
}

impl Consumer for TelecomBillingHook {
    type Message = KeyedBilling;

    fn parse(&self, received: &Received, body: &str) -> Result<KeyedBilling, Error> {
        let billing = UserUsageBilling::parse(body)?;
        let payload_hash = billing.payload_hash();
        Ok(KeyedBilling { id: billing.key.unwrap_or(received.message_id), payload_hash, events: billing.events })
    }
}

#[async_trait]
impl Processor<Batch<KeyedBilling>> for TelecomBillingHook {
    type Output = Outcomes;

    #[tracing::instrument(name = "telecom_billing_hook", skip_all, fields(messages = batch.len()))]
    async fn process(&self, batch: Batch<KeyedBilling>) -> Result<Outcomes, Error> {
        let (outcomes, messages) =
            db::write_tx(&self.pool, "apply_user_usage_billing", async |tx| self.apply(tx, &batch).await).await?;
        outbox::send(&self.pool, &self.publisher, messages).await;
        Ok(outcomes)
    }
}

impl TelecomBillingHook {
    async fn apply(
        &self,
        tx: &mut Connection,
        batch: &Batch<KeyedBilling>,
    ) -> Result<(Outcomes, Vec<OutboxMessage>), Error> {
        let now = self.context.now();
        let fleet = Fleet::of(tx, batch).await?;
        let checked: Vec<Result<(), Error>> = batch.iter().map(|billing| fleet.check(billing)).collect();
        let known = batch.iter().zip(&checked).filter(|(_, check)| check.is_ok()).map(|(billing, _)| &**billing);
        let by_id = by_id(known);
        let new = billing::insert_new_batches(tx, &new_batches(&by_id)?, now).await?;
        let ids: Vec<Uuid> = by_id.keys().copied().collect();
        let recorded: HashMap<Uuid, Vec<u8>> = billing::batch_hashes(tx, &ids).await?.into_iter().collect();

        let events = new.iter().filter_map(|id| by_id.get(id)).flat_map(|billing| &billing.events);
        let messages = self.charge(tx, &fold(events)?, now).await?;
        let outcomes = batch.iter().zip(checked).map(|(billing, check)| check.and_then(|()| judge(billing, &recorded)));
        Ok((outcomes.collect(), messages))
    }

    /// Package items by user, then usage rows by key, then the outbox: every writer takes its locks in this order.
    async fn charge(
        &self,
        tx: &mut Connection,
        usage: &BTreeMap<UsageKey, Traffic>,
        now: DateTime<Utc>,
    ) -> Result<Vec<OutboxMessage>, Error> {
        let mut outbox = Outbox::new(&self.context, now);
        let items = charge_items(tx, &charges(usage)?, &mut outbox, now).await?;
        let item_of: HashMap<Uuid, i64> = items.iter().map(|item| (item.user_id, item.id)).collect();

        let usage: Vec<UsageToAdd> = usage
            .iter()
            .map(|(&key, &traffic)| UsageToAdd { key, package_queue_id: item_of.get(&key.user_id).copied(), traffic })
            .collect();
        user_package_usage::add(tx, &usage).await?;
        outbox.write(tx).await
    }
}

/// The servers that the batch names and that exist.
struct Fleet(HashSet<i32>);

impl Fleet {
    async fn of(tx: &mut Connection, batch: &Batch<KeyedBilling>) -> Result<Self, Error> {
        let named: HashSet<i32> =
            batch.iter().flat_map(|billing| &billing.events).map(|event| event.server_id).collect();
        let named: Vec<i32> = named.into_iter().collect();
        Ok(Self(node::existing(tx, &named).await?.into_iter().collect()))
    }

    fn check(&self, billing: &KeyedBilling) -> Result<(), Error> {
        match billing.events.iter().find(|event| !self.0.contains(&event.server_id)) {
            Some(event) => Err(Error::invalid(
                "unknown_server",
                "server_id",
                format!("there is no node server {}", event.server_id),
            )),
            None => Ok(()),
        }
    }
}

/// By id: sorted, and each id once. Of two under one id in a batch the first stands.
fn by_id<'b>(batch: impl Iterator<Item = &'b KeyedBilling>) -> BTreeMap<Uuid, &'b KeyedBilling> {
    let mut by_id = BTreeMap::new();
    for billing in batch {
        by_id.entry(billing.id).or_insert(billing);
    }
    by_id
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

/// A repeat is as good as the first; another payload under a recorded id is not.
fn judge(billing: &KeyedBilling, recorded: &HashMap<Uuid, Vec<u8>>) -> Result<(), Error> {
    if recorded.get(&billing.id) == Some(&billing.payload_hash) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        "billing_id_reused",
        format!("{} was applied with another payload; a new event or batch needs a new id", billing.id),
    ))
}

/// Folds events per user, hour, server and client.
fn fold<'e>(events: impl Iterator<Item = &'e UserUsageBillingEvent>) -> Result<BTreeMap<UsageKey, Traffic>, Error> {
    let mut usage: BTreeMap<UsageKey, Traffic> = BTreeMap::new();
    for event in events {
        let key = UsageKey {
            user_id: event.user,
            bucket_start: hour_of(event.at()),
            node_server_id: event.server_id,
            node_client_id: event.node_client_id,
        };
        let traffic = Traffic {
            raw_upload: event.raw_upload.unwrap_or(event.billed_upload),
            raw_download: event.raw_download.unwrap_or(event.billed_download),
            billed_upload: event.billed_upload,
            billed_download: event.billed_download,
        };
        let sum = usage.entry(key).or_default();
        *sum = sum.checked_add(traffic).ok_or_else(Error::overflow)?;
    }
    Ok(usage)
}

/// What each user is charged, sorted by user.
fn charges(usage: &BTreeMap<UsageKey, Traffic>) -> Result<Vec<Charge>, Error> {
    let mut charges: Vec<Charge> = Vec::new();
    for (key, traffic) in usage {
        let (upload, download) = (traffic.billed_upload, traffic.billed_download);
        match charges.last_mut().filter(|charge| charge.user_id == key.user_id) {
            Some(charge) => {
                charge.upload_bytes = charge.upload_bytes.checked_add(upload).ok_or_else(Error::overflow)?;
                charge.download_bytes = charge.download_bytes.checked_add(download).ok_or_else(Error::overflow)?;
            }
            None => charges.push(Charge { user_id: key.user_id, upload_bytes: upload, download_bytes: download }),
        }
    }
    Ok(charges)
}

/// Charges active items and answers them. `charges` is sorted by user.
async fn charge_items(
    tx: &mut Connection,
    charges: &[Charge],
    outbox: &mut Outbox<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<ActiveItem>, Error> {
    let mut items = lock_items(tx, charges).await?;
    let charge_of: HashMap<Uuid, &Charge> = charges.iter().map(|charge| (charge.user_id, charge)).collect();
    // A charge of nothing (factor 0) leaves an item as it is: nothing to write.
    let mut changed = Vec::with_capacity(items.len());
    for item in &mut items {
        let before = *item;
        if let Some(charge) = charge_of.get(&item.user_id) {
            let effect = item.charge(charge, now, expiring_before(now)).ok_or_else(Error::overflow)?;
            announce(item, &effect, outbox)?;
        }
        if *item != before {
            changed.push(*item);
        }
    }
    // Locked by now: they may be written in the order in which they lie, which is the cheapest.
    changed.sort_unstable_by_key(|item| item.id);
    package_queue::update_charged(tx, &changed).await?;
    Ok(items)
}

/// Locks twice: where the first time waited for a transaction that moved a user on, only a statement begun after
/// that one's commit sees the item that is active instead.
async fn lock_items(tx: &mut Connection, charges: &[Charge]) -> Result<Vec<ActiveItem>, Error> {
    let users: Vec<Uuid> = charges.iter().map(|charge| charge.user_id).collect();
    let mut items = package_queue::lock_active(tx, &users).await?;
    let found: HashSet<Uuid> = items.iter().map(|item| item.user_id).collect();
    let missing: Vec<Uuid> = users.into_iter().filter(|user| !found.contains(user)).collect();
    if !missing.is_empty() {
        items.extend(package_queue::lock_active(tx, &missing).await?);
    }
    Ok(items)
}

fn announce(item: &ActiveItem, charged: &Charged, outbox: &mut Outbox<'_>) -> Result<(), Error> {
    for &percent in &charged.thresholds {
        outbox.fact(&Fact::QuotaThresholdReached {
            user: item.user_id,
            package_queue_id: item.id,
            percent,
            used_bytes: charged.used_bytes,
            quota_bytes: item.quota_bytes,
        })?;
    }
    if charged.expiring {
        outbox.package_expiring(item.id, item.user_id, ExpiryReason::Traffic)?;
    }
    Ok(())
}
