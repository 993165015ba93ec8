//! `GET /v1/usually-used-nodes`.

use super::parameter::Parameter;
use super::request::ApiRequest;
use super::{Endpoint, Example};
use crate::error::Error;
use crate::services::analysis::{AnalysisService, ListUserUsuallyUsedNodes, UserUsuallyUsedNodes};

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
    const CSV_COLUMNS: Option<&'static [&'static str]> = Some(&[
        "node_client_id",
        "node_name",
        "upload",
        "download",
        "billed_traffic",
    ]);

    fn input(request: &ApiRequest<'_>) -> Result<ListUserUsuallyUsedNodes, Error> {
        Ok(ListUserUsuallyUsedNodes {
            user_id: request.user_id(),
            limit: request.get("limit")?,
        })
    }

    fn csv_rows(used: &UserUsuallyUsedNodes) -> Vec<Vec<String>> {
        let row = |node: &crate::domain::node::UsuallyUsedNode| {
            let bytes = [node.upload, node.download, node.billed_traffic];
            [node.node_client_id.to_string(), node.node_name.clone()]
                .into_iter()
                .chain(bytes.map(|bytes| bytes.to_string()))
                .collect()
        };
        used.nodes.iter().map(row).collect()
    }
}
