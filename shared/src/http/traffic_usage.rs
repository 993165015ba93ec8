//! `GET /v1/traffic-usage?range=day|week|month[&time_zone=…]`.

use chrono_tz::Tz;
use lambda_http::Request;

use super::Endpoint;
use super::query::Query;
use crate::auth::Principal;
use crate::error::Error;
use crate::services::analysis::{AnalysisService, GetRecentTrafficUsage};

/// The endpoint.
#[derive(Debug)]
pub struct TrafficUsage;

impl Endpoint for TrafficUsage {
    type Service = AnalysisService;
    type Input = GetRecentTrafficUsage;
    const OPERATION: &'static str = "GetRecentTrafficUsage";

    fn input(request: &Request, principal: &Principal) -> Result<GetRecentTrafficUsage, Error> {
        let query = Query::read(request, &["range", "time_zone"])?;
        Ok(GetRecentTrafficUsage {
            user_id: principal.user_id,
            range: query.required("range", "day, week and month")?.parse()?,
            time_zone: query.get("time_zone").map_or(Ok(Tz::UTC), time_zone)?,
        })
    }
}

fn time_zone(name: &str) -> Result<Tz, Error> {
    name.parse().map_err(|_| {
        Error::invalid("invalid_time_zone", "time_zone", "accepted are IANA names such as Europe/Berlin, and UTC")
    })
}
