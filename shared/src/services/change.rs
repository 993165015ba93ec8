//! Changes that administrators make. The transaction of a change also contains its audit entries,
//! its facts, and its answer if the call has an idempotency key. So each of them exists if and only
//! if the change does.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::Operation;
use super::outbox::Outbox;
use crate::auth::Access;
use crate::clock::{Context, IdSource};
use crate::config::{DatabaseRole, TelecomConfig};
use crate::db::answered_call::{self, AnsweredCall, Found};
use crate::db::{self, Connection, audit};
use crate::domain::audit::{Actor, AuditEntry, Target};
use crate::domain::condition::{Accepts, Conditions};
use crate::domain::webhook::url::Receivers;
use crate::error::{Error, ErrorKind};
use crate::events::webhook::keys::WebhookKeySource;

/// A change that a caller requests.
#[derive(Debug, Clone)]
pub struct Requested<C> {
    /// The input, which states what to change.
    pub change: C,
    /// The caller, whom the audit log names.
    pub actor: Actor,
    /// What the caller demands of the change.
    pub conditions: Conditions,
}

impl<C> Requested<C> {
    /// A change without conditions.
    pub fn by(actor: Actor, change: C) -> Self {
        Self {
            change,
            actor,
            conditions: Conditions::default(),
        }
    }
}

impl<C: Operation> Operation for Requested<C> {
    const NAME: &'static str = C::NAME;
    const ACCESS: Access = C::ACCESS;
    const DATABASE_ROLE: DatabaseRole = C::DATABASE_ROLE;
    const ACCEPTS: Accepts = C::ACCEPTS;
    const USES_WEBHOOK_KEY: bool = C::USES_WEBHOOK_KEY;

    fn access(&self) -> Access {
        self.change.access()
    }
}

/// A change of the fleet or of packages. Its serialized form is what an idempotency key stands for.
#[async_trait]
pub trait Change: Operation + Serialize + Send + Sync + 'static {
    /// Answer of the call. It is stored and parsed again for a repeated call.
    type Output: Serialize + DeserializeOwned + Send;
    /// Fields of the answer that are secret. They are not stored, so a repeated call returns `null`
    /// instead of them.
    const SHOWN_ONCE: &'static [&'static str] = &[];

    /// Returns the input with its texts trimmed, or an error for the first invalid field.
    fn checked(self) -> Result<Self, Error>
    where
        Self: Sized;

    /// Makes the change in the transaction of `work`.
    async fn apply(&self, tx: &mut Connection, work: &mut Work<'_>) -> Result<Self::Output, Error>;
}

/// What changes of webhooks need of the deployment.
#[derive(Debug, Clone, Default)]
pub struct WebhookSetup {
    /// The keys that encrypt the secrets of webhooks.
    pub keys: WebhookKeySource,
    /// Which receivers are allowed.
    pub receivers: Receivers,
}

/// The surroundings of one change: its time, its caller, and what is written with it.
pub struct Work<'w> {
    /// Time of the change.
    pub now: DateTime<Utc>,
    /// The rules of the deployment.
    pub config: &'w TelecomConfig,
    /// What a webhook needs.
    pub webhooks: &'w WebhookSetup,
    /// The caller, whom the timeline of a server names.
    pub actor: &'w Actor,
    /// Source of new ids.
    pub ids: &'w dyn IdSource,
    /// Facts and events, which are left to the sweep, so that no change needs access to a queue.
    pub outbox: Outbox<'w>,
    conditions: &'w Conditions,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    target: Target,
    before: Option<Value>,
    after: Option<Value>,
    reason: Option<String>,
}

impl Work<'_> {
    /// Fails if the caller has read another revision than `current`.
    pub fn check_revision(&self, current: i64) -> Result<(), Error> {
        self.conditions.check(current)
    }

    /// Records the creation of `target` in the audit log.
    pub fn created(&mut self, target: Target, after: &impl Serialize) -> Result<(), Error> {
        self.entries.push(Entry {
            target,
            before: None,
            after: Some(serde_json::to_value(after).map_err(Error::internal)?),
            reason: None,
        });
        Ok(())
    }

    /// Records the request of `target`, which a job carries out, in the audit log.
    pub fn requested(
        &mut self,
        target: Target,
        request: &impl Serialize,
        reason: &str,
    ) -> Result<(), Error> {
        self.entries.push(Entry {
            target,
            before: None,
            after: Some(serde_json::to_value(request).map_err(Error::internal)?),
            reason: Some(reason.to_owned()),
        });
        Ok(())
    }

    /// Records the fields of `target` that differ in the audit log. Secrets must be masked. Records
    /// nothing if no field differs. A second change of the same target is added to the entry of the
    /// first one.
    pub fn changed<T: Serialize>(
        &mut self,
        target: Target,
        before: &T,
        after: &T,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let fields = |value: &T| match serde_json::to_value(value) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(Error::internal("an audited value is not an object")),
            Err(error) => Err(Error::internal(error)),
        };
        let (before, after) = (fields(before)?, fields(after)?);
        let differing = |of: &Map<String, Value>, other: &Map<String, Value>| {
            let fields = of
                .iter()
                .filter(|(name, value)| other.get(*name) != Some(value));
            fields
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<Map<String, Value>>()
        };
        let (old, new) = (differing(&before, &after), differing(&after, &before));
        if old.is_empty() && new.is_empty() {
            return Ok(());
        }
        let earlier = self.entries.iter_mut().find(|entry| entry.target == target);
        if let Some(earlier) = earlier {
            earlier.add(old, new);
            return Ok(());
        }
        self.entries.push(Entry {
            target,
            before: Some(old.into()),
            after: Some(new.into()),
            reason: reason.map(str::to_owned),
        });
        Ok(())
    }
}

