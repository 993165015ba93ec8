//! `GET /v1/node-status-history`.

use super::parameter::{Kind, Parameter};
use super::request::ApiRequest;
use super::{Endpoint, moment};
use crate::error::Error;
use crate::services::analysis::{
    AnalysisService, ListUserNodeStatusHistory, UserNodeStatusHistory,
};

/// For each hour, how many of the nodes that the user may use now were online, offline and in
/// maintenance.
#[derive(Debug)]
pub struct NodeStatusHistory;

impl Endpoint for NodeStatusHistory {
    type Service = AnalysisService;
    type Input = ListUserNodeStatusHistory;
    const PATH: &'static str = "/v1/node-status-history";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional(
            "start",
            "Hours that begin at or after it. Default: 24 hours before `end`.",
            Kind::Time,
        ),
        Parameter::optional(
            "end",
            "Hours that begin before it. Default: now. At most 92 days after `start`.",
            Kind::Time,
        ),
    ];
    const CSV_COLUMNS: Option<&'static [&'static str]> = Some(&[
        "bucket_start",
        "online_nodes",
        "offline_nodes",
        "maintenance_nodes",
    ]);

    fn input(request: &ApiRequest<'_>) -> Result<ListUserNodeStatusHistory, Error> {
        Ok(ListUserNodeStatusHistory {
            user_id: request.user_id(),
            start: request.time("start")?,
            end: request.time("end")?,
        })
    }

    fn csv_rows(history: &UserNodeStatusHistory) -> Vec<Vec<String>> {
        let row = |hour: &crate::domain::node::NodeStatusHour| {
            let nodes = [
                hour.online_nodes,
                hour.offline_nodes,
                hour.maintenance_nodes,
            ];
            std::iter::once(moment(hour.bucket_start))
                .chain(nodes.map(|nodes| nodes.to_string()))
                .collect()
        };
        history.hours.iter().map(row).collect()
    }
}
