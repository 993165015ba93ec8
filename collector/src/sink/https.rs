//! `POST /v1/usage-reports`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::DateTime;
use rustls::crypto::aws_lc_rs;
use serde::Deserialize;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::{Outcome, Sink, SinkClock, TIMEOUT};
use crate::config::Token;
use crate::spool::Entry;

const MAX_ANSWER_BYTES: u64 = 64 * 1024;
const MAX_REASON_CHARACTERS: usize = 500;
/// A receiver that wants to wait longer is asked again after an hour.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The endpoint, and what requests to it need.
#[derive(Debug)]
pub struct Https {
    agent: Agent,
    endpoint: String,
    token: Token,
    clock: SinkClock,
}

/// What the receiver says about an error, as `application/problem+json`.
#[derive(Deserialize)]
struct Problem {
    code: Option<String>,
    detail: Option<String>,
    field: Option<String>,
}

impl Https {
    pub fn new(url: &str, token: Token, ca: Option<&Path>, clock: SinkClock) -> Result<Self> {
        let mut tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()));
        if let Some(file) = ca {
            let roots =
                roots(file).with_context(|| format!("`sink.ca_file` {}", file.display()))?;
            tls = tls.root_certs(roots);
        }
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .timeout_connect(Some(Duration::from_secs(10)))
            .user_agent(concat!("telecom-collector/", env!("CARGO_PKG_VERSION")));
        Ok(Self {
            agent: config.build().new_agent(),
            endpoint: format!("{url}/v1/usage-reports"),
            token,
            clock,
        })
    }

    fn post(&self, entry: &Entry) -> Result<Outcome> {
        let authorization = format!("Bearer {}", text(&self.token)?);
        let mut request = self
            .agent
            .post(&self.endpoint)
            .header("authorization", authorization)
            .header("content-type", "application/json");
        if entry.compressed {
            request = request.header("content-encoding", "gzip");
        }
        let answer = request.send(&entry.content[..])?;
        self.note_time(answer.headers());
        Ok(outcome(answer))
    }

    fn note_time(&self, headers: &HeaderMap) {
        let date = headers.get("date").and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
            self.clock.set(date.timestamp_millis());
        }
    }
}

impl Sink for Https {
    fn send(&mut self, entry: &Entry) -> Outcome {
        self.post(entry).unwrap_or_else(|error| Outcome::Failed {
            reason: format!("{error:#}"),
            token_rejected: false,
            retry_after: None,
        })
    }

    /// Any response has the time.
    fn probe(&mut self) {
        if let Ok(answer) = self.agent.head(&self.endpoint).call() {
            self.note_time(answer.headers());
        }
    }
}

fn roots(file: &Path) -> Result<RootCerts> {
    let pem = fs::read(file)?;
    let items = parse_pem(&pem).collect::<Result<Vec<_>, _>>()?;
    let certificates = items.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    ensure!(!certificates.is_empty(), "the file has no certificate");
    Ok(RootCerts::new_with_certs(&certificates))
}

fn text(token: &Token) -> Result<String> {
    let text = match token {
        Token::Text(text) => text.clone(),
        Token::File(file) => {
            let text = fs::read_to_string(file);
            let text = text.with_context(|| format!("`sink.token_file` {}", file.display()))?;
            text.trim().to_owned()
        }
    };
    // The value is not shown: it is a secret.
    let printable = !text.is_empty() && text.chars().all(|letter| letter.is_ascii_graphic());
    ensure!(printable, "the token is empty or contains blanks");
    Ok(text)
}

fn outcome(mut answer: Response<Body>) -> Outcome {
    let status = answer.status().as_u16();
    let retry_after = retry_after(answer.headers());
    let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES);
    let reason = reason(status, &body.read_to_string().unwrap_or_default());
    match status {
        200..=299 => Outcome::Accepted,
        // A wrong URL says nothing about the report: 404 and 405 are not refusals.
        400..=499 if ![401, 403, 404, 405, 408, 425, 429].contains(&status) => {
            Outcome::Refused { status, reason }
        }
        _ => Outcome::Failed {
            reason,
            token_rejected: [401, 403].contains(&status),
            retry_after,
        },
    }
}

/// What the problem in the body says, or the status alone.
fn reason(status: u16, body: &str) -> String {
    let Ok(problem) = serde_json::from_str::<Problem>(body) else {
        return format!("status {status}");
    };
    let parts = [problem.code, problem.field, problem.detail];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    let reason = format!("status {status}: {}", parts.join(", "));
    reason.chars().take(MAX_REASON_CHARACTERS).collect()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// Fails if the token cannot be read.
pub fn check_token(token: &Token) -> Result<()> {
    text(token).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Outcome {
        let answer = Response::builder()
            .status(status)
            .header("retry-after", "7");
        outcome(answer.body(Body::builder().data(body.to_owned())).unwrap())
    }

    #[test]
    fn accepted_reports_and_repeats_are_both_accepted() {
        for status in [200, 202] {
            assert_eq!(answer(status, "not read"), Outcome::Accepted);
        }
    }

    #[test]
    fn only_faults_of_the_report_set_it_aside() {
        for status in [400, 409, 413, 415, 422] {
            let outcome = answer(status, "");
            assert!(matches!(outcome, Outcome::Refused { .. }), "{status}");
        }
        for status in [301, 401, 403, 404, 405, 408, 425, 429, 500, 502, 503, 504] {
            let Outcome::Failed {
                token_rejected,
                retry_after,
                ..
            } = answer(status, "")
            else {
                panic!("{status}");
            };
            assert_eq!(token_rejected, [401, 403].contains(&status), "{status}");
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
        }
    }

    #[test]
    fn the_reason_names_the_code_and_the_field() {
        let body = r#"{"code":"period_too_old","field":"period_start","detail":"x","status":422}"#;
        let expected = "status 422: period_too_old, period_start, x";
        assert_eq!(reason(422, body), expected);
        assert_eq!(reason(400, "<html>"), "status 400");
    }

    #[test]
    fn an_unusable_token_is_not_shown() {
        for token in ["", "a b", "a\nb"] {
            let error = check_token(&Token::Text(token.to_owned())).unwrap_err();
            assert_eq!(error.to_string(), "the token is empty or contains blanks");
        }
    }
}
