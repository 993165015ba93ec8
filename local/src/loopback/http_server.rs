//! Small HTTP servers on 127.0.0.1, in place of services that AWS would run.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::http::uri::Authority;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

pub type Answer = Response<Full<Bytes>>;

pub trait Server: Clone + Send + Sync + 'static {
    /// Whether web pages may call this server.
    const FOR_PAGES: bool = false;

    fn answer(&self, request: Request<Bytes>) -> impl Future<Output = Result<Answer>> + Send;
}

/// Serves on `port` of 127.0.0.1, or on a free port if it is 0, until the runtime ends.
pub async fn serve(server: impl Server, port: u16) -> Result<SocketAddr> {
    let bound = TcpListener::bind(("127.0.0.1", port)).await;
    let listener = bound.with_context(|| format!("Cannot listen on port {port} of 127.0.0.1"))?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_connection(stream, server.clone()));
        }
    });
    Ok(address)
}

async fn serve_connection<S: Server>(stream: TcpStream, server: S) {
    // Without this, a small response waits for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let server = server.clone();
        async move {
            if is_refused::<S>(request.headers()) {
                return reply(403, "web pages may not call this server\n");
            }
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            server.answer(Request::from_parts(head, body)).await
        }
    });
    // A client that closes the connection is not an error of the server.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Whether a request comes from a web page that may not call the server. `local/python/guard.py`
/// explains the rule.
fn is_refused<S: Server>(headers: &HeaderMap) -> bool {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let by_address = host.is_some_and(|host| {
        let name = host.host().trim_matches(['[', ']']);
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
    });
    let by_script =
        headers.contains_key(ORIGIN) || text("sec-fetch-site").is_some_and(|site| site != "none");
    !by_address || (by_script && !S::FOR_PAGES)
}

/// A response with a body.
pub fn reply(status: u16, body: impl Into<Bytes>) -> Result<Answer> {
    Ok(Response::builder()
        .status(status)
        .body(Full::new(body.into()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Internal;
    #[derive(Clone)]
    struct Public;

    impl Server for Internal {
        async fn answer(&self, _: Request<Bytes>) -> Result<Answer> {
            reply(200, "")
        }
    }

    impl Server for Public {
        const FOR_PAGES: bool = true;

        async fn answer(&self, _: Request<Bytes>) -> Result<Answer> {
            reply(200, "")
        }
    }

    #[test]
    fn a_page_reaches_no_internal_server_and_no_server_by_another_name() {
        let refusals = |headers: &[(&'static str, &'static str)]| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            (
                is_refused::<Internal>(&headers),
                is_refused::<Public>(&headers),
            )
        };
        let here = ("host", "127.0.0.1:4566");
        assert_eq!(refusals(&[here]), (false, false));
        assert_eq!(refusals(&[("host", "[::1]:4566")]), (false, false));
        assert_eq!(
            refusals(&[here, ("sec-fetch-site", "none")]),
            (false, false)
        );
        assert_eq!(
            refusals(&[here, ("origin", "https://evil.test")]),
            (true, false)
        );
        assert_eq!(refusals(&[here, ("origin", "null")]), (true, false));
        assert_eq!(
            refusals(&[here, ("sec-fetch-site", "cross-site")]),
            (true, false)
        );
        for foreign in [
            &[][..],
            &[("host", "evil.test:4566")],
            &[("host", "127.0.0.1.evil.test")],
        ] {
            assert_eq!(refusals(foreign), (true, true), "{foreign:?}");
        }
    }
}
