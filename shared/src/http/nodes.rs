//! `GET /v1/nodes`.

use super::parameter::Parameter;
use super::request::ApiRequest;
use super::{Endpoint, cell};
use crate::domain::node::Node;
use crate::error::Error;
use crate::services::analysis::{AnalysisService, ListUserNodes, UserNodes};

/// Lists the nodes that the user's active package gives access to, by display order.
#[derive(Debug)]
pub struct Nodes;

impl Endpoint for Nodes {
    type Service = AnalysisService;
    type Input = ListUserNodes;
    const PATH: &'static str = "/v1/nodes";
    const RULE_PRIORITY: u16 = 130;
    const SUMMARY: &'static str = "List nodes";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::limit(ListUserNodes::BOUNDS),
        Parameter::offset(ListUserNodes::BOUNDS),
    ];
    const CSV_COLUMNS: Option<&'static [&'static str]> = Some(&[
        "id",
        "name",
        "traffic_factor",
        "display_order",
        "speed_limit",
        "status",
        "country",
        "location",
        "route_class",
    ]);

    fn input(request: &ApiRequest<'_>) -> Result<ListUserNodes, Error> {
        Ok(ListUserNodes {
            user_id: request.user_id(),
            limit: request.get("limit")?,
            offset: request.get("offset")?,
        })
    }

    fn csv_rows(nodes: &UserNodes) -> Vec<Vec<String>> {
        let row = |node: &Node| {
            vec![
                node.id.to_string(),
                node.name.clone(),
                node.traffic_factor.to_string(),
                node.display_order.to_string(),
                cell(node.speed_limit),
                <&str>::from(node.status).to_owned(),
                node.country.clone(),
                node.location.clone(),
                node.route_class.clone(),
            ]
        };
        nodes.nodes.iter().map(row).collect()
    }
}
