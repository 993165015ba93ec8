//! `GET /v1/usually-used-nodes`.

use super::parameter::Parameter;
use super::request::ApiRequest;
use super::{Csv, Endpoint, Example};
use crate::error::Error;
use crate::services::analysis::{AnalysisService, ListUserUsuallyUsedNodes};

/// Lists the nodes that carried most of the user's traffic in the last 30 days.
#[derive(Debug)]
pub struct UsuallyUsedNodes;

impl Endpoint for UsuallyUsedNodes {
    type Service = AnalysisService;
    type Input = ListUserUsuallyUsedNodes;
    const PATH: &'static str = "/v1/usually-used-nodes";
    const RULE_PRIORITY: u16 = 120;
    const EXAMPLE: Example = Example {
        query: "limit=5",
        message: r#"{"limit":5}"#,
        ..Example::DEFAULT
    };
    const SUMMARY: &'static str = "List usually used nodes";
    const PARAMETERS: &'static [Parameter] = &[Parameter::limit(ListUserUsuallyUsedNodes::BOUNDS)];
    const CSV: Option<Csv> = Some(Csv {
        list: "nodes",
        header: "node_client_id,node_name,upload,download,billed_traffic",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListUserUsuallyUsedNodes, Error> {
        Ok(ListUserUsuallyUsedNodes {
            user_id: request.user_id(),
            limit: request.get("limit")?,
        })
    }
}
