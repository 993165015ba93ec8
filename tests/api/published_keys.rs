//! Keys that the issuer publishes: fetched when needed, anew when one is not known, and never as
//! often as tokens come.

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

/// An issuer's web server: what it publishes, and how often it was asked.
#[derive(Clone, Default)]
struct Publisher {
    body: Arc<Mutex<String>>,
    /// Where it publishes.
    url: Arc<Mutex<String>>,
    /// Whither it sends who asks; empty: it answers itself.
    moved_to: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
    /// While somebody holds it, nobody is answered.
    answering: Arc<tokio::sync::Mutex<()>>,
}

impl Publisher {
    /// Starts it, and answers a judge that believes it.
    async fn start(&self, clock: &Arc<Fixed>) -> Authenticator {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        self.url.lock().unwrap().clone_from(&url);
        let publisher = self.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                publisher.asked.fetch_add(1, Ordering::SeqCst);
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

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn later(clock: &Arc<Fixed>, time: TimeDelta) {
    clock.set(clock.now() + time);
}

async fn verdict(
    judge: &Authenticator,
    clock: &Arc<Fixed>,
    issuer: &Issuer,
    key: usize,
) -> &'static str {
    let mut claims = claims(user(1), "");
    claims["exp"] = json!(clock.now().timestamp() + 60);
    judge
        .verify(&issuer.sign_with(key, &claims))
        .await
        .map_or_else(|error| error.code(), |_| "valid")
}

#[tokio::test]
async fn keys_are_fetched_once_and_once_more_for_a_key_that_is_not_known() {
    use jsonwebtoken::Algorithm::EdDSA;
    let (publisher, clock) = (Publisher::default(), Fixed::at(at(NOW)));
    let issuer = Issuer::new(&[EdDSA, EdDSA]);
    publisher.publish(&issuer);
    let judge = publisher.start(&clock).await;
    assert_eq!(
        publisher.asked(),
        0,
        "nothing is fetched before it is needed"
    );
    for _ in 0..3 {
        assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "valid");
        assert_eq!(verdict(&judge, &clock, &issuer, 1).await, "valid");
    }
    assert_eq!(publisher.asked(), 1);

    // The issuer rotates: what it has now is k0 to k2.
    let rotated = Issuer::new(&[EdDSA, EdDSA, EdDSA]);
    publisher.publish(&rotated);
    later(&clock, TimeDelta::seconds(31));
    assert_eq!(verdict(&judge, &clock, &rotated, 2).await, "valid");
    assert_eq!(publisher.asked(), 2);
    assert_eq!(
        verdict(&judge, &clock, &issuer, 0).await,
        "token_invalid",
        "a key that was replaced is not believed"
    );
}

#[tokio::test]
async fn made_up_key_ids_cause_no_storm_of_fetches() {
    use jsonwebtoken::Algorithm::EdDSA;
    let (publisher, clock) = (Publisher::default(), Fixed::at(at(NOW)));
    let (issuer, stranger) = (Issuer::default(), Issuer::new(&[EdDSA, EdDSA]));
    publisher.publish(&issuer);
    let judge = publisher.start(&clock).await;
    let all = (0..50).map(|_| verdict(&judge, &clock, &stranger, 1));
    assert!(
        futures::future::join_all(all)
            .await
            .iter()
            .all(|code| *code == "token_key_unknown")
    );
    assert_eq!(publisher.asked(), 1);
    later(&clock, TimeDelta::seconds(30));
    assert_eq!(
        verdict(&judge, &clock, &stranger, 1).await,
        "token_key_unknown"
    );
    assert_eq!(publisher.asked(), 2);
    assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "valid");
}

#[tokio::test]
async fn while_the_issuer_is_out_of_reach_old_keys_serve_and_without_any_nobody_is_judged() {
    let (publisher, clock, issuer) = (Publisher::default(), Fixed::at(at(NOW)), Issuer::default());
    let judge = publisher.start(&clock).await;
    assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "unavailable");
    publisher.publish(&issuer);
    later(&clock, TimeDelta::seconds(30));
    assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "valid");
    publisher.body.lock().unwrap().clear();
    later(&clock, TimeDelta::hours(2));
    assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "valid");
    *publisher.body.lock().unwrap() = "x".repeat(300 << 10);
    later(&clock, TimeDelta::hours(2));
    assert_eq!(
        verdict(&judge, &clock, &issuer, 0).await,
        "valid",
        "nonsense does not replace what is known"
    );
}

#[tokio::test]
async fn nobody_with_a_known_key_waits_while_old_keys_are_fetched_anew() {
    let (publisher, clock, issuer) = (Publisher::default(), Fixed::at(at(NOW)), Issuer::default());
    publisher.publish(&issuer);
    let judge = publisher.start(&clock).await;
    assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "valid");
    later(&clock, TimeDelta::minutes(60));
    let silent = publisher.answering.clone().lock_owned().await;
    let all = (0..50).map(|_| verdict(&judge, &clock, &issuer, 0));
    assert!(
        futures::future::join_all(all)
            .await
            .iter()
            .all(|code| *code == "valid")
    );
    until("the keys are asked for", async || publisher.asked() == 2).await;
    // A key that was replaced meanwhile is believed until the answer is here.
    publisher.publish(&Issuer::default());
    assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "valid");
    drop(silent);
    until("they are here", async || {
        verdict(&judge, &clock, &issuer, 0).await == "token_invalid"
    })
    .await;
    assert_eq!(publisher.asked(), 2);
}

