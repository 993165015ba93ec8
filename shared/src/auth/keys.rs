//! The public keys of the issuer, either from the configuration or fetched from the URL at which
//! the issuer publishes them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use http::StatusCode;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::redirect::Policy;
use tokio::sync::{Mutex, RwLock};
use tokio::time::timeout;
use url::Url;

use crate::clock::Clock;
use crate::config::parse_key_set;
use crate::error::{Error, chain};

/// Age at which fetched keys are refreshed in the background, so that a key that the issuer
/// withdrew does not stay trusted.
const MAX_AGE: TimeDelta = TimeDelta::hours(1);
/// Age at which a caller waits for the refresh. A function is frozen between its calls, including
/// its background tasks, so with few and short calls a background fetch may never complete.
const OVERDUE: TimeDelta = TimeDelta::hours(2);
/// Maximum time for which that caller waits, because it has a trusted key already. The next caller
/// waits after [`MIN_PAUSE`] at the earliest.
const OVERDUE_WAIT: Duration = Duration::from_secs(1);
/// Age up to which keys are trusted while the issuer is unreachable. The limit exists because an
/// attacker may block the issuer to keep a withdrawn key trusted.
const MAX_STALE: TimeDelta = TimeDelta::hours(24);
/// Minimum time between two fetches, so that tokens with invented key ids do not cause a flood of
/// requests to the issuer.
const MIN_PAUSE: TimeDelta = TimeDelta::seconds(30);
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum size of a key set, enough for some hundreds of keys.
const MAX_SET_BYTES: usize = 256 << 10;

/// A key with its only algorithm. The algorithm that a token names is never used.
pub struct Key {
    /// The algorithm of the signatures.
    pub algorithm: Algorithm,
    /// The key that verifies signatures.
    pub decoding: DecodingKey,
}

type Keys = HashMap<String, Arc<Key>>;

/// A source of keys by id.
#[derive(Clone)]
pub enum KeySource {
    /// Keys from the configuration.
    Fixed(Arc<Keys>),
    /// Keys published by the issuer.
    Published(Arc<Published>),
}

/// Keys that are fetched at the first use, when they are old, and when a key is unknown. A caller
/// with a known key does not wait for a fetch, except occasionally one if the fetch is overdue.
pub struct Published {
    url: Url,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    cache: RwLock<Cache>,
    /// Held during a fetch, so that there is one at a time. Callers that wait for it use its
    /// result.
    fetching: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Cache {
    keys: Keys,
    /// Time of the last successful fetch. `None` if there was none.
    fetched_at: Option<DateTime<Utc>>,
    /// Time of the last attempt to fetch.
    tried_at: Option<DateTime<Utc>>,
    /// Time at which a caller last waited for an overdue fetch.
    waited_at: Option<DateTime<Utc>>,
}

impl KeySource {
    /// A source of the keys in a set.
    #[must_use]
    pub fn fixed(set: &JwkSet) -> Self {
        Self::Fixed(Arc::new(keys(set)))
    }

    /// A source of the keys published at `url`. The first fetch happens at the first use. Redirects
    /// are not followed, because they could lead to a host that is not trusted.
    pub fn published(url: Url, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .build()?;
        let (cache, fetching) = (RwLock::default(), Arc::default());
        Ok(Self::Published(Arc::new(Published {
            url,
            client,
            clock,
            cache,
            fetching,
        })))
    }

    /// Returns a key by its id, the same `Arc` until the next fetch. `None` if there is no such
    /// key. Fails if no key set is available.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<Key>>, Error> {
        match self {
            Self::Fixed(keys) => Ok(keys.get(id).cloned()),
            Self::Published(published) => published.find(id).await,
        }
    }
}

impl Published {
    async fn find(self: &Arc<Self>, id: &str) -> Result<Option<Arc<Key>>, Error> {
        let now = self.clock.now();
        let known = self.cache.read().await.key(id, now);
        match known {
            Some((key, Age::Fresh)) => return Ok(Some(key)),
            Some((key, Age::Stale)) => {
                self.refresh_in_background(id, now);
                return Ok(Some(key));
            }
            Some((key, Age::Overdue)) => {
                self.refresh_in_background(id, now);
                if !self.should_wait(now).await
                    || timeout(OVERDUE_WAIT, self.fetching.lock()).await.is_err()
                {
                    return Ok(Some(key));
                }
            }
            None => {
                let _fetching = self.fetching.lock().await;
                self.refresh(id, now).await;
            }
        }
        let cache = self.cache.read().await;
        match cache.age(now) {
            Some(_) => Ok(cache.keys.get(id).cloned()),
            None => Err(Error::unavailable(format!(
                "cannot fetch the key set at {}",
                self.url
            ))),
        }
    }

    /// Starts a fetch without waiting for it, unless one is in progress.
    fn refresh_in_background(self: &Arc<Self>, id: &str, now: DateTime<Utc>) {
        let Ok(fetching) = Arc::clone(&self.fetching).try_lock_owned() else {
            return;
        };
        let (published, id) = (Arc::clone(self), id.to_owned());
        tokio::spawn(async move {
            published.refresh(&id, now).await;
            drop(fetching);
        });
    }

    /// Whether this caller waits for an overdue fetch.
    async fn should_wait(&self, now: DateTime<Utc>) -> bool {
        let mut cache = self.cache.write().await;
        let due = cache.waited_at.is_none_or(|at| now - at >= MIN_PAUSE);
        if due {
            cache.waited_at = Some(now);
        }
        due
    }

