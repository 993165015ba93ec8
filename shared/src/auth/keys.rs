//! The issuer's public keys: given with the configuration, or fetched from where the issuer
//! publishes them.

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
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Mutex, RwLock};
use tokio::time::timeout;
use url::Url;

use crate::clock::Clock;
use crate::error::Error;

/// Fetched keys are fetched anew after so long, beside the calls: a key that the issuer withdrew is
/// not trusted for ever.
const MAX_AGE: TimeDelta = TimeDelta::hours(1);
/// A function is frozen between its calls, and so is what it does beside them: where calls are few
/// and short, a fetch may never come to its end. After so long a caller waits for it, during which
/// the function is awake.
const OVERDUE: TimeDelta = TimeDelta::hours(2);
/// How long that caller waits, who has a good answer already. The next one does after
/// [`MIN_PAUSE`].
const OVERDUE_WAIT: Duration = Duration::from_secs(1);
/// While the issuer is out of reach its keys are trusted for so long, and not for ever: it may be
/// out of reach because somebody wants a key trusted that it withdrew.
const MAX_STALE: TimeDelta = TimeDelta::hours(24);
/// Least time between two fetches, so that tokens with made-up key ids cannot make us hammer the
/// issuer.
const MIN_PAUSE: TimeDelta = TimeDelta::seconds(30);
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
/// Room for some hundreds of keys.
const MAX_SET_BYTES: usize = 256 << 10;

/// A key, and the one algorithm that it is for: a token's own word is never asked.
pub struct Key {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The key.
    pub decoding: DecodingKey,
}

type Keys = HashMap<String, Arc<Key>>;

/// Finds keys by their id.
#[derive(Clone)]
pub enum KeySource {
    /// The keys of the configuration.
    Fixed(Arc<Keys>),
    /// The keys that the issuer publishes.
    Published(Arc<Published>),
}

/// Keys that are fetched when they are first needed, when they are old, and once when an unknown
/// one is asked for. Nobody whose key is known waits for that, but for one caller now and then once
/// it is overdue.
pub struct Published {
    url: Url,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    held: RwLock<Held>,
    /// One fetch at a time; whoever waits for it looks at what it brought.
    fetching: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Held {
    keys: Keys,
    /// When they were fetched; none: never.
    fetched_at: Option<DateTime<Utc>>,
    /// When a fetch was last tried.
    tried_at: Option<DateTime<Utc>>,
    /// When a caller last waited for one that was overdue.
    waited_at: Option<DateTime<Utc>>,
}

impl KeySource {
    /// The keys of a set.
    #[must_use]
    pub fn fixed(set: &JwkSet) -> Self {
        Self::Fixed(Arc::new(keys(set)))
    }

    /// The keys published at `url`. Nothing is fetched here, and no redirect is followed later: it
    /// could lead to where anybody can change what is answered.
    pub fn published(url: Url, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .build()?;
        let (held, fetching) = (RwLock::default(), Arc::default());
        Ok(Self::Published(Arc::new(Published {
            url,
            client,
            clock,
            held,
            fetching,
        })))
    }

