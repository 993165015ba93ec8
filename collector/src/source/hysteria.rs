//! Hysteria 2's traffic statistics, over HTTP.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use ureq::Agent;

use super::{TIMEOUT, process};
use crate::counters::{Absent, Bytes, Counter, Reading};
use crate::start::Start;

const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Deserialize)]
struct Traffic {
    /// From the user to the internet.
    tx: u64,
    rx: u64,
}

/// Reads without `clear`, so that a crash between the answer and the commit loses nothing.
pub fn read(address: &str, secret: Option<&str>, process: Option<&str>) -> Result<Reading> {
    let config = Agent::config_builder().timeout_global(Some(TIMEOUT));
    let agent = config.proxy(None).max_redirects(0).build().new_agent();
    let mut request = agent.get(format!("http://{address}/traffic"));
    if let Some(secret) = secret {
        request = request.header("authorization", secret);
    }
    let mut answer = request.call().map_err(|error| match error {
        ureq::Error::StatusCode(401) => anyhow!("the `secret` was rejected (401)"),
        error => anyhow!("{error}"),
    })?;
    let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES);
    let body = body.read_to_string().context("the answer is incomplete")?;
    Ok(Reading {
        start: process.map_or(Start::Unknown, process::start_of),
        // Entries are removed only all together, by `clear` and by a restart.
        absent: Absent::Restarted,
        counters: parse(&body)?,
        warning: None,
    })
}

fn parse(body: &str) -> Result<Vec<Counter>> {
    let users: HashMap<String, Traffic> = serde_json::from_str(body)
        .map_err(|error| anyhow!("the answer is no map of users: {:?}", error.classify()))?;
    let counters = users.into_iter().map(|(name, traffic)| {
        Ok(Counter {
            key: name.clone(),
            name,
            bytes: Bytes::counted(traffic.tx, traffic.rx)?,
            since_ms: None,
        })
    });
    counters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tx_is_upload_and_rx_is_download() {
        let counters = parse(r#"{"alice":{"tx":514,"rx":4017}}"#).unwrap();
        assert_eq!(counters[0].name, "alice");
        assert_eq!(
            counters[0].bytes,
            Bytes {
                upload: 514,
                download: 4017
            }
        );
        assert!(parse("{}").unwrap().is_empty());
    }

    #[test]
    fn an_answer_of_another_form_is_an_error() {
        for body in [
            "",
            "[]",
            r#"{"a":{"tx":1}}"#,
            r#"{"a":{"tx":-1,"rx":0}}"#,
            r#"{"a":{"tx":9223372036854775808,"rx":0}}"#,
        ] {
            assert!(parse(body).is_err(), "{body}");
        }
    }
}
