//! Calls of the HTTP API.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use backon::{BackoffBuilder, ExponentialBuilder};
use serde_json::Value;
use ureq::http::{Request, Uri};
use uuid::Uuid;

/// Time limit of one request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Number of times that a request is repeated.
const MAX_REPEATS: usize = 6;
/// Pause before the first repeat. The pauses double.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause, whatever the API asks for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Pause after a refusal for too many requests that names no time. The firewall counts the requests
/// of minutes.
const PAUSE_OF_FIREWALL: Duration = Duration::from_secs(30);

/// The API of one deployment, called as one administrator.
pub struct Api {
    agent: ureq::Agent,
    url: String,
    token: String,
    pause: Box<dyn Fn(Duration) + Send>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// A request that failed, after all repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status. `None` if there was no response.
    pub status: Option<u16>,
    /// Code of the problem document, such as `revision_changed`.
    pub code: String,
    pub detail: String,
    retry_after: Option<Duration>,
}

impl Failure {
    /// Whether the same request may succeed later.
    fn is_temporary(&self) -> bool {
        self.status
            .is_none_or(|status| status == 429 || status >= 500)
    }

    /// Whether the next request would fail for the same reason.
    #[must_use]
    pub fn concerns_all(&self) -> bool {
        self.is_temporary() || matches!(self.status, Some(401 | 403))
    }

    /// A response that is not what the API documents.
    #[must_use]
    pub fn unreadable(error: &serde_json::Error) -> Self {
        Self {
            status: Some(200),
            code: "unexpected_response".to_owned(),
            detail: error.to_string(),
            retry_after: None,
        }
    }

    fn unreachable(error: &ureq::Error) -> Self {
        Self {
            status: None,
            code: "no_response".to_owned(),
            detail: error.to_string(),
            retry_after: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(f, "{status} ")?;
        }
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Failure {}

/// A request that changes something.
#[derive(Debug, Clone)]
pub struct Change {
    pub method: &'static str,
    pub path: String,
    /// Revision that the change expects, for updates.
    pub revision: Option<i64>,
    pub body: Value,
    /// What else tells this change from an earlier one with the same content.
    pub after: i32,
}

impl Change {
    /// The same for the same change, so that a repeated request has an effect once.
    fn idempotency_key(&self) -> String {
        let revision = self.revision;
        let content = format!(
            "telecom-fleet {} {} {revision:?} {} {}",
            self.method, self.path, self.after, self.body
        );
        Uuid::new_v5(&Uuid::NAMESPACE_URL, content.as_bytes()).to_string()
    }
}

impl Api {
    /// Connects to the API at `url`, which has no path of an operation. `pause` waits before a
    /// request is repeated.
    pub fn new(url: &str, token: &str, pause: impl Fn(Duration) + Send + 'static) -> Result<Self> {
        let uri: Uri = url
            .parse()
            .with_context(|| format!("{url} is not a URL; expected https://<host>"))?;
        let is_local = matches!(
            uri.host(),
            Some("127.0.0.1" | "localhost" | "[::1]" | "::1")
        );
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if is_local => {}
            _ => bail!("{url} must begin with https://, because the token is sent to it"),
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .http_status_as_error(false);
        let config = if is_local { config.proxy(None) } else { config };
        Ok(Self {
            agent: config.build().into(),
            url: url.trim_end_matches('/').to_owned(),
            token: token.trim().to_owned(),
            pause: Box::new(pause),
        })
    }

    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        self.repeated(|| self.send("GET", path, &[], String::new()))
    }

    /// Sends a change. All repeats have the same idempotency key.
    pub fn change(&self, change: &Change) -> Result<Value, Failure> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("idempotency-key", change.idempotency_key()),
        ];
        headers.extend(
            change
                .revision
                .map(|revision| ("if-match", format!("\"{revision}\""))),
        );
        let body = change.body.to_string();
        self.repeated(|| self.send(change.method, &change.path, &headers, body.clone()))
    }

    fn repeated(&self, send: impl Fn() -> Result<Value, Failure>) -> Result<Value, Failure> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_times(MAX_REPEATS)
            .build();
        loop {
            let failure = match send() {
                Err(failure) if failure.is_temporary() => failure,
                other => return other,
            };
            let Some(pause) = pauses.next() else {
                return Err(failure);
            };
            let asked = match failure.status {
                Some(429) => Some(failure.retry_after.unwrap_or(PAUSE_OF_FIREWALL)),
                _ => failure.retry_after,
            };
            (self.pause)(
                asked
                    .map_or(pause, |asked| asked.max(pause))
                    .min(LONGEST_PAUSE),
            );
        }
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<Value, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("accept", "application/json")
            .header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answered = if body.is_empty() {
            request.body(()).map(|request| self.agent.run(request))
        } else {
            request.body(body).map(|request| self.agent.run(request))
        };
        let answered = answered.map_err(ureq::Error::from).flatten();
        let mut answer = answered.map_err(|error| Failure::unreachable(&error))?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after
            .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let text = answer.body_mut().read_to_string();
        let text = text.map_err(|error| Failure::unreachable(&error))?;
        let body = serde_json::from_str::<Value>(&text);
        match body {
            Ok(body) if status == 200 => Ok(body),
            body => Err(failure(status, &body.unwrap_or_default(), retry_after)),
        }
    }
}

fn failure(status: u16, problem: &Value, retry_after: Option<Duration>) -> Failure {
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    let detail = text("detail").unwrap_or("The response has no problem document.");
    Failure {
        status: Some(status),
        code: text("code").unwrap_or("unexpected_response").to_owned(),
        detail: text("field").map_or(detail.to_owned(), |field| format!("{field}: {detail}")),
        retry_after,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("https://api.example.com", true)]
    #[case("http://127.0.0.1:4566/_alb/telecom", true)]
    #[case("http://localhost:8080", true)]
    #[case("http://api.example.com", false)]
    #[case("api.example.com", false)]
    #[case("http://127.0.0.1.example.com", false)]
    fn a_token_leaves_the_machine_encrypted_only(#[case] url: &str, #[case] accepted: bool) {
        assert_eq!(Api::new(url, "token", |_| {}).is_ok(), accepted);
    }

    #[test]
    fn the_key_of_a_change_depends_on_all_that_it_does() {
        let change = Change {
            method: "POST",
            path: "/v1/admin/node-servers".to_owned(),
            revision: None,
            body: json!({ "name": "a" }),
            after: 1,
        };
        let key = change.idempotency_key();
        assert_eq!(key, change.clone().idempotency_key());
        let others = [
            Change {
                after: 2,
                ..change.clone()
            },
            Change {
                revision: Some(1),
                ..change.clone()
            },
            Change {
                body: json!({ "name": "b" }),
                ..change
            },
        ];
        for other in others {
            assert_ne!(other.idempotency_key(), key, "{other:?}");
        }
    }
}
