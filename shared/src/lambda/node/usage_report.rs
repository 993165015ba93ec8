//! `POST /v1/usage-reports`: usage reports of collectors that have no AWS credentials.

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use super::{NodeApi, NodeRequest, Reply, text};
use crate::domain::node_access::{NodeProtocol, NodeToken};
use crate::error::{Error, ErrorKind};
use crate::events::usage_report::UsageReport;
use crate::services::node::{NodeService, Received};

/// Serves collectors over HTTPS.
#[derive(Debug)]
pub struct UsageReports;

/// The report that was accepted.
#[derive(Debug, Serialize)]
struct Accepted {
    report_id: Uuid,
    accepted_lines: usize,
}

#[async_trait]
impl NodeApi for UsageReports {
    const NAME: &'static str = "usage_report";

    async fn respond(service: &NodeService, request: &NodeRequest<'_>) -> Result<Reply, Error> {
        if request.path != "/v1/usage-reports" || request.method != Method::POST {
            return Err(Error::not_found("The path, with this method,"));
        }
        let token = bearer(request)?;
        let protocol = NodeProtocol::UsageReport;
        let access = service.admit(&token, protocol, request.address).await?;
        let body = std::str::from_utf8(&request.body)
            .map_err(|_| Error::invalid("malformed_json", ".", "is not UTF-8"))?;
        let report = UsageReport::parse(body, service.now())?;
        if report.server_id != access.server_id {
            let message = format!(
                "The token is valid for the server {}, not for the server of the report.",
                access.server_id
            );
            return Err(Error::invalid("server_not_allowed", "server_id", message));
        }
        let accepted = Accepted {
            report_id: report.report_id,
            accepted_lines: report.usage.len(),
        };
        let status = match service.report(&access, report).await? {
            Received::New => StatusCode::ACCEPTED,
            Received::Recorded => StatusCode::OK,
        };
        let body = serde_json::to_vec(&accepted).map_err(Error::internal)?;
        Ok(Reply::json(body).with_status(status))
    }
}

fn bearer(request: &NodeRequest<'_>) -> Result<NodeToken, Error> {
    let header = text(request.headers, &AUTHORIZATION);
    let token = header.and_then(|header| {
        let (scheme, token) = header.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token.map(NodeToken::presented).ok_or_else(|| {
        Error::new(
            ErrorKind::Unauthenticated,
            "token_missing",
            "The node's token is missing. Send it as bearer token.",
        )
    })
}