    /// A key by its id, the same `Arc` until the set is fetched anew. An error means that it cannot
    /// be known whether there is one.
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
        let known = self.held.read().await.key(id, now);
        match known {
            Some((key, Age::Fresh)) => return Ok(Some(key)),
            Some((key, Age::Stale)) => {
                self.refresh_beside(id, now);
                return Ok(Some(key));
            }
            Some((key, Age::Overdue)) => {
                self.refresh_beside(id, now);
                if !self.is_to_wait(now).await
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
        let held = self.held.read().await;
        match held.age(now) {
            Some(_) => Ok(held.keys.get(id).cloned()),
            None => Err(Error::unavailable(format!(
                "cannot fetch the key set at {}",
                self.url
            ))),
        }
    }

    /// Begins a fetch, unless one is under way, and does not wait for it.
    fn refresh_beside(self: &Arc<Self>, id: &str, now: DateTime<Utc>) {
        let Ok(fetching) = Arc::clone(&self.fetching).try_lock_owned() else {
            return;
        };
        let (published, id) = (Arc::clone(self), id.to_owned());
        tokio::spawn(async move {
            published.refresh(&id, now).await;
            drop(fetching);
        });
    }

    /// Whether a caller is the one that waits for an overdue fetch.
    async fn is_to_wait(&self, now: DateTime<Utc>) -> bool {
        let mut held = self.held.write().await;
        let due = held.waited_at.is_none_or(|at| now - at >= MIN_PAUSE);
        if due {
            held.waited_at = Some(now);
        }
        due
    }

    /// Fetches, unless it is too early for that, or somebody has done so while this caller waited.
    async fn refresh(&self, id: &str, now: DateTime<Utc>) {
        {
            let mut held = self.held.write().await;
            let done = matches!(held.key(id, now), Some((_, Age::Fresh)));
            if done || held.tried_at.is_some_and(|at| now - at < MIN_PAUSE) {
                return;
            }
            // Said before it is tried: a caller whose time runs out meanwhile must not have the
            // next one try at once.
            held.tried_at = Some(now);
        }
        match self.fetch().await {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "key set fetched");
                let mut held = self.held.write().await;
                held.keys = keys;
                held.fetched_at = Some(now);
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
        let mut response = request.await.map_err(|e| describe(&e))?;
        if response.status() != StatusCode::OK {
            return Err(format!("unexpected status {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| describe(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_SET_BYTES {
                return Err(format!("the key set is larger than {MAX_SET_BYTES} bytes"));
            }
        }
        let set = std::str::from_utf8(&body)
            .map_err(|e| e.to_string())
            .and_then(|text| read_set(text).map_err(|e| format!("not a JSON Web Key Set: {e}")));
        Ok(keys(&set?))
    }
}

/// How old held keys are.
enum Age {
    /// They need not be fetched.
    Fresh,
    /// They should be; they serve meanwhile.
    Stale,
    /// They should have been long ago; they serve while that fails.
    Overdue,
}

impl Held {
    /// None: there are none that are trusted.
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

/// reqwest says what happened only in its sources.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Reads a set. A key that cannot be read, of a kind still to be invented perhaps, is no reason to
/// lose the others.
pub fn read_set(text: &str) -> Result<JwkSet, serde_json::Error> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let readable = |key: Value| match serde_json::from_value(key) {
        Ok(jwk) => Some(jwk),
        Err(error) => {
            tracing::warn!(%error, "ignoring a key of the set that cannot be parsed");
            None
        }
    };
    let Set { keys } = serde_json::from_str(text)?;
    Ok(JwkSet {
        keys: keys.into_iter().filter_map(readable).collect(),
    })
}

/// Those of a set that are for signatures of a kind that is accepted.
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
                tracing::warn!(id, %error, "ignoring a malformed key of the set")
            }
        }
    }
    keys
}

/// What a key is for, none: for nothing here. The accepted algorithms are asymmetric: whoever knows
/// the public key must not be able to sign.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let (algorithm, said) = match &jwk.algorithm {
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
    (signs && common.key_algorithm.is_none_or(|named| named == said)).then_some(algorithm)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

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
        let mut found: Vec<String> = keys(&read_set(&set).unwrap()).into_keys().collect();
        found.sort();
        found
    }

    #[rstest]
    #[case(json!({}))]
    #[case(json!({ "use": "sig" }))]
    #[case(json!({ "use": "sig", "alg": "EdDSA" }))]
    fn a_key_for_signatures_is_taken(#[case] change: Value) {
        assert_eq!(found(&change), ["a", "good"]);
    }

    #[rstest]
    #[case::for_encryption(json!({ "use": "enc" }))]
    #[case::of_another_algorithm(json!({ "alg": "ES256" }))]
    #[case::of_an_unknown_algorithm(json!({ "alg": "ML-DSA-44" }))]
    #[case::of_an_unknown_kind(json!({ "kty": "AKP" }))]
    #[case::on_another_curve(json!({ "crv": "Ed448" }))]
    #[case::that_is_not_well_formed(json!({ "x": "!" }))]
    #[case::without_a_key(json!({ "x": null }))]
    #[case::symmetric(json!({ "kty": "oct", "k": "c2VjcmV0" }))]
    #[case::elliptic_that_is_not_well_formed(json!({ "kty": "EC", "crv": "P-256", "x": "AA",
        "y": 7 }))]
    fn one_that_is_not_for_us_is_left_out_and_harms_no_other(#[case] change: Value) {
        assert_eq!(found(&change), ["good"]);
    }
}
