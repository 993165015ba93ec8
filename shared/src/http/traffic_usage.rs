//! `GET /v1/traffic-usage`.

use chrono_tz::Tz;
use strum::VariantNames;

use super::parameter::{Kind, Parameter};
use super::request::ApiRequest;
use super::{Endpoint, moment};
use crate::error::Error;
use crate::services::analysis::{
    AnalysisService, GetRecentTrafficUsage, RecentRange, RecentTrafficUsage, TrafficBucket,
    time_zone,
};

/// Traffic over the last day, week or month, as carried and as charged.
#[derive(Debug)]
pub struct TrafficUsage;

impl Endpoint for TrafficUsage {
    type Service = AnalysisService;
    type Input = GetRecentTrafficUsage;
    const PATH: &'static str = "/v1/traffic-usage";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::required(
            "range",
            "`day`: 24 hours by the hour; `week`: 7 days; `month`: 30 days, by the day.",
            Kind::OneOf(RecentRange::VARIANTS),
        ),
        Parameter::optional(
            "time_zone",
            "Whose days. Hours are UTC hours everywhere.",
            Kind::TimeZone,
        ),
    ];
    const CSV_COLUMNS: Option<&'static [&'static str]> = Some(&[
        "start",
        "end",
        "raw_upload",
        "raw_download",
        "billed_upload",
        "billed_download",
    ]);

    fn input(request: &ApiRequest<'_>) -> Result<GetRecentTrafficUsage, Error> {
        Ok(GetRecentTrafficUsage {
            user_id: request.user_id(),
            range: request.one_of_required("range")?,
            time_zone: request.text("time_zone").map_or(Ok(Tz::UTC), time_zone)?,
        })
    }

    fn csv_rows(usage: &RecentTrafficUsage) -> Vec<Vec<String>> {
        let row = |(raw, billed): (&TrafficBucket, &TrafficBucket)| {
            let bytes = [raw.upload, raw.download, billed.upload, billed.download];
            [moment(raw.start), moment(raw.end)]
                .into_iter()
                .chain(bytes.map(|bytes| bytes.to_string()))
                .collect()
        };
        usage
            .raw
            .iter()
            .zip(&usage.actually_billed)
            .map(row)
            .collect()
    }
}
