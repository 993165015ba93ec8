//! The functions behind the load balancer that serve node software and collectors.

mod mod_mu;
mod uniproxy;
mod usage_report;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use lambda_http::{Body, Request, RequestExt, Response, service_fn};

use super::alb::{self, Handler};
use super::{BoxError, before_deadline, log_error};
use crate::app::{App, FromApp};
use crate::db::user_list::NodeConfigs;
use crate::domain::node_access::NodeAccess;
use crate::error::{Error, ErrorKind};
use crate::http::problem;
use crate::node_protocol::etag::Tag;
use crate::node_protocol::gzip;
use crate::services::node::NodeService;
use crate::telemetry::{self, RequestIds};

pub use mod_mu::ModMu;
pub use uniproxy::Uniproxy;
pub use usage_report::UsageReports;

/// Maximum length of a body after it was decompressed. 100,000 rows of a push fit.
const MAX_BODY_BYTES: usize = 8 << 20;
/// Maximum size of a response. The load balancer accepts 1 MB of a function, headers included, and
/// a compressed body is Base64 there.
const MAX_RESPONSE_BYTES: usize = 1_000_000;
/// Smaller bodies are not compressed.
const MIN_COMPRESSED_BYTES: usize = 1_024;

/// A protocol of nodes.
#[async_trait]
pub trait NodeApi {
    /// Name of the protocol, for the log.
    const NAME: &'static str;

    /// Responds to a request.
    async fn respond(service: &NodeService, request: &NodeRequest<'_>) -> Result<Reply, Error>;

    /// The response to a request that fails, in the form that the protocol's clients expect.
    #[must_use]
    fn failed(error: &Error) -> Response<Body> {
        problem::response(error)
    }
}

/// Runs a function that serves the nodes of one protocol.
pub async fn run<P: NodeApi>() -> Result<(), BoxError> {
    telemetry::init();
    let app = App::function();
    let service = NodeService::from_app(&app).await?;
    let parts = Arc::new((app, service));
    alb::run(Handler::new(service_fn(move |request: Request| {
        let parts = Arc::clone(&parts);
        async move {
            let (app, service) = &*parts;
            app.renew_login().await;
            Ok::<_, Infallible>(handle::<P>(service, request).await)
        }
    })))
    .await
}

/// Handles one request: reads it, responds, and logs it without its query, which may contain a
/// token.
pub async fn handle<P: NodeApi>(service: &NodeService, request: Request) -> Response<Body> {
    alb::respond(&request, Box::pin(answer::<P>(service, &request))).await
}

async fn answer<P: NodeApi>(service: &NodeService, request: &Request) -> Response<Body> {
    let began = Instant::now();
    let invocation = request.lambda_context_ref().cloned().unwrap_or_default();
    let result = before_deadline(&invocation, async {
        let request = NodeRequest::read(request)?;
        P::respond(service, &request).await?.finish(&request)
    });
    let response = Box::pin(result).await.unwrap_or_else(|error| {
        log_error(&error);
        P::failed(&error)
    });
    let status = response.status().as_u16();
    let took_ms = telemetry::millis_since(began);
    let RequestIds {
        request_id,
        trace_id,
    } = RequestIds::of(request.headers());
    let protocol = P::NAME;
    tracing::info!(
        protocol,
        status,
        took_ms,
        request_id,
        trace_id,
        "node request completed"
    );
    let counted = if status < 500 {
        "NodeRequestsAnswered"
    } else {
        "NodeRequestsFailed"
    };
    telemetry::count(counted, 1);
    response
}

/// A request of a node. `Debug` is missing, because the query may contain a token.
pub struct NodeRequest<'r> {
    /// HTTP method of the request.
    pub method: &'r Method,
    /// Path without the query.
    pub path: &'r str,
    /// Decoded parameters of the query.
    pub query: Vec<(String, String)>,
    /// Headers, with lower-case names.
    pub headers: &'r HeaderMap,
    /// The body after it was decompressed.
    pub body: Vec<u8>,
    /// Address from which the load balancer received the request. `None` if it is unknown.
    pub address: Option<IpAddr>,
}

impl<'r> NodeRequest<'r> {
    fn read(request: &'r Request) -> Result<Self, Error> {
        let query = request.query_string_parameters_ref();
        let query = query.map(|query| {
            let pairs = query.iter();
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        });
        let headers = request.headers();
        let body: &[u8] = request.body().as_ref();
        let body = match text(headers, &CONTENT_ENCODING) {
            None | Some("" | "identity") => body.to_vec(),
            Some("gzip") => gzip::decompress(body, MAX_BODY_BYTES)?,
            Some(_) => return Err(Error::parameter("content-encoding", "gzip, or none")),
        };
        Ok(Self {
            method: request.method(),
            path: request.raw_http_path(),
            query: query.unwrap_or_default(),
            headers,
            body,
            address: address(headers),
        })
    }

    /// The parameters of the query.
    fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of `if-none-match`. `None` if there is none.
    fn if_none_match(&self) -> Option<&str> {
        text(self.headers, &IF_NONE_MATCH)
    }

