//! HTTP servers on loopback, in place of what AWS would run.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// What a server answers.
pub type Answer = Response<Full<Bytes>>;

/// Something that answers requests.
pub trait Server: Clone + Send + Sync + 'static {
    /// Answers one, its body read.
    fn answer(&self, request: Request<Bytes>) -> impl Future<Output = Result<Answer>> + Send;
}

/// Serves on `port` of loopback (0: a free one), until the runtime ends.
pub async fn serve(server: impl Server, port: u16) -> Result<SocketAddr> {
    let bound = TcpListener::bind(("127.0.0.1", port)).await;
    let listener = bound.with_context(|| format!("Port {port} of 127.0.0.1 cannot be listened on"))?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, server.clone()));
        }
    });
    Ok(address)
}

async fn converse(stream: TcpStream, server: impl Server) {
    // Without this a small answer waits for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let server = server.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            server.answer(Request::from_parts(head, body)).await
        }
    });
    // A client that goes away is no fault of ours.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An answer with a body.
pub fn reply(status: u16, body: impl Into<Bytes>) -> Result<Answer> {
    Ok(Response::builder().status(status).body(Full::new(body.into()))?)
}