    /// Fetches the keys, unless the last attempt is too recent or another caller has fetched the
    /// key meanwhile.
    async fn refresh(&self, id: &str, now: DateTime<Utc>) {
        {
            let mut cache = self.cache.write().await;
            let done = matches!(cache.key(id, now), Some((_, Age::Fresh)));
            if done || cache.tried_at.is_some_and(|at| now - at < MIN_PAUSE) {
                return;
            }
            // Set before the attempt, so that the next caller does not retry at once if this one
            // runs into its deadline.
            cache.tried_at = Some(now);
        }
        match self.fetch().await {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "key set fetched");
                let mut cache = self.cache.write().await;
                cache.keys = keys;
                cache.fetched_at = Some(now);
            }
            Err(error) => tracing::warn!(error, "key set not fetched; keeping the known keys"),
        }
    }

    async fn fetch(&self) -> Result<Keys, String> {
        let request = self
            .client
            .get(self.url.clone())
            .timeout(FETCH_TIMEOUT)
            .send();
        let mut response = request.await.map_err(|e| chain(&e))?;
        if response.status() != StatusCode::OK {
            return Err(format!("unexpected status {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| chain(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_SET_BYTES {
                return Err(format!("the key set is larger than {MAX_SET_BYTES} bytes"));
            }
        }
        let set = std::str::from_utf8(&body)
            .map_err(|e| e.to_string())
            .and_then(|text| {
                parse_key_set(text).map_err(|e| format!("not a JSON Web Key Set: {e}"))
            });
        Ok(keys(&set?))
    }
}

/// Age of the cached keys.
enum Age {
    /// No refresh is needed.
    Fresh,
    /// A refresh is due. The keys are still used meanwhile.
    Stale,
    /// A refresh is long overdue. The keys are still used while it fails.
    Overdue,
}

impl Cache {
    /// `None` if no keys are trusted.
    fn age(&self, now: DateTime<Utc>) -> Option<Age> {
        match now - self.fetched_at? {
            age if age < MAX_AGE => Some(Age::Fresh),
            age if age < OVERDUE => Some(Age::Stale),
            age if age < MAX_STALE => Some(Age::Overdue),
            _ => None,
        }
    }

    fn key(&self, id: &str, now: DateTime<Utc>) -> Option<(Arc<Key>, Age)> {
        Some((self.keys.get(id)?.clone(), self.age(now)?))
    }
}

/// The keys of a set that verify signatures of an accepted algorithm.
fn keys(set: &JwkSet) -> Keys {
    let mut keys = Keys::new();
    for jwk in &set.keys {
        let (Some(id), Some(algorithm)) = (&jwk.common.key_id, algorithm(jwk)) else {
            continue;
        };
        match DecodingKey::from_jwk(jwk) {
            Ok(decoding) => drop(keys.insert(
                id.clone(),
                Arc::new(Key {
                    algorithm,
                    decoding,
                }),
            )),
            Err(error) => {
                tracing::warn!(id, %error, "ignoring a malformed key of the set");
            }
        }
    }
    keys
}

/// The algorithm of a key. `None` if the key is not for signatures of an accepted algorithm. All
/// accepted algorithms are asymmetric, so that the public key cannot be used to sign.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let (algorithm, expected) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let common = &jwk.common;
    let signs = common
        .public_key_use
        .as_ref()
        .is_none_or(|usage| *usage == PublicKeyUse::Signature);
    (signs && common.key_algorithm.is_none_or(|named| named == expected)).then_some(algorithm)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn found(change: &Value) -> Vec<String> {
        let mut key = json!({
            "kty": "OKP", "crv": "Ed25519", "kid": "a",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        });
        for (name, value) in change.as_object().unwrap() {
            key[name] = value.clone();
        }
        let good = json!({
            "kty": "OKP", "crv": "Ed25519", "kid": "good",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        });
        let set = json!({ "keys": [key, good] }).to_string();
        let mut found: Vec<String> = keys(&parse_key_set(&set).unwrap()).into_keys().collect();
        found.sort();
        found
    }

    #[rstest]
    #[case(json!({}))]
    #[case(json!({ "use": "sig" }))]
    #[case(json!({ "use": "sig", "alg": "EdDSA" }))]
    fn a_key_for_signatures_is_accepted(#[case] change: Value) {
        assert_eq!(found(&change), ["a", "good"]);
    }

    #[rstest]
    #[case::for_encryption(json!({ "use": "enc" }))]
    #[case::of_another_algorithm(json!({ "alg": "ES256" }))]
    #[case::of_an_unknown_algorithm(json!({ "alg": "ML-DSA-44" }))]
    #[case::of_an_unknown_type(json!({ "kty": "AKP" }))]
    #[case::of_another_curve(json!({ "crv": "Ed448" }))]
    #[case::malformed(json!({ "x": "!" }))]
    #[case::without_a_key(json!({ "x": null }))]
    #[case::symmetric(json!({ "kty": "oct", "k": "c2VjcmV0" }))]
    #[case::malformed_elliptic(json!({ "kty": "EC", "crv": "P-256", "x": "AA",
        "y": 7 }))]
    fn an_unusable_key_is_ignored_and_the_others_are_kept(#[case] change: Value) {
        assert_eq!(found(&change), ["good"]);
    }
}
