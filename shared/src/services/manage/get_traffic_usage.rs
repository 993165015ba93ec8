//! `GetTrafficUsage`: returns traffic of any user, node server or node client, or of all, in any
//! range of time.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use crate::auth::Access;
use crate::db::traffic_usage::Found;
use crate::db::{self, traffic_usage};
use crate::domain::node_id;
use crate::domain::page::{Page, PageBounds};
use crate::domain::recent_range::zone_name;
use crate::domain::time_range::TimeRange;
use crate::domain::traffic_usage::{
    Filter, MAX_DAYS, TrafficSum, UsageBucket, UsageGrouping, UsageInterval,
};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests traffic by hour or by day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GetTrafficUsage {
    /// The traffic to return.
    pub filter: Filter,
    /// Start of the range. `None`: 24 hours before the end.
    pub start: Option<DateTime<Utc>>,
    /// End of the range. `None`: now.
    pub end: Option<DateTime<Utc>>,
    /// Length of a bucket.
    pub interval: UsageInterval,
    /// Time zone whose days are the buckets.
    pub time_zone: Tz,
    /// What the traffic of a bucket is divided by.
    pub group_by: UsageGrouping,
    /// Maximum number of buckets to return, within [`Self::BOUNDS`]. `None` for the default.
    pub limit: Option<i64>,
    /// Number of buckets to skip. `None` skips none.
    pub offset: Option<i64>,
}

impl GetTrafficUsage {
    /// Limits of a page. The longest one fits into a response through the load balancer.
    pub const BOUNDS: PageBounds = PageBounds {
        default_limit: 1_000,
        max_limit: 4_000,
        max_offset: 1_000_000,
    };
}

impl Operation for GetTrafficUsage {
    const NAME: &'static str = "GetTrafficUsage";
    const ACCESS: Access = Access::AdminRead;
}

/// Traffic in a range of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrafficUsage {
    /// Start of the first bucket of the range.
    pub start: DateTime<Utc>,
    /// End of the last bucket of the range.
    pub end: DateTime<Utc>,
    /// Length of a bucket.
    pub interval: UsageInterval,
    /// IANA name of the time zone whose days are the buckets.
    #[serde(serialize_with = "zone_name")]
    #[schemars(with = "String")]
    pub time_zone: Tz,
    /// What the traffic of a bucket is divided by.
    pub group_by: UsageGrouping,
    /// Buckets of this page, by start, then server and client. Undivided traffic has every bucket
    /// of the range, and divided traffic only those with traffic.
    pub usage: Vec<UsageBucket>,
    /// Number of buckets on all pages.
    pub total: i64,
    /// Traffic of all pages.
    pub sum: TrafficSum,
}

#[async_trait]
impl Processor<GetTrafficUsage> for ManageService {
    type Output = TrafficUsage;

    #[tracing::instrument(name = "get_traffic_usage", skip_all,
        fields(interval = ?input.interval, group_by = ?input.group_by))]
    async fn process(&self, input: GetTrafficUsage) -> Result<TrafficUsage, Error> {
        let page = GetTrafficUsage::BOUNDS.page(input.limit, input.offset)?;
        let GetTrafficUsage {
            filter, group_by, ..
        } = input;
        if let Some(id) = filter.server_id {
            node_id("server_id", id)?;
        }
        if let Some(id) = filter.node_client_id {
            node_id("node_client_id", id)?;
        }
        let now = self.context.now();
        let range = TimeRange::requested_within(input.start, input.end, now, MAX_DAYS)?;
        let boundaries = input.interval.boundaries(range, input.time_zone);
        let read = if group_by == UsageGrouping::None {
            Page::EVERYTHING
        } else {
            page
        };
        let mut found = db::on_connection(&self.pool, async |connection| {
            traffic_usage::find(connection, filter, group_by, &boundaries, read).await
        })
        .await?;
        if group_by == UsageGrouping::None {
            with_empty_buckets(&mut found, &boundaries, page)?;
        }
        Ok(TrafficUsage {
            start: boundaries.first().copied().unwrap_or(range.start),
            end: boundaries.last().copied().unwrap_or(range.end),
            interval: input.interval,
            time_zone: input.time_zone,
            group_by,
            usage: found.buckets,
            total: found.total,
            sum: found.sum,
        })
    }
}

/// Replaces the buckets with traffic by the buckets of a page, with or without traffic.
pub(super) fn with_empty_buckets(
    found: &mut Found,
    boundaries: &[DateTime<Utc>],
    page: Page,
) -> Result<(), Error> {
    let traffic: HashMap<DateTime<Utc>, TrafficSum> = found
        .buckets
        .iter()
        .map(|bucket| (bucket.start, bucket.traffic))
        .collect();
    let edges = boundaries.iter().zip(boundaries.iter().skip(1));
    found.total = i64::try_from(edges.len()).map_err(Error::internal)?;
    found.buckets = edges
        .skip(usize::try_from(page.offset).map_err(Error::internal)?)
        .take(usize::try_from(page.limit).map_err(Error::internal)?)
        .map(|(&start, &end)| UsageBucket {
            start,
            end,
            server_id: None,
            node_client_id: None,
            traffic: traffic.get(&start).copied().unwrap_or_default(),
        })
        .collect();
    Ok(())
}
