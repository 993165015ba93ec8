//! A page on which a developer signs in to the console as the demo user or as an administrator.
//!
//! It is an OIDC issuer with the authorization code flow and PKCE, so the console signs
//! in here as it does at any other issuer. It is a part of this program, so no deployment has it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::body::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    HeaderValue, LOCATION,
};
use hyper::{Method, Request};
use serde_json::json;
use sha2::{Digest, Sha256};
use shared::clock::{Clock, System};
use url::form_urlencoded;
use uuid::Uuid;

use crate::demo::fleet::{ADMIN, DEMO_USER};
use crate::demo::token::{Issuer, Role, TOKEN_TTL};
use crate::loopback::http_server::{Answer, Server, reply, serve};
use crate::loopback::{Background, background};

/// Id of the console at this issuer.
pub const CLIENT_ID: &str = "telecom-console";
const CONFIGURATION: &str = "/.well-known/openid-configuration";
const PAGE: &str = include_str!("sign_in.html");

/// The running page. Dropping it stops it.
#[derive(Debug)]
pub struct SignIn {
    _runtime: Background,
}

impl SignIn {
    /// Serves on `port` of 127.0.0.1. `console` is the URL to which people return.
    pub fn start(port: u16, issuer: Issuer, console: String) -> Result<Self> {
        let runtime = background()?;
        let pages = Pages {
            url: url(port),
            console,
            issuer: Arc::new(issuer),
            codes: Arc::default(),
        };
        runtime.block_on(serve(pages, port))?;
        Ok(Self { _runtime: runtime })
    }
}

/// URL of the issuer on `port`.
#[must_use]
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

#[derive(Clone)]
struct Pages {
    url: String,
    console: String,
    issuer: Arc<Issuer>,
    /// What each code that is not used yet stands for.
    codes: Arc<Mutex<HashMap<Uuid, Grant>>>,
}

/// The choice of a person on the page.
struct Grant {
    role: Role,
    /// Hash of the secret that the console shows when it uses the code.
    challenge: String,
    nonce: Option<String>,
}

type Fields = BTreeMap<String, String>;

impl Server for Pages {
    const FOR_PAGES: bool = true;

    async fn answer(&self, request: Request<Bytes>) -> Result<Answer> {
        let query = request.uri().query().unwrap_or_default();
        let answer = match (request.method(), request.uri().path()) {
            (&Method::GET, CONFIGURATION) => reply(200, self.configuration()),
            (&Method::GET, "/jwks") => reply(200, self.issuer.jwks()?),
            (&Method::GET, "/authorize") => return self.page(query),
            (&Method::POST, "/authorize") => return self.grant(query, request.body()),
            (&Method::POST, "/token") => self.token(&fields(request.body())),
            _ => reply(404, "not found\n"),
        }?;
        Ok(self.for_the_console(answer))
    }
}

impl Pages {
    fn configuration(&self) -> String {
        let url = &self.url;
        json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        })
        .to_string()
    }

    fn codes(&self) -> MutexGuard<'_, HashMap<Uuid, Grant>> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page with one button per role.
    fn page(&self, query: &str) -> Result<Answer> {
        if let Err(problem) = self.check(&fields(query.as_bytes())) {
            return reply(400, problem);
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form_urlencoded::parse(query.as_bytes()))
            .finish()
            .replace('&', "&amp;");
        let mut answer = reply(200, PAGE.replace("{query}", &query))?;
        let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
        let headers = answer.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        Ok(answer)
    }

    /// Sends a person who has chosen a role back to the console, with a code.
    fn grant(&self, query: &str, body: &[u8]) -> Result<Answer> {
        let mut request = fields(query.as_bytes());
        let role = match fields(body).get("as").map(String::as_str) {
            Some("user") => Role::User,
            Some("admin") => Role::Admin,
            _ => return reply(400, "as must be user or admin\n"),
        };
        let challenge = match self.check(&request) {
            Ok(challenge) => challenge.to_owned(),
            Err(problem) => return reply(400, problem),
        };
        let code = Uuid::new_v4();
        let nonce = request.remove("nonce");
        let grant = Grant {
            role,
            challenge,
            nonce,
        };
        self.codes().insert(code, grant);
        let returned = form_urlencoded::Serializer::new(String::new())
            .append_pair("code", &code.to_string())
            .append_pair("state", request.get("state").map_or("", String::as_str))
            .finish();
        let mut answer = reply(303, "")?;
        let location = HeaderValue::try_from(format!("{}?{returned}", self.console))?;
        answer.headers_mut().insert(LOCATION, location);
        Ok(answer)
    }

    /// Checks the request to sign in and returns its challenge, or what is wrong with it.
    fn check<'r>(&self, request: &'r Fields) -> Result<&'r str, String> {
        for (name, expected) in [
            ("client_id", CLIENT_ID),
            ("redirect_uri", &self.console),
            ("response_type", "code"),
            ("code_challenge_method", "S256"),
        ] {
            if request.get(name).is_none_or(|value| value != expected) {
                return Err(format!("{name} must be {expected}\n"));
            }
        }
        let challenge = request.get("code_challenge").map(String::as_str);
        challenge.ok_or_else(|| "code_challenge is missing\n".to_owned())
    }

    /// Exchanges a code for tokens, once.
    fn token(&self, request: &Fields) -> Result<Answer> {
        let field = |name: &str| request.get(name).map_or("", String::as_str);
        if field("grant_type") != "authorization_code" {
            return reply(400, json!({"error": "unsupported_grant_type"}).to_string());
        }
        let code: Option<Uuid> = field("code").parse().ok();
        let grant = code.and_then(|code| self.codes().remove(&code));
        let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier")));
        let Some(grant) = grant.filter(|grant| grant.challenge == hash) else {
            return reply(400, json!({"error": "invalid_grant"}).to_string());
        };
        let user = if grant.role == Role::User {
            DEMO_USER
        } else {
            ADMIN
        };
        let now = System.now();
        let id = self.issuer.id_token(
            &self.url,
            CLIENT_ID,
            user,
            grant.nonce.as_deref(),
            TOKEN_TTL,
            now,
        )?;
        let tokens = json!({
            "access_token": self.issuer.issue(user, grant.role, TOKEN_TTL, now)?,
            "id_token": id,
            "token_type": "Bearer",
            "expires_in": TOKEN_TTL.as_secs(),
        });
        reply(200, tokens.to_string())
    }

    /// Lets scripts of the console read a response, and no others.
    fn for_the_console(&self, mut answer: Answer) -> Answer {
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                answer.headers_mut().insert(name, value);
            }
        };
        if let Ok(console) = url::Url::parse(&self.console) {
            set(
                ACCESS_CONTROL_ALLOW_ORIGIN,
                &console.origin().ascii_serialization(),
            );
        }
        set(CONTENT_TYPE, "application/json");
        set(CACHE_CONTROL, "no-store");
        answer
    }
}

fn fields(form: &[u8]) -> Fields {
    form_urlencoded::parse(form).into_owned().collect()
}
