//! `GetRecentTrafficUsage`: returns a user's carried and charged traffic of the last day, week or
//! month.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::AnalysisService;
use crate::auth::Access;
use crate::db;
use crate::db::analysis::usage_by_bucket;
use crate::domain::recent_range::{RecentRange, zone_name};
use crate::domain::traffic::Traffic;
use crate::error::Error;
use crate::services::{Operation, Processor};

/// Requests one user's recent traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetRecentTrafficUsage {
    /// Id of the user.
    pub user_id: Uuid,
    /// Length of the period, which ends now.
    pub range: RecentRange,
    /// Time zone whose days are the buckets of a week or a month. Hours are always UTC hours.
    pub time_zone: Tz,
}

impl Operation for GetRecentTrafficUsage {
    const NAME: &'static str = "GetRecentTrafficUsage";
    const ACCESS: Access = Access::User;
}

/// Bytes in the half-open time interval `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrafficBucket {
    /// Start of the bucket, inclusive.
    pub start: DateTime<Utc>,
    /// End of the bucket, exclusive. The end of the last bucket is in the future.
    pub end: DateTime<Utc>,
    /// Bytes sent by the user.
    pub upload: i64,
    /// Bytes received by the user.
    pub download: i64,
}

/// Two series over the same buckets, oldest first and without gaps. The last bucket is the current
/// one and is incomplete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RecentTrafficUsage {
    /// Range of the request, which determines the buckets.
    pub range: RecentRange,
    /// IANA name of the time zone whose days are the buckets of a week or a month.
    #[serde(serialize_with = "zone_name")]
    #[schemars(with = "String")]
    pub time_zone: Tz,
    /// Bytes carried, before the traffic factor.
    pub raw: Vec<TrafficBucket>,
    /// Bytes charged: the bytes carried × the traffic factor of the node client.
    pub actually_billed: Vec<TrafficBucket>,
}

#[async_trait]
impl Processor<GetRecentTrafficUsage> for AnalysisService {
    type Output = RecentTrafficUsage;

    #[tracing::instrument(name = "get_recent_traffic_usage", skip_all,
        fields(range = ?input.range))]
    async fn process(&self, input: GetRecentTrafficUsage) -> Result<RecentTrafficUsage, Error> {
        let edges = input.range.boundaries(self.context.now(), input.time_zone);
        let usage = db::on_connection(&self.pool, async |connection| {
            usage_by_bucket(connection, input.user_id, &edges).await
        })
        .await?;
        let traffic: HashMap<usize, Traffic> = usage.into_iter().collect();
        Ok(RecentTrafficUsage {
            range: input.range,
            time_zone: input.time_zone,
            raw: series(&edges, |bucket| {
                traffic.get(&bucket).map(|t| (t.raw_upload, t.raw_download))
            }),
            actually_billed: series(&edges, |bucket| {
                traffic
                    .get(&bucket)
                    .map(|t| (t.billed_upload, t.billed_download))
            }),
        })
    }
}

/// Builds a bucket between each two consecutive edges. A bucket without traffic contains zeros.
fn series(
    edges: &[DateTime<Utc>],
    bytes: impl Fn(usize) -> Option<(i64, i64)>,
) -> Vec<TrafficBucket> {
    let bucket = |(index, (&start, &end))| {
        let (upload, download) = bytes(index).unwrap_or_default();
        TrafficBucket {
            start,
            end,
            upload,
            download,
        }
    };
    edges
        .iter()
        .zip(edges.iter().skip(1))
        .enumerate()
        .map(bucket)
        .collect()
}
