//! `GET /v1/traffic-usage`.

use chrono_tz::Tz;
use serde_json::{Value, json};
use strum::VariantNames;

use super::parameter::{Kind, Parameter};
use super::request::ApiRequest;
use super::{Csv, Endpoint, Example};
use crate::error::Error;
use crate::services::analysis::{
    AnalysisService, GetRecentTrafficUsage, RecentRange, RecentTrafficUsage, TrafficBucket,
    time_zone,
};

/// Returns traffic of the last day, week or month, as carried and as charged.
#[derive(Debug)]
pub struct TrafficUsage;

impl Endpoint for TrafficUsage {
    type Service = AnalysisService;
    type Input = GetRecentTrafficUsage;
    const PATH: &'static str = "/v1/traffic-usage";
    const RULE_PRIORITY: u16 = 100;
    const EXAMPLE: Example = Example {
        query: "range=week&time_zone=Europe/Berlin",
        message: r#"{"range":"RECENT_RANGE_WEEK","time_zone":"Europe/Berlin"}"#,
        ..Example::DEFAULT
    };
    const SUMMARY: &'static str = "Get recent traffic usage";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required(
            "range",
            "`day`: 24 hours in buckets of an hour. `week`: 7 days in buckets of a day. `month`: \
             30 days in buckets of a day.",
            Kind::OneOf(RecentRange::VARIANTS),
        ),
        Parameter::optional(
            "time_zone",
            "Time zone whose days are the buckets of a week or a month. Hours are always UTC \
             hours.",
            Kind::TimeZone,
        ),
    ];
    const CSV: Option<Csv> = Some(Csv {
        list: "raw",
        header: "start,end,raw_upload,raw_download,billed_upload,billed_download",
    });

    fn input(request: &ApiRequest<'_>) -> Result<GetRecentTrafficUsage, Error> {
        let zone = request.text_with_plus("time_zone");
        Ok(GetRecentTrafficUsage {
            user_id: request.user_id(),
            range: request.one_of_required("range")?,
            time_zone: zone.map_or(Ok(Tz::UTC), |name| time_zone(&name))?,
        })
    }

    fn csv_items(usage: &RecentTrafficUsage) -> Result<Vec<Value>, Error> {
        let item = |(raw, billed): (&TrafficBucket, &TrafficBucket)| {
            json!({
                "start": raw.start, "end": raw.end,
                "raw_upload": raw.upload, "raw_download": raw.download,
                "billed_upload": billed.upload, "billed_download": billed.download,
            })
        };
        Ok(usage
            .raw
            .iter()
            .zip(&usage.actually_billed)
            .map(item)
            .collect())
    }
}
