//! A web server on a socket that records its requests.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A received request with its body.
pub type ReceivedRequest = Request<String>;

/// A server that stops with the test.
#[derive(Debug)]
pub struct Web {
    url: String,
    asked: Arc<Mutex<Vec<ReceivedRequest>>>,
}

impl Web {
    /// Starts a server that answers each request with a status and a body.
    pub async fn start(
        answer: impl Fn(&ReceivedRequest) -> (u16, String) + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<ReceivedRequest>>>::default();
        let web = Self {
            url,
            asked: Arc::clone(&asked),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, answer) = (Arc::clone(&asked), answer.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (asked, answer) = (Arc::clone(&asked), answer.clone());
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        let request =
                            Request::from_parts(head, String::from_utf8_lossy(&body).into_owned());
                        let (status, body) = answer(&request);
                        asked.lock().unwrap().push(request);
                        let response = Response::builder()
                            .status(status)
                            .body(Full::new(body.into_bytes().into()));
                        Ok::<Response<Full<hyper::body::Bytes>>, Infallible>(response.unwrap())
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        web
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The received requests, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<ReceivedRequest> {
        self.asked.lock().unwrap().clone()
    }
}
