//! The files of the console and the responses with them.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, InvalidHeaderValue,
    LOCATION, REFERRER_POLICY,
};
use http::{Method, StatusCode};
use lambda_http::{Body, Request, RequestExt, Response};
use rust_embed::RustEmbed;
use shared::error::Error;
use shared::http::{problem, response};

use crate::settings::Settings;

/// The files that `console/scripts/check --write` built.
#[derive(RustEmbed)]
#[folder = "../../console/dist"]
pub(crate) struct Dist;

const PATH: &str = "/console/";
/// Names of files in this folder contain a hash of their content.
const HASHED: &str = "assets/";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// The browser asks each time whether the file is still current.
const REVALIDATED: &str = "public, no-cache";

/// The console of a deployment.
#[derive(Debug)]
pub struct Console {
    config: Vec<u8>,
    policy: HeaderValue,
}

impl Console {
    /// Fails if the settings cannot be part of a header.
    pub fn new(settings: &Settings) -> Result<Self, InvalidHeaderValue> {
        Ok(Self {
            config: serde_json::json!(settings).to_string().into_bytes(),
            policy: HeaderValue::try_from(settings.content_security_policy())?,
        })
    }

    /// Responds with the file that a request names. The page is the file without a name.
    pub fn answer(&self, request: &Request) -> Response<Body> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return problem::method_not_allowed("GET, HEAD");
        }
        let mut response = match request.raw_http_path().strip_prefix(PATH) {
            None => to_the_page(),
            Some("config.json") => tagged(request, "config.json", self.config.clone()),
            Some("") => file(request, "index.html"),
            Some(name) => file(request, name),
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }
}

fn file(request: &Request, name: &str) -> Response<Body> {
    match Dist::get(name) {
        Some(file) => tagged(request, name, file.data.into_owned()),
        None => problem::response(&Error::not_found("The path")),
    }
}

/// A response with the content of the file `name`.
fn tagged(request: &Request, name: &str, content: Vec<u8>) -> Response<Body> {
    let cache = if name.starts_with(HASHED) {
        FOR_EVER
    } else {
        REVALIDATED
    };
    response::tagged(request, content_type(name), content, None, cache)
        .unwrap_or_else(|error| problem::response(&error))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "md")) => "text/markdown; charset=utf-8",
        Some((_, "json")) => "application/json",
        Some((_, "svg")) => "image/svg+xml",
        Some((_, "png")) => "image/png",
        Some((_, "woff2")) => "font/woff2",
        _ => "application/octet-stream",
    }
}

/// Relative URLs of the page need the slash at the end of its own URL.
fn to_the_page() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static("console/"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(REVALIDATED));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
