//! The issuer's public keys: given with the configuration, or fetched from where the issuer publishes them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::{Mutex, RwLock};
use url::Url;

use crate::clock::Clock;
use crate::error::Error;

/// Fetched keys are fetched anew after so long: a key that the issuer withdrew is not trusted for ever.
const MAX_AGE: TimeDelta = TimeDelta::hours(1);
/// Least time between two fetches, so that tokens with made-up key ids cannot make us hammer the issuer.
const MIN_PAUSE: TimeDelta = TimeDelta::seconds(30);
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
/// Room for some hundreds of keys.
const MAX_SET_BYTES: usize = 256 << 10;

/// A key, and the one algorithm that it is for: a token's own word is never asked.
#[derive(Clone)]
pub struct Key {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The key.
    pub decoding: DecodingKey,
}

type Keys = HashMap<String, Key>;

/// Finds keys by their id.
#[derive(Clone)]
pub enum KeySource {
    /// The keys of the configuration.
    Fixed(Arc<Keys>),
    /// The keys that the issuer publishes.
    Published(Arc<Published>),
}

/// Keys that are fetched when they are first needed, when they are old, and once when an unknown one is asked for.
pub struct Published {
    url: Url,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    held: RwLock<Held>,
    /// One fetch at a time; whoever waits for it looks at what it brought.
    fetching: Mutex<()>,
}

#[derive(Default)]
struct Held {
    keys: Keys,
    /// When they were fetched; none: never.
    fetched_at: Option<DateTime<Utc>>,
    /// When a fetch was last tried.
    tried_at: Option<DateTime<Utc>>,
}

impl KeySource {
    /// The keys of a set; one of another kind than ours is passed over, as key sets may hold others.
    pub fn fixed(set: &JwkSet) -> Result<Self, jsonwebtoken::errors::Error> {
        Ok(Self::Fixed(Arc::new(keys(set)?)))
    }

    /// The keys published at `url`. Nothing is fetched here.
    #[must_use]
    pub fn published(url: Url, clock: Arc<dyn Clock>) -> Self {
        let (client, held, fetching) = (reqwest::Client::new(), RwLock::default(), Mutex::default());
        Self::Published(Arc::new(Published { url, client, clock, held, fetching }))
    }

    /// A key by its id. An error means that it cannot be known whether there is one.
    pub async fn find(&self, id: &str) -> Result<Option<Key>, Error> {
        match self {
            Self::Fixed(keys) => Ok(keys.get(id).cloned()),
            Self::Published(published) => published.find(id).await,
        }
    }
}

impl Published {
    async fn find(&self, id: &str) -> Result<Option<Key>, Error> {
        let now = self.clock.now();
        if let Some(key) = self.held.read().await.fresh(id, now) {
            return Ok(Some(key));
        }
        let _one_at_a_time = self.fetching.lock().await;
        if let Some(key) = self.held.read().await.fresh(id, now) {
            return Ok(Some(key));
        }
        if self.held.read().await.may_fetch(now) {
            self.refresh(now).await;
        }
        let held = self.held.read().await;
        match held.fetched_at {
            // Old keys are better than none while the issuer is out of reach.
            Some(_) => Ok(held.keys.get(id).cloned()),
            None => Err(Error::unavailable(format!("the key set at {} could not be fetched", self.url))),
        }
    }

    async fn refresh(&self, now: DateTime<Utc>) {
        let fetched = self.fetch().await;
        let mut held = self.held.write().await;
        held.tried_at = Some(now);
        match fetched {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "key set fetched");
                held.keys = keys;
                held.fetched_at = held.tried_at;
            }
            Err(error) => tracing::warn!(error, "key set not fetched; the keys known before stay"),
        }
    }

    async fn fetch(&self) -> Result<Keys, String> {
        let request = self.client.get(self.url.clone()).timeout(FETCH_TIMEOUT).send();
        let mut response = request.await.and_then(reqwest::Response::error_for_status).map_err(|e| describe(&e))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| describe(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_SET_BYTES {
                return Err(format!("the key set is larger than {MAX_SET_BYTES} bytes"));
            }
        }
        let set = serde_json::from_slice(&body).map_err(|e| format!("it is not a JSON Web Key Set: {e}"))?;
        keys(&set).map_err(|e| e.to_string())
    }
}

impl Held {
    fn fresh(&self, id: &str, now: DateTime<Utc>) -> Option<Key> {
        self.fetched_at.filter(|at| now - at < MAX_AGE).and_then(|_| self.keys.get(id).cloned())
    }

    fn may_fetch(&self, now: DateTime<Utc>) -> bool {
        self.tried_at.is_none_or(|at| now - at >= MIN_PAUSE)
    }
}

/// reqwest says what happened only in its sources.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn keys(set: &JwkSet) -> Result<Keys, jsonwebtoken::errors::Error> {
    let mut keys = Keys::new();
    for jwk in &set.keys {
        if let (Some(id), Some(algorithm)) = (&jwk.common.key_id, algorithm(jwk)) {
            keys.insert(id.clone(), Key { algorithm, decoding: DecodingKey::from_jwk(jwk)? });
        }
    }
    Ok(keys)
}

/// The accepted algorithms, all asymmetric: whoever knows the public key must not be able to sign.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Some(Algorithm::ES256),
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Some(Algorithm::EdDSA),
        _ => None,
    }
}
