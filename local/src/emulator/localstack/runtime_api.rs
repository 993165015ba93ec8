//! The Lambda runtime API for one function: it delivers one event at a time and receives the
//! responses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use shared::clock::{Clock, System};
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

use crate::loopback::http_server::{Answer, Server, reply, serve};

/// Time limit of an invocation.
const LIMIT: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub struct RuntimeApi {
    /// Value of `AWS_LAMBDA_RUNTIME_API`.
    pub address: SocketAddr,
    events: mpsc::UnboundedSender<Bytes>,
    answers: mpsc::UnboundedReceiver<Outcome>,
}

/// The response of a function.
#[derive(Debug)]
pub struct Outcome {
    pub at: Instant,
    /// The response, or the error that the function reported.
    pub body: Result<Bytes, Bytes>,
}

#[derive(Debug, Clone)]
struct Api {
    name: Arc<str>,
    events: Arc<Mutex<mpsc::UnboundedReceiver<Bytes>>>,
    answers: mpsc::UnboundedSender<Outcome>,
}

impl RuntimeApi {
    /// Starts the runtime API of the function `name`.
    pub async fn start(name: &str) -> Result<Self> {
        let (events, waiting) = mpsc::unbounded_channel();
        let (responses, answers) = mpsc::unbounded_channel();
        let api = Api {
            name: name.into(),
            events: Arc::new(Mutex::new(waiting)),
            answers: responses,
        };
        Ok(Self {
            address: serve(api, 0).await?,
            events,
            answers,
        })
    }

    /// Delivers an event to the function and waits for the response.
    pub async fn invoke(&mut self, event: Vec<u8>) -> Result<(Instant, Bytes)> {
        self.events
            .send(event.into())
            .context("The runtime API has ended.")?;
        let outcome = tokio::time::timeout(LIMIT, self.answers.recv())
            .await
            .context("The function did not respond within a minute.")?
            .context("The runtime API has ended.")?;
        match outcome.body {
            Ok(body) => Ok((outcome.at, body)),
            Err(error) => bail!("The function failed: {}", String::from_utf8_lossy(&error)),
        }
    }
}

impl Api {
    async fn next(&self) -> Result<Answer> {
        let Some(event) = self.events.lock().await.recv().await else {
            bail!("no further event")
        };
        let deadline = System.now() + LIMIT;
        Ok(Response::builder()
            .header("lambda-runtime-aws-request-id", Uuid::new_v4().to_string())
            .header("lambda-runtime-deadline-ms", deadline.timestamp_millis())
            .header("lambda-runtime-invoked-function-arn", arn(&self.name))
            .body(Full::new(event))?)
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")
}

impl Server for Api {
    async fn answer(&self, request: Request<Bytes>) -> Result<Answer> {
        let path = request.uri().path().to_owned();
        if request.method() == Method::GET && path.ends_with("/invocation/next") {
            return self.next().await;
        }
        let body = request.into_body();
        let body = if path.ends_with("/response") {
            Ok(body)
        } else {
            Err(body)
        };
        self.answers
            .send(Outcome {
                at: Instant::now(),
                body,
            })
            .context("No invocation waits for this response.")?;
        reply(202, "")
    }
}
