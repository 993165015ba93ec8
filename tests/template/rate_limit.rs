//! Rules on the rate limit of the APIs.

use std::ops::RangeInclusive;

use serde_json::{Value, json};
use shared::config::RateLimitConfig;

use crate::resources::lambdas;

pub const RULES: [fn(&Value) -> Vec<String>; 2] = [ranges, functions];

const VARIABLES: [(&str, &str); 2] = [
    ("TELECOM_USER_REQUESTS_PER_MINUTE", "UserRequestsPerMinute"),
    ("TELECOM_USER_REQUEST_BURST", "UserRequestBurst"),
];

/// The parameters have the ranges and the defaults of the code.
fn ranges(template: &Value) -> Vec<String> {
    let default = RateLimitConfig::default();
    let expected = |name: &str, accepted: &RangeInclusive<u32>, default: u32| {
        let declared = &template["Parameters"][name];
        let (least, most) = (accepted.start(), accepted.end());
        let same = declared["MinValue"] == *least
            && declared["MaxValue"] == *most
            && declared["Default"] == default;
        (!same).then(|| format!("{name} is not {least} to {most}, by default {default}"))
    };
    let requests = default.requests_per_minute.map_or(0, u32::from);
    [
        expected(
            "UserRequestsPerMinute",
            &RateLimitConfig::REQUESTS_PER_MINUTE,
            requests,
        ),
        expected(
            "UserRequestBurst",
            &RateLimitConfig::BURST,
            default.burst.into(),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Every function that authenticates users limits their calls. `transports` compares the gRPC
/// server with the functions.
fn functions(template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, function) in lambdas(template) {
        let variables = &function["Environment"]["Variables"];
        if variables["TELECOM_AUTH_ISSUER"].is_null() {
            continue;
        }
        let lacking = VARIABLES
            .iter()
            .filter(|(variable, parameter)| variables[variable] != json!({ "Ref": parameter }));
        found.extend(lacking.map(|(variable, _)| format!("{name} lacks {variable}")));
    }
    found
}
