//! HTTP: what an endpoint is, how its query is read, and how answers and problems are written.

pub mod problem;
pub mod query;
pub mod traffic_usage;

use lambda_http::{Body, Request, Response};
use serde::Serialize;

use crate::auth::Principal;
use crate::error::Error;
use crate::services::Processor;

/// One operation over HTTP: how a request becomes a processor's input.
pub trait Endpoint {
    /// Who does the work.
    type Service: Processor<Self::Input, Output: Serialize> + Send + Sync;
    /// What it takes.
    type Input: Send;
    /// The operation's name, in logs.
    const OPERATION: &'static str;

    /// Reads a request of an authenticated caller, and decides whether they may.
    fn input(request: &Request, principal: &Principal) -> Result<Self::Input, Error>;
}

/// 200 with a JSON body. What a user may read is theirs: no shared cache may keep it.
pub fn json(output: &impl Serialize) -> Result<Response<Body>, Error> {
    let body = serde_json::to_string(output).map_err(Error::internal)?;
    Response::builder()
        .header("content-type", "application/json")
        .header("cache-control", "private, no-store")
        .body(Body::Text(body))
        .map_err(Error::internal)
}
