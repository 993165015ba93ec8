//! HTTP: what an endpoint is, how a request is read, and how answers and problems are written.
//!
//! A new endpoint is an implementation of [`Endpoint`] and a line in [`openapi::document`].

pub mod node_clients;
pub mod node_servers;
pub mod node_status_history;
pub mod nodes;
pub mod openapi;
pub mod package_queue;
pub mod page;
pub mod parameter;
pub mod problem;
pub mod request;
pub mod response;
pub mod traffic_usage;
pub mod usually_used_nodes;

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::error::Error;
use crate::services::{Operation, Processor};
use parameter::Parameter;
use request::ApiRequest;

/// What an endpoint answers.
pub type Output<E> = <<E as Endpoint>::Service as Processor<<E as Endpoint>::Input>>::Output;

/// One operation over HTTP: how a request becomes a processor's input.
pub trait Endpoint {
    /// Who does the work.
    type Service: Processor<Self::Input, Output: Serialize + JsonSchema + Send + Sync> + Send + Sync;
    /// What it takes.
    type Input: Operation + Send;
    /// The method.
    const METHOD: Method = Method::GET;
    /// The path; `{id}` stands for an id.
    const PATH: &'static str;
    /// The parameters of the query; others are refused.
    const PARAMETERS: &'static [Parameter] = &[];
    /// The schema of the JSON body; none: there is no body.
    const BODY: Option<fn(&mut SchemaGenerator) -> Schema> = None;
    /// The columns as which the answer is given to those who ask for `text/csv`; none: it has no
    /// such form.
    const CSV_COLUMNS: Option<&'static [&'static str]> = None;

    /// Reads a request.
    fn input(request: &ApiRequest<'_>) -> Result<Self::Input, Error>;

    /// The answer's rows, as wide as [`Self::CSV_COLUMNS`].
    #[must_use]
    fn csv_rows(_: &Output<Self>) -> Vec<Vec<String>> {
        Vec::new()
    }
}

/// A cell of a table: nothing where there is no value.
fn cell(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A moment in a cell, as JSON writes it.
fn moment(at: chrono::DateTime<chrono::Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}
