//! `GetFleetOverview`: returns what a page that shows the whole fleet needs.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::ManageService;
use super::get_traffic_usage::with_empty_buckets;
use crate::auth::Access;
use crate::db::{self, Connection, online_address, overview, top_user, traffic_usage};
use crate::domain::bucket::hourly_boundaries;
use crate::domain::overview::FleetCounts;
use crate::domain::page::Page;
use crate::domain::recent_range::RecentRange;
use crate::domain::top::{TopMeasure, TopNode, TopNodeKind, TopUser};
use crate::domain::traffic_usage::{Filter, TrafficSum, UsageBucket, UsageGrouping};
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Number of hours in the series.
const HOURS: u16 = 24;
/// Number of users and of nodes with the most traffic.
const TOP: i64 = 5;
/// Counting of what waits stops here.
const MAX_COUNT: i64 = 10_000;

/// Requests the numbers of the whole fleet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GetFleetOverview;

impl Operation for GetFleetOverview {
    const NAME: &'static str = "GetFleetOverview";
    const ACCESS: Access = Access::AdminRead;
}

/// The fleet at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FleetOverview {
    /// When the numbers were read.
    pub as_of: DateTime<Utc>,
    /// Numbers of servers, users and packages, and of what waits.
    pub counts: FleetCounts,
    /// Traffic of the last 24 hours, by UTC hour, oldest first. The last hour is the current one.
    pub hours: Vec<UsageBucket>,
    /// Traffic of these hours.
    pub last_24_hours: TrafficSum,
    /// Traffic of the 24 hours before these.
    pub previous_24_hours: TrafficSum,
    /// Traffic of the last 30 UTC days, including today.
    pub last_30_days: TrafficSum,
    /// The five users with the most billed traffic of the last 24 hours, as of a few minutes ago.
    pub top_users: Vec<TopUser>,
    /// The five node clients with the most billed traffic of the last 24 hours.
    pub top_nodes: Vec<TopNode>,
}

#[async_trait]
impl Processor<GetFleetOverview> for ManageService {
    type Output = FleetOverview;

    #[tracing::instrument(name = "get_fleet_overview", skip_all)]
    async fn process(&self, _: GetFleetOverview) -> Result<FleetOverview, Error> {
        let now = self.context.now();
        db::read_tx(&self.pool, async |tx| read(tx, now).await).await
    }
}

async fn read(tx: &mut Connection, now: DateTime<Utc>) -> Result<FleetOverview, Error> {
    let day = RecentRange::Day.period(now);
    let traffic = traffic(tx, now).await?;
    let last_24_hours = TrafficSum::total(traffic.hours.iter().map(|hour| hour.traffic));
    Ok(FleetOverview {
        as_of: now,
        counts: overview::counts(tx, online_address::counted_since(now), MAX_COUNT).await?,
        hours: traffic.hours,
        last_24_hours: last_24_hours.ok_or_else(Error::overflow)?,
        previous_24_hours: traffic.previous_24_hours,
        last_30_days: traffic.last_30_days,
        top_users: top_user::list(tx, RecentRange::Day, TopMeasure::Billed, TOP).await?,
        top_nodes: top_nodes(tx, day).await?,
    })
}

async fn top_nodes(
    tx: &mut Connection,
    day: (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<TopNode>, Error> {
    let (kind, by) = (TopNodeKind::Client, TopMeasure::Billed);
    traffic_usage::top_nodes(tx, None, day, kind, by, TOP).await
}

/// Traffic up to the end of the current hour.
struct RecentTraffic {
    hours: Vec<UsageBucket>,
    previous_24_hours: TrafficSum,
    last_30_days: TrafficSum,
}

/// Reads the month once, in buckets of different lengths: the days up to the day before `hours`,
/// that day, and each hour.
async fn traffic(tx: &mut Connection, now: DateTime<Utc>) -> Result<RecentTraffic, Error> {
    let (month_start, _) = RecentRange::Month.period(now);
    let day_start = RecentRange::Day.period(now).0;
    let mut boundaries = vec![month_start, day_start - TimeDelta::hours(HOURS.into())];
    boundaries.extend(hourly_boundaries(now, HOURS));
    let all = Filter::default();
    let (grouping, page) = (UsageGrouping::None, Page::EVERYTHING);
    let mut found = traffic_usage::find(tx, all, grouping, &boundaries, page).await?;
    with_empty_buckets(&mut found, &boundaries, page)?;
    let hours = found.buckets.split_off(2);
    let previous_day = found.buckets.pop();
    Ok(RecentTraffic {
        hours,
        previous_24_hours: previous_day.map(|day| day.traffic).unwrap_or_default(),
        last_30_days: found.sum,
    })
}
