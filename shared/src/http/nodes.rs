//! `GET /v1/nodes`.

use super::parameter::Parameter;
use super::request::ApiRequest;
use super::{Csv, Endpoint};
use crate::error::Error;
use crate::services::analysis::{AnalysisService, ListUserNodes};

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
    const CSV: Option<Csv> = Some(Csv {
        list: "nodes",
        header: "id,name,traffic_factor,display_order,speed_limit,status,country,location,\
            route_class",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListUserNodes, Error> {
        Ok(ListUserNodes {
            user_id: request.user_id(),
            limit: request.get("limit")?,
            offset: request.get("offset")?,
        })
    }
}
