//! Traffic of users and nodes for administrators: `GET /v1/admin/traffic-usage`, `/top-users`,
//! `/top-nodes` and `/overview`.

use chrono_tz::Tz;
use strum::VariantNames;

use super::parameter::{ID, Kind, Parameter};
use super::request::ApiRequest;
use super::{Csv, Endpoint};
use crate::domain::recent_range::{LongRange, RecentRange, time_zone};
use crate::domain::top::{TopMeasure, TopNodeKind};
use crate::domain::traffic_usage::{Filter, UsageGrouping, UsageInterval};
use crate::error::Error;
use crate::services::manage::{
    GetFleetOverview, GetTrafficUsage, ListTopNodes, ListTopUsers, ManageService,
};

const RANGE: Parameter = Parameter::optional(
    "range",
    "`day`: the last 24 hours. `week`, `month`: the last 7 or 30 days in UTC, including today. \
     Default: `day`.",
    Kind::OneOf(RecentRange::VARIANTS),
);
const LONG_RANGE: Parameter = Parameter::optional(
    "range",
    "`day`: the last 24 hours. `week`, `month`, `quarter`, `year`: the last 7, 30, 90 or 365 days \
     in UTC, including today. Default: `day`.",
    Kind::OneOf(LongRange::VARIANTS),
);
const BY: Parameter = Parameter::optional(
    "by",
    "The amount of upload and download that counts: `billed` or `raw` bytes. Default: `billed`.",
    Kind::OneOf(TopMeasure::VARIANTS),
);

/// Returns traffic of any user, node server or node client, or of all, by hour or by day.
#[derive(Debug)]
pub struct AnyTrafficUsage;

impl Endpoint for AnyTrafficUsage {
    type Service = ManageService;
    type Input = GetTrafficUsage;
    const PATH: &'static str = "/v1/admin/traffic-usage";
    const RULE_PRIORITY: u16 = 255;
    const SUMMARY: &'static str = "Get traffic usage of any user or node";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::optional("user", "Return only traffic of this user.", Kind::Uuid),
        Parameter::optional("server_id", "Return only traffic of this node server.", ID),
        Parameter::optional(
            "node_client_id",
            "Return only traffic of this node client.",
            ID,
        ),
        Parameter::optional(
            "start",
            "Start of the range. The first bucket is the one that contains it. Default: 24 hours \
             before `end`.",
            Kind::Time,
        ),
        Parameter::optional(
            "end",
            "End of the range, at most 400 days after `start`. The last bucket is the one before \
             or around it. Default: now.",
            Kind::Time,
        ),
        Parameter::optional(
            "interval",
            "Length of a bucket. Default: `hour`.",
            Kind::OneOf(UsageInterval::VARIANTS),
        ),
        Parameter::optional(
            "time_zone",
            "Time zone whose days are the buckets. Hours are always UTC hours.",
            Kind::TimeZone,
        ),
        Parameter::optional(
            "group_by",
            "Divide the traffic of a bucket by node server or by node client. Only buckets with \
             traffic are returned then. Default: `none`.",
            Kind::OneOf(UsageGrouping::VARIANTS),
        ),
        Parameter::limit(GetTrafficUsage::BOUNDS),
        Parameter::offset(GetTrafficUsage::BOUNDS),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "usage",
        header: "start,end,server_id,node_client_id,raw_upload,raw_download,billed_upload,\
                 billed_download,corrected_upload,corrected_download",
    });

    fn input(request: &ApiRequest<'_>) -> Result<GetTrafficUsage, Error> {
        let zone = request.text_with_plus("time_zone");
        Ok(GetTrafficUsage {
            filter: Filter {
                user: request.get("user")?,
                server_id: request.get("server_id")?,
                node_client_id: request.get("node_client_id")?,
            },
            start: request.time("start")?,
            end: request.time("end")?,
            interval: request.one_of("interval")?.unwrap_or_default(),
            time_zone: zone.map_or(Ok(Tz::UTC), |name| time_zone(&name))?,
            group_by: request.one_of("group_by")?.unwrap_or_default(),
            limit: request.get("limit")?,
            offset: request.get("offset")?,
        })
    }
}

/// Lists the users with the most traffic of the last day, week or month.
#[derive(Debug)]
pub struct TopUsers;

impl Endpoint for TopUsers {
    type Service = ManageService;
    type Input = ListTopUsers;
    const PATH: &'static str = "/v1/admin/top-users";
    const RULE_PRIORITY: u16 = 256;
    const SUMMARY: &'static str = "List top users";
    const PARAMETERS: &'static [Parameter] = &[RANGE, BY, Parameter::limit(ListTopUsers::BOUNDS)];
    const CSV: Option<Csv> = Some(Csv {
        list: "users",
        header: "rank,user,raw_upload,raw_download,billed_upload,billed_download",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListTopUsers, Error> {
        Ok(ListTopUsers {
            range: request.one_of("range")?.unwrap_or_default(),
            by: request.one_of("by")?.unwrap_or_default(),
            limit: request.get("limit")?,
        })
    }
}

/// Lists the node clients or node servers with the most traffic, of all users or of one, in the
/// last day to the last year.
#[derive(Debug)]
pub struct TopNodes;

impl Endpoint for TopNodes {
    type Service = ManageService;
    type Input = ListTopNodes;
    const PATH: &'static str = "/v1/admin/top-nodes";
    const RULE_PRIORITY: u16 = 257;
    const SUMMARY: &'static str = "List top nodes";
    const PARAMETERS: &'static [Parameter] = &[
        LONG_RANGE,
        BY,
        Parameter::optional(
            "kind",
            "Whether node clients or node servers are listed. Default: `client`.",
            Kind::OneOf(TopNodeKind::VARIANTS),
        ),
        Parameter::optional("user", "Count only the traffic of this user.", Kind::Uuid),
        Parameter::limit(ListTopNodes::BOUNDS),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "nodes",
        header: "rank,server_id,node_client_id,name,raw_upload,raw_download,billed_upload,\
                 billed_download",
    });

    fn input(request: &ApiRequest<'_>) -> Result<ListTopNodes, Error> {
        Ok(ListTopNodes {
            range: request.one_of("range")?.unwrap_or_default(),
            by: request.one_of("by")?.unwrap_or_default(),
            kind: request.one_of("kind")?.unwrap_or_default(),
            user: request.get("user")?,
            limit: request.get("limit")?,
        })
    }
}

/// Returns what a page that shows the whole fleet needs: numbers of servers, users and packages,
/// traffic, and what waits for the system or for an operator.
#[derive(Debug)]
pub struct Overview;

impl Endpoint for Overview {
    type Service = ManageService;
    type Input = GetFleetOverview;
    const PATH: &'static str = "/v1/admin/overview";
    const RULE_PRIORITY: u16 = 258;
    const SUMMARY: &'static str = "Get the overview of the fleet";
    const CSV: Option<Csv> = Some(Csv {
        list: "hours",
        header: "start,end,raw_upload,raw_download,billed_upload,billed_download,\
                 corrected_upload,corrected_download",
    });

    fn input(_: &ApiRequest<'_>) -> Result<GetFleetOverview, Error> {
        Ok(GetFleetOverview)
    }
}