/// Makes a requested change once, and returns its answer.
pub(super) async fn make<C: Change>(
    pool: &PgPool,
    context: &Context,
    config: &TelecomConfig,
    webhooks: &WebhookSetup,
    Requested {
        change,
        actor,
        conditions,
    }: Requested<C>,
) -> Result<C::Output, Error> {
    let change = change.checked()?;
    // Read before the transaction, which must not wait for another system.
    if C::USES_WEBHOOK_KEY
        && let Err(error) = webhooks.keys.keys().await
    {
        tracing::warn!(%error, cause = error.cause(), "the keys of webhooks cannot be read");
    }
    db::write_tx(pool, C::NAME, async |tx| {
        let now = context.now();
        let call = answered_call::<C>(&change, &actor, &conditions)?;
        if let Some(call) = &call
            && let Some(answer) = earlier_answer(tx, call, now).await?
        {
            return serde_json::from_value(answer).map_err(Error::internal);
        }
        let mut work = Work {
            now,
            config,
            webhooks,
            actor: &actor,
            ids: context.ids.as_ref(),
            outbox: Outbox::for_the_sweep(context, now),
            conditions: &conditions,
            entries: Vec::new(),
        };
        let output = change.apply(tx, &mut work).await?;
        let Work {
            outbox, entries, ..
        } = work;
        let audited: Vec<_> = entries.iter().map(|e| e.of::<C>(now, &actor)).collect();
        audit::write(tx, &audited).await?;
        outbox.write(tx).await?;
        if let Some(call) = &call {
            let answer = answer_to_store::<C>(&output)?;
            answered_call::set_answer(tx, call, &answer).await?;
        }
        tracing::info!(operation = C::NAME, actor = %actor.user_id, entries = entries.len(),
            "change made");
        Ok(output)
    })
    .await
}

impl Entry {
    /// Adds the fields before and after a later change of the same target.
    fn add(&mut self, before: Map<String, Value>, after: Map<String, Value>) {
        if let Some(Value::Object(fields)) = &mut self.before {
            for (name, value) in before {
                fields.entry(name).or_insert(value);
            }
        }
        if let Some(Value::Object(fields)) = &mut self.after {
            fields.extend(after);
        }
    }

    fn of<'a, C: Change>(&'a self, at: DateTime<Utc>, actor: &'a Actor) -> AuditEntry<'a> {
        AuditEntry {
            at,
            actor,
            action: C::NAME,
            target: self.target,
            before: self.before.clone(),
            after: self.after.clone(),
            reason: self.reason.as_deref(),
        }
    }
}

/// The answer without the fields that are shown once.
fn answer_to_store<C: Change>(output: &C::Output) -> Result<Value, Error> {
    let mut answer = serde_json::to_value(output).map_err(Error::internal)?;
    for &field in C::SHOWN_ONCE {
        if let Some(secret) = answer.get_mut(field) {
            *secret = Value::Null;
        }
    }
    Ok(answer)
}

/// The record of the call. `None` if it has no idempotency key.
fn answered_call<C: Change>(
    change: &C,
    actor: &Actor,
    conditions: &Conditions,
) -> Result<Option<AnsweredCall>, Error> {
    let Some(key) = &conditions.idempotency_key else {
        return Ok(None);
    };
    let request = serde_json::to_vec(&(C::NAME, change)).map_err(Error::internal)?;
    Ok(Some(AnsweredCall {
        actor_user_id: actor.user_id,
        idempotency_key: key.clone(),
        request_hash: Sha256::digest(&request).to_vec(),
    }))
}

/// The answer that the call got before. Waits for a concurrent call with the same key. `None` if
/// this is the first call.
async fn earlier_answer(
    tx: &mut Connection,
    call: &AnsweredCall,
    now: DateTime<Utc>,
) -> Result<Option<Value>, Error> {
    match answered_call::insert_or_find(tx, call, now).await? {
        Found::Nothing => Ok(None),
        Found::Answer {
            request_hash,
            answer,
        } if request_hash == call.request_hash => Ok(Some(answer)),
        Found::Answer { .. } => Err(Error::new(
            ErrorKind::Conflict,
            "idempotency_key_reused",
            "The idempotency key belongs to another request. A new request needs a new key.",
        )),
    }
}
