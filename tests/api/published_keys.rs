//! Keys that the issuer publishes are fetched when needed and again for an unknown key, but not
//! once per token.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::json;
use shared::auth::Authenticator;
use shared::clock::{Clock, Fixed};
use shared::config::{AuthConfig, JwksConfig};
use telecom_tests::token::{AUDIENCE, ISSUER, Issuer, claims};
use telecom_tests::{NOW, at, until, user};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// An issuer's web server: what it publishes, and the number of requests to it.
#[derive(Clone, Default)]
struct Publisher {
    body: Arc<Mutex<String>>,
    url: Arc<Mutex<String>>,
    /// Target of a redirect; empty if the server responds itself.
    moved_to: Arc<Mutex<String>>,
    requests: Arc<AtomicUsize>,
    /// Responses wait while a test holds this lock.
    answering: Arc<tokio::sync::Mutex<()>>,
}

impl Publisher {
    /// Starts the server and returns an authenticator that uses its keys.
    async fn start(&self, clock: &Arc<Fixed>) -> Authenticator {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        self.url.lock().unwrap().clone_from(&url);
        let publisher = self.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                publisher.requests.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]).await;
                let _answering = publisher.answering.lock().await;
                let _ = stream.write_all(publisher.answer().as_bytes()).await;
            }
        });
        let jwks = JwksConfig::Published(url.parse().unwrap());
        let config = AuthConfig {
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
            jwks,
            max_lifetime: AuthConfig::MAX_LIFETIME,
        };
        Authenticator::new(config, clock.clone()).unwrap()
    }

    fn answer(&self) -> String {
        let (body, moved_to) = (
            self.body.lock().unwrap().clone(),
            self.moved_to.lock().unwrap().clone(),
        );
        let status = match (moved_to.is_empty(), body.is_empty()) {
            (false, _) => format!("302 Found\r\nlocation: {moved_to}"),
            (true, true) => "503 Service Unavailable".to_owned(),
            (true, false) => "200 OK".to_owned(),
        };
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn publish(&self, issuer: &Issuer) {
        *self.body.lock().unwrap() = serde_json::to_string(&issuer.jwks()).unwrap();
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn advance(clock: &Arc<Fixed>, time: TimeDelta) {
    clock.set(clock.now() + time);
}

async fn verify(
    authenticator: &Authenticator,
    clock: &Arc<Fixed>,
    issuer: &Issuer,
    key: usize,
) -> &'static str {
    let mut claims = claims(user(1), "");
    claims["exp"] = json!(clock.now().timestamp() + 60);
    authenticator
        .verify(&issuer.sign_with(key, &claims))
        .await
        .map_or_else(|error| error.code(), |_| "valid")
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_for_an_unknown_key() {
    use jsonwebtoken::Algorithm::EdDSA;
    let (publisher, clock) = (Publisher::default(), Fixed::at(at(NOW)));
    let issuer = Issuer::new(&[EdDSA, EdDSA]);
    publisher.publish(&issuer);
    let authenticator = publisher.start(&clock).await;
    assert_eq!(
        publisher.requests(),
        0,
        "no keys are fetched before the first token"
    );
    for _ in 0..3 {
        assert_eq!(verify(&authenticator, &clock, &issuer, 0).await, "valid");
        assert_eq!(verify(&authenticator, &clock, &issuer, 1).await, "valid");
    }
    assert_eq!(publisher.requests(), 1);

    // The issuer rotates its keys and now publishes k0 to k2.
    let rotated = Issuer::new(&[EdDSA, EdDSA, EdDSA]);
    publisher.publish(&rotated);
    advance(&clock, TimeDelta::seconds(31));
    assert_eq!(verify(&authenticator, &clock, &rotated, 2).await, "valid");
    assert_eq!(publisher.requests(), 2);
    assert_eq!(
        verify(&authenticator, &clock, &issuer, 0).await,
        "token_invalid",
        "a replaced key is not trusted"
    );
}

#[tokio::test]
async fn unknown_key_ids_cause_one_fetch_per_30_seconds() {
    use jsonwebtoken::Algorithm::EdDSA;
    let (publisher, clock) = (Publisher::default(), Fixed::at(at(NOW)));
    let (issuer, stranger) = (Issuer::default(), Issuer::new(&[EdDSA, EdDSA]));
    publisher.publish(&issuer);
    let authenticator = publisher.start(&clock).await;
    let all = (0..50).map(|_| verify(&authenticator, &clock, &stranger, 1));
    assert!(
        futures::future::join_all(all)
            .await
            .iter()
            .all(|code| *code == "token_key_unknown")
    );
    assert_eq!(publisher.requests(), 1);
    advance(&clock, TimeDelta::seconds(30));
    assert_eq!(
        verify(&authenticator, &clock, &stranger, 1).await,
        "token_key_unknown"
    );
    assert_eq!(publisher.requests(), 2);
    assert_eq!(verify(&authenticator, &clock, &issuer, 0).await, "valid");
}

#[tokio::test]
async fn cached_keys_are_used_while_the_issuer_is_unreachable() {
    let (publisher, clock, issuer) = (Publisher::default(), Fixed::at(at(NOW)), Issuer::default());
    let authenticator = publisher.start(&clock).await;
    assert_eq!(
        verify(&authenticator, &clock, &issuer, 0).await,
        "unavailable"
    );
    publisher.publish(&issuer);
    advance(&clock, TimeDelta::seconds(30));
    assert_eq!(verify(&authenticator, &clock, &issuer, 0).await, "valid");
    publisher.body.lock().unwrap().clear();
    advance(&clock, TimeDelta::hours(2));
    assert_eq!(verify(&authenticator, &clock, &issuer, 0).await, "valid");
    *publisher.body.lock().unwrap() = "x".repeat(300 << 10);
    advance(&clock, TimeDelta::hours(2));
    assert_eq!(
        verify(&authenticator, &clock, &issuer, 0).await,
        "valid",
        "an invalid response does not replace known keys"
    );
}

#[tokio::test]
async fn tokens_with_known_keys_do_not_wait_for_a_refresh() {
    let (publisher, clock, issuer) = (Publisher::default(), Fixed::at(at(NOW)), Issuer::default());
    publisher.publish(&issuer);
    let authenticator = publisher.start(&clock).await;
    assert_eq!(verify(&authenticator, &clock, &issuer, 0).await, "valid");
    advance(&clock, TimeDelta::minutes(60));
    let silent = publisher.answering.clone().lock_owned().await;
    let all = (0..50).map(|_| verify(&authenticator, &clock, &issuer, 0));
    assert!(
        futures::future::join_all(all)
            .await
            .iter()
            .all(|code| *code == "valid")
    );
    until("the keys are requested", async || publisher.requests() == 2).await;
    // A key that was replaced meanwhile is trusted until the response arrives.
    publisher.publish(&Issuer::default());
    assert_eq!(verify(&authenticator, &clock, &issuer, 0).await, "valid");
    drop(silent);
    until("the new keys have arrived", async || {
        verify(&authenticator, &clock, &issuer, 0).await == "token_invalid"
    })
    .await;
    assert_eq!(publisher.requests(), 2);
}

/// As in a function that was frozen before its fetch completed.
#[tokio::test]
async fn one_caller_waits_at_most_a_second_for_overdue_keys() {
    let (publisher, clock, issuer) = (Publisher::default(), Fixed::at(at(NOW)), Issuer::default());
    publisher.publish(&issuer);
    let authenticator = publisher.start(&clock).await;
    assert_eq!(verify(&authenticator, &clock, &issuer, 0).await, "valid");
    advance(&clock, TimeDelta::hours(2));
    let silent = publisher.answering.clone().lock_owned().await;
    let mut first = Box::pin(verify(&authenticator, &clock, &issuer, 0));
    while publisher.requests() < 2 {
        assert!(futures::poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
    }
    let others = (0..50).map(|_| verify(&authenticator, &clock, &issuer, 0));
    assert!(
        futures::future::join_all(others)
            .await
            .iter()
            .all(|code| *code == "valid")
    );
    assert!(
        futures::poll!(&mut first).is_pending(),
        "the issuer has not responded yet"
    );
    let waited = Instant::now();
    assert_eq!(first.await, "valid");
    assert!(
        waited.elapsed() < Duration::from_secs(2),
        "{:?}",
        waited.elapsed()
    );
    // The next caller gets the new keys.
    publisher.publish(&Issuer::default());
    advance(&clock, TimeDelta::seconds(30));
    let second = verify(&authenticator, &clock, &issuer, 0);
    drop(silent);
    assert_eq!((second.await, publisher.requests()), ("token_invalid", 2));
}

#[tokio::test]
async fn cached_keys_expire_after_a_day_without_the_issuer() {
    let (publisher, clock, issuer) = (Publisher::default(), Fixed::at(at(NOW)), Issuer::default());
    publisher.publish(&issuer);
    let authenticator = publisher.start(&clock).await;
    assert_eq!(verify(&authenticator, &clock, &issuer, 0).await, "valid");
    publisher.body.lock().unwrap().clear();
    advance(&clock, TimeDelta::hours(24) - TimeDelta::seconds(1));
    assert_eq!(verify(&authenticator, &clock, &issuer, 0).await, "valid");
    advance(&clock, TimeDelta::seconds(1));
    assert_eq!(
        verify(&authenticator, &clock, &issuer, 0).await,
        "unavailable"
    );
    publisher.publish(&issuer);
    advance(&clock, TimeDelta::seconds(29));
    assert_eq!(verify(&authenticator, &clock, &issuer, 0).await, "valid");
}

#[tokio::test]
async fn redirects_of_the_key_set_url_are_not_followed() {
    let (publisher, other) = (Publisher::default(), Publisher::default());
    let (clock, issuer) = (Fixed::at(at(NOW)), Issuer::default());
    other.publish(&issuer);
    other.start(&clock).await;
    publisher.publish(&issuer);
    *publisher.moved_to.lock().unwrap() = other.url.lock().unwrap().clone();
    let authenticator = publisher.start(&clock).await;
    assert_eq!(
        verify(&authenticator, &clock, &issuer, 0).await,
        "unavailable"
    );
    assert_eq!((publisher.requests(), other.requests()), (1, 0));
}

#[tokio::test]
async fn a_withdrawn_key_is_trusted_for_an_hour_and_one_more_call() {
    for (idle, next) in [
        (TimeDelta::minutes(1), "valid"),
        (TimeDelta::minutes(61), "token_key_unknown"),
    ] {
        let (publisher, clock, issuer) =
            (Publisher::default(), Fixed::at(at(NOW)), Issuer::default());
        publisher.publish(&issuer);
        let authenticator = publisher.start(&clock).await;
        assert_eq!(verify(&authenticator, &clock, &issuer, 0).await, "valid");
        *publisher.body.lock().unwrap() = r#"{"keys":[]}"#.to_owned();
        advance(&clock, TimeDelta::minutes(59));
        assert_eq!(
            (
                verify(&authenticator, &clock, &issuer, 0).await,
                publisher.requests()
            ),
            ("valid", 1)
        );
        advance(&clock, idle);
        // After an hour the key serves the call that starts the fetch. After two the call waits.
        assert_eq!(verify(&authenticator, &clock, &issuer, 0).await, next);
        until("the key is gone", async || {
            verify(&authenticator, &clock, &issuer, 0).await == "token_key_unknown"
        })
        .await;
        assert_eq!(publisher.requests(), 2);
    }
}

#[tokio::test]
async fn a_verified_token_is_checked_again_against_time_and_keys() {
    let (publisher, clock, issuer) = (Publisher::default(), Fixed::at(at(NOW)), Issuer::default());
    publisher.publish(&issuer);
    let authenticator = publisher.start(&clock).await;
    let mut claims = claims(user(1), "");
    claims["exp"] = json!((clock.now() + TimeDelta::hours(6)).timestamp());
    let token = issuer.sign(&claims);
    let verify = async || {
        authenticator
            .verify(&token)
            .await
            .map_or_else(|error| error.code(), |_| "valid")
    };
    assert_eq!((verify().await, verify().await), ("valid", "valid"));
    // First the same key is fetched again, then another key under its id.
    advance(&clock, TimeDelta::minutes(121));
    assert_eq!(verify().await, "valid");
    publisher.publish(&Issuer::default());
    advance(&clock, TimeDelta::minutes(121));
    assert_eq!(verify().await, "token_invalid");
    publisher.publish(&issuer);
    advance(&clock, TimeDelta::minutes(121));
    assert_eq!(verify().await, "token_expired");
}
