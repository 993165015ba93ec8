//! An SQS queue.

use std::io::Read;

use anyhow::{Context, Result};
use aws_config::BehaviorVersion;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata};
use flate2::read::GzDecoder;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::{Outcome, Sink, TIMEOUT};
use crate::spool::Entry;

/// Sends each report as one message. SQS has no bodies that are compressed.
#[derive(Debug)]
pub struct Sqs {
    runtime: Runtime,
    client: Client,
    queue_url: String,
}

impl Sqs {
    pub fn new(queue_url: &str) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("Cannot start the runtime")?;
        let load = aws_config::defaults(BehaviorVersion::latest()).load();
        let client = Client::new(&runtime.block_on(load));
        Ok(Self {
            runtime,
            client,
            queue_url: queue_url.to_owned(),
        })
    }

    async fn post(&self, body: String) -> Outcome {
        let message = self.client.send_message();
        let message = message.queue_url(&self.queue_url).message_body(body);
        let failed = |reason: String, token_rejected| Outcome::Failed {
            reason,
            token_rejected,
            retry_after: None,
        };
        let error = match timeout(TIMEOUT, message.send()).await {
            Ok(Ok(_)) => return Outcome::Accepted,
            Ok(Err(error)) => error,
            Err(_) => return failed("no answer from SQS in time".to_owned(), false),
        };
        let reason = DisplayErrorContext(&error).to_string();
        match error.code() {
            Some("InvalidMessageContents" | "InvalidParameterValue") => Outcome::Refused {
                status: 400,
                reason,
            },
            Some(code) => {
                let rejected = [
                    "AccessDenied",
                    "InvalidClientTokenId",
                    "SignatureDoesNotMatch",
                ];
                let rejected = rejected.iter().any(|part| code.contains(part));
                failed(reason, rejected)
            }
            None => failed(reason, false),
        }
    }
}

impl Sink for Sqs {
    fn send(&mut self, entry: &Entry) -> Outcome {
        match text(entry) {
            Ok(body) => self.runtime.block_on(self.post(body)),
            Err(error) => Outcome::Refused {
                status: 400,
                reason: format!("the stored report is damaged: {error:#}"),
            },
        }
    }
}

fn text(entry: &Entry) -> Result<String> {
    if !entry.compressed {
        return Ok(String::from_utf8(entry.content.clone())?);
    }
    let mut text = String::new();
    GzDecoder::new(&entry.content[..]).read_to_string(&mut text)?;
    Ok(text)
}