/// As in a function that is frozen before the fetch that it began has ended.
#[tokio::test]
async fn for_keys_that_should_have_come_long_ago_one_caller_waits_a_second_at_most() {
    let (publisher, clock, issuer) = (Publisher::default(), Fixed::at(at(NOW)), Issuer::default());
    publisher.publish(&issuer);
    let judge = publisher.start(&clock).await;
    assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "valid");
    later(&clock, TimeDelta::hours(2));
    let silent = publisher.answering.clone().lock_owned().await;
    let mut first = Box::pin(verdict(&judge, &clock, &issuer, 0));
    while publisher.asked() < 2 {
        assert!(futures::poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
    }
    let others = (0..50).map(|_| verdict(&judge, &clock, &issuer, 0));
    assert!(
        futures::future::join_all(others)
            .await
            .iter()
            .all(|code| *code == "valid")
    );
    assert!(
        futures::poll!(&mut first).is_pending(),
        "the issuer has not answered yet"
    );
    let waited = Instant::now();
    assert_eq!(first.await, "valid");
    assert!(
        waited.elapsed() < Duration::from_secs(2),
        "{:?}",
        waited.elapsed()
    );
    // The next one gets the answer.
    publisher.publish(&Issuer::default());
    later(&clock, TimeDelta::seconds(30));
    let second = verdict(&judge, &clock, &issuer, 0);
    drop(silent);
    assert_eq!((second.await, publisher.asked()), ("token_invalid", 2));
}

#[tokio::test]
async fn keys_are_trusted_for_a_day_at_most_while_the_issuer_is_out_of_reach() {
    let (publisher, clock, issuer) = (Publisher::default(), Fixed::at(at(NOW)), Issuer::default());
    publisher.publish(&issuer);
    let judge = publisher.start(&clock).await;
    assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "valid");
    publisher.body.lock().unwrap().clear();
    later(&clock, TimeDelta::hours(24) - TimeDelta::seconds(1));
    assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "valid");
    later(&clock, TimeDelta::seconds(1));
    assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "unavailable");
    publisher.publish(&issuer);
    later(&clock, TimeDelta::seconds(29));
    assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "valid");
}

#[tokio::test]
async fn keys_are_taken_from_where_they_are_said_to_be_and_nowhere_else() {
    let (publisher, other) = (Publisher::default(), Publisher::default());
    let (clock, issuer) = (Fixed::at(at(NOW)), Issuer::default());
    other.publish(&issuer);
    other.start(&clock).await;
    publisher.publish(&issuer);
    *publisher.moved_to.lock().unwrap() = other.url.lock().unwrap().clone();
    let judge = publisher.start(&clock).await;
    assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "unavailable");
    assert_eq!((publisher.asked(), other.asked()), (1, 0));
}

#[tokio::test]
async fn a_key_that_the_issuer_withdrew_is_trusted_for_an_hour_and_until_the_next_call() {
    for (idle, next) in [
        (TimeDelta::minutes(1), "valid"),
        (TimeDelta::minutes(61), "token_key_unknown"),
    ] {
        let (publisher, clock, issuer) =
            (Publisher::default(), Fixed::at(at(NOW)), Issuer::default());
        publisher.publish(&issuer);
        let judge = publisher.start(&clock).await;
        assert_eq!(verdict(&judge, &clock, &issuer, 0).await, "valid");
        *publisher.body.lock().unwrap() = r#"{"keys":[]}"#.to_owned();
        later(&clock, TimeDelta::minutes(59));
        assert_eq!(
            (verdict(&judge, &clock, &issuer, 0).await, publisher.asked()),
            ("valid", 1)
        );
        later(&clock, idle);
        // An hour old, it serves the one call that begins the fetch; two hours old, the call waits.
        assert_eq!(verdict(&judge, &clock, &issuer, 0).await, next);
        until("it is gone", async || {
            verdict(&judge, &clock, &issuer, 0).await == "token_key_unknown"
        })
        .await;
        assert_eq!(publisher.asked(), 2);
    }
}

#[tokio::test]
async fn a_token_that_was_verified_once_is_still_judged_by_the_time_and_by_the_keys_of_now() {
    let (publisher, clock, issuer) = (Publisher::default(), Fixed::at(at(NOW)), Issuer::default());
    publisher.publish(&issuer);
    let judge = publisher.start(&clock).await;
    let mut claims = claims(user(1), "");
    claims["exp"] = json!((clock.now() + TimeDelta::hours(6)).timestamp());
    let token = issuer.sign(&claims);
    let verdict = async || {
        judge
            .verify(&token)
            .await
            .map_or_else(|error| error.code(), |_| "valid")
    };
    assert_eq!((verdict().await, verdict().await), ("valid", "valid"));
    // Fetched anew, the same key; then another one under its id.
    later(&clock, TimeDelta::minutes(121));
    assert_eq!(verdict().await, "valid");
    publisher.publish(&Issuer::default());
    later(&clock, TimeDelta::minutes(121));
    assert_eq!(verdict().await, "token_invalid");
    publisher.publish(&issuer);
    later(&clock, TimeDelta::minutes(121));
    assert_eq!(verdict().await, "token_expired");
}
