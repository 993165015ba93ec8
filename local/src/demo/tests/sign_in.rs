//! The page on which a developer signs in to the console.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use shared::auth::Authenticator;
use shared::clock::System;
use shared::config::{AuthConfig, JwksConfig};
use url::Url;

use crate::demo::fleet::{ADMIN, DEMO_USER};
use crate::demo::sign_in::{self, SignIn};
use crate::demo::token::{AUDIENCE, ISSUER, Issuer};
use crate::loopback::ports::free_port;

const CONSOLE: &str = "http://127.0.0.1:9/console/";
const SECRET: &str = "a-secret-of-the-console";

/// A running page, and an API that trusts its tokens.
struct Page {
    url: String,
    api: Authenticator,
    _running: SignIn,
}

impl Page {
    fn open() -> Self {
        let (port, issuer) = (free_port().unwrap(), Issuer::generate().unwrap());
        let jwks = serde_json::from_str(&issuer.jwks().unwrap()).unwrap();
        let config = AuthConfig {
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            jwks: JwksConfig::Inline(jwks),
            max_lifetime: AuthConfig::MAX_LIFETIME,
        };
        Self {
            url: sign_in::url(port),
            api: Authenticator::new(config, Arc::new(System)).unwrap(),
            _running: SignIn::start(port, issuer, CONSOLE.to_owned()).unwrap(),
        }
    }

    /// The page's address, as the console opens it.
    fn address(&self, redirect_uri: &str) -> String {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(SECRET));
        Url::parse_with_params(
            &format!("{}/authorize", self.url),
            [
                ("client_id", sign_in::CLIENT_ID),
                ("redirect_uri", redirect_uri),
                ("response_type", "code"),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
                ("state", "here & there"),
                ("nonce", "once"),
            ],
        )
        .unwrap()
        .into()
    }

    /// Presses a button, and returns the code that the console receives.
    fn choose(&self, role: &str) -> String {
        let answer = agent()
            .post(self.address(CONSOLE))
            .send_form([("as", role)]);
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 303);
        let back = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        assert!(back.as_str().starts_with(CONSOLE), "{back}");
        let mut fields = back.query_pairs();
        let (code, state) = (fields.next().unwrap(), fields.next().unwrap());
        assert_eq!((&*state.0, &*state.1), ("state", "here & there"));
        code.1.into_owned()
    }

    fn exchange(&self, code: &str, secret: &str) -> (u16, Value) {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", secret),
        ];
        let url = format!("{}/token", self.url);
        let mut answer = agent().post(url).send_form(fields).unwrap();
        let body = answer.body_mut().read_json().unwrap();
        (answer.status().as_u16(), body)
    }
}

/// Follows no redirects, and returns errors as responses.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder();
    let config = config.http_status_as_error(false).max_redirects(0);
    config.build().into()
}

fn get(url: &str) -> (u16, String) {
    let mut answer = agent().get(url).call().unwrap();
    let body = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), body)
}

#[test]
fn a_code_is_exchanged_once_for_a_token_that_the_api_accepts() {
    let page = Page::open();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for (button, user, is_admin) in [("user", DEMO_USER, false), ("admin", ADMIN, true)] {
        let code = page.choose(button);
        let (status, tokens) = page.exchange(&code, SECRET);
        assert_eq!(status, 200, "{tokens}");
        let token = tokens["access_token"].as_str().unwrap();
        let principal = runtime.block_on(page.api.verify(token)).unwrap();
        assert_eq!((principal.user_id, principal.admin), (user, is_admin));
        assert_eq!(page.exchange(&code, SECRET).0, 400);
    }
}

#[test]
fn a_code_is_worth_nothing_without_the_secret_of_who_asked_for_it() {
    let page = Page::open();
    let code = page.choose("admin");
    let (status, answer) = page.exchange(&code, "another secret");
    assert_eq!(
        (status, answer["error"].as_str()),
        (400, Some("invalid_grant"))
    );
}

#[test]
fn people_return_to_the_console_and_nowhere_else() {
    let page = Page::open();
    let (status, html) = get(&page.address(CONSOLE));
    assert_eq!(status, 200);
    assert!(html.contains("As an administrator") && html.contains("As the demo user"));
    let (status, problem) = get(&page.address("https://elsewhere.example.com/"));
    assert_eq!(status, 400);
    assert!(problem.contains("redirect_uri must be"), "{problem}");
    let (status, text) = get(&format!("{}/.well-known/openid-configuration", page.url));
    let configuration: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (status, &configuration["issuer"]),
        (200, &page.url.clone().into())
    );
}
