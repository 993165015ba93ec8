//! `GET /v1/node-status-history`.

use super::parameter::{Kind, Parameter};
use super::request::ApiRequest;
use super::{Csv, Endpoint};
use crate::error::Error;
use crate::services::analysis::{AnalysisService, ListUserNodeStatusHistory};

/// Returns how many of the nodes that the user may use now were online, offline and in maintenance,
/// by hour.
#[derive(Debug)]
pub struct NodeStatusHistory;

impl Endpoint for NodeStatusHistory {
    type Service = AnalysisService;
    type Input = ListUserNodeStatusHistory;
    const PATH: &'static str = "/v1/node-status-history";
    const RULE_PRIORITY: u16 = 110;
    const SUMMARY: &'static str = "List node status history";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "start",
            "Return hours that begin at or after this time. Default: 24 hours before `end`.",
            Kind::Time,
        ),
        Parameter::optional(
            "end",
            "Return hours that begin before this time. At most 92 days after `start`. Default: \
             now.",
            Kind::Time,
        ),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "hours",
        header: "bucket_start,online_nodes,offline_nodes,maintenance_nodes",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListUserNodeStatusHistory, Error> {
        Ok(ListUserNodeStatusHistory {
            user_id: request.user_id(),
            start: request.time("start")?,
            end: request.time("end")?,
        })
    }
}
