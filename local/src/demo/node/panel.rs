//! Where nodes send their requests.

use std::time::Duration;

use anyhow::{Context, Result};

use super::request::Call;

/// A response to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Value of the header `ETag`.
    pub tag: Option<String>,
    pub body: Vec<u8>,
}

/// What nodes take for a panel.
pub trait Panel {
    /// Sends a request. After an error, it may have arrived.
    fn call(&self, call: Call, timeout: Duration) -> impl Future<Output = Result<Answer>>;
}

/// The load balancer of a running system.
#[derive(Debug, Clone)]
pub struct HttpPanel {
    agent: ureq::Agent,
    url: String,
}

impl HttpPanel {
    /// `url` has no path of an operation.
    #[must_use]
    pub fn new(url: &str) -> Self {
        // The system is on this machine, so a proxy from the environment is not used.
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None);
        Self {
            agent: config.build().into(),
            url: url.trim_end_matches('/').to_owned(),
        }
    }

    /// Sends a request, and blocks the thread until the response has arrived.
    pub fn send(&self, call: &Call, timeout: Duration) -> Result<Answer> {
        let mut request = ureq::http::Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.url, call.target))
            .header("content-type", "application/json");
        if let Some(tag) = &call.tag {
            request = request.header("if-none-match", tag);
        }
        let request = request.body(call.body.as_str())?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_global(Some(timeout)).build();
        // The error would name the URL, which contains a token.
        let answered = self.agent.run(request);
        let mut response = answered.ok().context("A node got no response")?;
        let tag = response.headers().get("etag");
        let tag = tag.and_then(|tag| Some(tag.to_str().ok()?.to_owned()));
        Ok(Answer {
            status: response.status().as_u16(),
            tag,
            body: response.body_mut().read_to_vec()?,
        })
    }
}

impl Panel for HttpPanel {
    async fn call(&self, call: Call, timeout: Duration) -> Result<Answer> {
        let panel = self.clone();
        tokio::task::spawn_blocking(move || panel.send(&call, timeout)).await?
    }
}
