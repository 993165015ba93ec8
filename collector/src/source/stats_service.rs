//! V2Ray's and Xray's `StatsService`, over gRPC.
//!
//! The counters are read without resetting them, so that a crash between the answer and the commit
//! loses nothing, and so that another reader is not disturbed.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow, ensure};
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::timeout;
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::TIMEOUT;
use crate::clock::Now;
use crate::counters::{Absent, Bytes, Counter, Reading};
use crate::start::{Start, Uptime};

/// The counters of 200,000 users.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

#[derive(Clone, PartialEq, Message)]
struct Empty {}

/// The other fields are about memory.
#[derive(Clone, PartialEq, Message)]
struct SysStatsResponse {
    #[prost(uint32, tag = "10")]
    uptime: u32,
}

/// The field `reset`, number 2, is missing on purpose.
#[derive(Clone, PartialEq, Message)]
struct QueryStatsRequest {
    /// Part of the names of the counters.
    #[prost(string, tag = "1")]
    pattern: String,
}

#[derive(Clone, PartialEq, Message)]
struct QueryStatsResponse {
    #[prost(message, repeated, tag = "1")]
    stat: Vec<Stat>,
}

#[derive(Clone, PartialEq, Message)]
struct Stat {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "2")]
    value: i64,
}

pub async fn read(address: &str, package: &str) -> Result<Reading> {
    let read = timeout(TIMEOUT, read_all(address, package)).await;
    read.map_err(|_| anyhow!("no answer from {address} within {} s", TIMEOUT.as_secs()))?
}

async fn read_all(address: &str, package: &str) -> Result<Reading> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    let channel = endpoint.connect().await;
    let channel = channel.with_context(|| format!("cannot connect to {address}"))?;
    let mut service = StatsService { channel, package };

    let before = Now::read();
    let first: SysStatsResponse = service.call("GetSysStats", Empty {}).await?;
    let after = Now::read();
    let pattern = "user>>>".to_owned();
    let stats: QueryStatsResponse = service
        .call("QueryStats", QueryStatsRequest { pattern })
        .await?;
    let last: SysStatsResponse = service.call("GetSysStats", Empty {}).await?;
    // Otherwise the counters may belong to the old process or to the new one.
    ensure!(
        last.uptime >= first.uptime,
        "the node software was restarted during the reading"
    );
    Ok(Reading {
        start: Start::Uptime(Uptime::new(first.uptime, &before, &after)),
        absent: Absent::Ended,
        counters: counters(stats.stat)?,
        warning: None,
    })
}

struct StatsService<'a> {
    channel: Channel,
    package: &'a str,
}

impl StatsService<'_> {
    async fn call<Q, A>(&mut self, method: &str, request: Q) -> Result<A>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let path = format!("/{}.app.stats.command.StatsService/{method}", self.package);
        let path = PathAndQuery::try_from(path)?;
        let grpc = Grpc::new(self.channel.clone());
        let mut grpc = grpc.max_decoding_message_size(MAX_ANSWER_BYTES);
        grpc.ready().await?;
        let codec = ProstCodec::<Q, A>::default();
        let answer = grpc.unary(Request::new(request), path, codec).await;
        let answer = answer
            .map_err(|status| anyhow!("{method}: {:?} {}", status.code(), status.message()))?;
        Ok(answer.into_inner())
    }
}

/// The two directions of a user are two counters, `user>>>NAME>>>traffic>>>uplink` and `downlink`.
fn counters(stats: Vec<Stat>) -> Result<Vec<Counter>> {
    let mut users: HashMap<String, Bytes> = HashMap::with_capacity(stats.len() / 2);
    for Stat { name, value } in stats {
        let Some(named) = name.strip_prefix("user>>>") else {
            continue;
        };
        ensure!(value >= 0, "a counter has the value {value}");
        if let Some(user) = named.strip_suffix(">>>traffic>>>uplink") {
            users.entry(user.to_owned()).or_default().upload = value;
        } else if let Some(user) = named.strip_suffix(">>>traffic>>>downlink") {
            users.entry(user.to_owned()).or_default().download = value;
        }
    }
    let counters = users.into_iter().map(|(name, bytes)| Counter {
        key: name.clone(),
        name,
        bytes,
        since_ms: None,
    });
    Ok(counters.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(name: &str, value: i64) -> Stat {
        Stat {
            name: name.to_owned(),
            value,
        }
    }

    #[test]
    fn both_directions_of_a_user_are_one_counter() {
        let stats = vec![
            stat("user>>>a>>>traffic>>>uplink", 1),
            stat("user>>>a>>>traffic>>>downlink", 2),
            stat("user>>>b>>>c>>>traffic>>>downlink", 3),
            stat("user>>>a>>>online", 4),
            stat("inbound>>>user>>>traffic>>>uplink", 5),
        ];
        let mut counters = counters(stats).unwrap();
        counters.sort_by(|a, b| a.name.cmp(&b.name));
        let bytes = |upload, download| Bytes { upload, download };
        let found: Vec<_> = counters
            .iter()
            .map(|counter| (counter.name.as_str(), counter.bytes))
            .collect();
        assert_eq!(found, [("a", bytes(1, 2)), ("b>>>c", bytes(0, 3))]);
    }

    #[test]
    fn a_negative_counter_is_an_error() {
        assert!(counters(vec![stat("user>>>a>>>traffic>>>uplink", -1)]).is_err());
    }

    #[test]
    fn no_request_can_reset_a_counter() {
        let request = QueryStatsRequest {
            pattern: "user>>>".to_owned(),
        };
        assert_eq!(request.encode_to_vec(), b"\x0a\x07user>>>");
    }
}