    /// Whether the response may be compressed with gzip.
    fn accepts_gzip(&self) -> bool {
        text(self.headers, &ACCEPT_ENCODING).is_some_and(|accepted| accepted.contains("gzip"))
    }

    /// Whether the method is `GET`, or `HEAD`, whose response has no body.
    fn reads(&self) -> bool {
        [Method::GET, Method::HEAD].contains(self.method)
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The address that the load balancer appended to `x-forwarded-for`. Earlier ones are the client's
/// claims.
fn address(headers: &HeaderMap) -> Option<IpAddr> {
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back()?;
    let last = forwarded.to_str().ok()?.rsplit(',').next()?.trim();
    last.parse().ok()
}

/// A request whose access is valid.
struct NodeCall<'r> {
    service: &'r NodeService,
    request: &'r NodeRequest<'r>,
    access: &'r NodeAccess,
    node_id: Option<i64>,
}

impl NodeCall<'_> {
    /// The client that the request is about.
    fn client_id(&self) -> Result<i32, Error> {
        NodeService::client_id(self.access, self.node_id)
    }

    /// The configurations of the client that the request is about.
    async fn configs(&self) -> Result<NodeConfigs, Error> {
        let id = i64::from(self.client_id()?);
        let found = self.service.configs(self.access, Some(id)).await?;
        found
            .into_iter()
            .next()
            .ok_or_else(NodeService::unknown_client)
    }

    /// The list of users that was kept under a tag, if the request accepts a compressed one.
    fn kept_list(&self, node_client_id: i32, tag: &Tag) -> Option<Reply> {
        let kept = || self.service.kept_list(node_client_id, tag);
        let body = self.request.accepts_gzip().then(kept).flatten()?;
        Some(Reply::gzip(body))
    }

    /// A list of users. A long one is compressed, if the request accepts that, and kept.
    fn list(&self, node_client_id: i32, tag: &Tag, body: Vec<u8>) -> Result<Reply, Error> {
        if body.len() < MIN_COMPRESSED_BYTES || !self.request.accepts_gzip() {
            return Ok(Reply::json(body));
        }
        let body: Arc<[u8]> = gzip::compress(&body)?.into();
        self.service
            .keep_list(node_client_id, tag.clone(), Arc::clone(&body));
        Ok(Reply::gzip(body))
    }

    /// The interval at which the node pushes and pulls, in seconds.
    fn interval(&self) -> u32 {
        self.access.interval_seconds.unsigned_abs()
    }
}

/// A response before it is written for the load balancer.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    body: Content,
    tag: Option<String>,
}

#[derive(Debug)]
enum Content {
    Plain(Vec<u8>),
    /// Compressed with gzip, for a request that accepts that.
    Gzip(Arc<[u8]>),
}

impl Reply {
    /// A response with a JSON body.
    fn json(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: StatusCode::OK,
            body: Content::Plain(body.into()),
            tag: None,
        }
    }

    /// A response with a JSON body that is compressed.
    fn gzip(body: Arc<[u8]>) -> Self {
        Self {
            status: StatusCode::OK,
            body: Content::Gzip(body),
            tag: None,
        }
    }

    /// The response that the client has the current version, whose `etag` is `tag`.
    fn not_modified(tag: String) -> Self {
        Self {
            status: StatusCode::NOT_MODIFIED,
            body: Content::Plain(Vec::new()),
            tag: Some(tag),
        }
    }

    fn with_tag(self, tag: String) -> Self {
        let tag = Some(tag);
        Self { tag, ..self }
    }

    fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    fn finish(self, request: &NodeRequest<'_>) -> Result<Response<Body>, Error> {
        let is_empty = self.status == StatusCode::NOT_MODIFIED || request.method == Method::HEAD;
        let body = match self.body {
            _ if is_empty => Body::Empty,
            Content::Gzip(body) => Body::Binary(body.to_vec()),
            Content::Plain(body)
                if body.len() >= MIN_COMPRESSED_BYTES && request.accepts_gzip() =>
            {
                Body::Binary(gzip::compress(&body)?)
            }
            Content::Plain(body) => Body::Text(String::from_utf8(body).map_err(Error::internal)?),
        };
        check_size(&body)?;
        let is_compressed = matches!(body, Body::Binary(_));
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if self.status != StatusCode::NOT_MODIFIED {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if is_compressed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(tag) = self.tag {
            headers.insert(ETAG, HeaderValue::try_from(tag).map_err(Error::internal)?);
        }
        Ok(response)
    }
}

fn check_size(body: &Body) -> Result<(), Error> {
    let bytes = match body {
        // Base64 has four characters for three bytes. JSON escapes the quotes of JSON.
        Body::Binary(bytes) => bytes.len().div_ceil(3).saturating_mul(4),
        body => body.as_ref().len(),
    };
    if bytes > MAX_RESPONSE_BYTES {
        let message = format!(
            "The list has {bytes} bytes, but the maximum is {MAX_RESPONSE_BYTES}. Accept gzip, or \
             divide the users among several access groups."
        );
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "answer_too_large",
            message,
        ));
    }
    Ok(())
}
