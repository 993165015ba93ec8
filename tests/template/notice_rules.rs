//! Rules on notices: the functions that publish them have the levels of the deployment.

use rstest::rstest;
use serde_json::{Value, json};
use shared::domain::levels::Levels;

use crate::assert_caught;
use crate::document::ROOT;
use crate::resources::{lambdas, package};

pub const RULES: [fn(&Value) -> Vec<String>; 1] = [levels];

/// Function, variable, parameter and default of each kind of levels.
const LEVELS: [(&str, &str, &str, Levels); 3] = [
    (
        "apply-user-usage-billing",
        "TELECOM_QUOTA_THRESHOLDS_PERCENT",
        "QuotaThresholdsPercent",
        Levels::DEFAULT_QUOTA_PERCENT,
    ),
    (
        "bill-traffic",
        "TELECOM_QUOTA_THRESHOLDS_PERCENT",
        "QuotaThresholdsPercent",
        Levels::DEFAULT_QUOTA_PERCENT,
    ),
    (
        "expire-packages",
        "TELECOM_EXPIRY_NOTICE_HOURS",
        "ExpiryNoticeHours",
        Levels::DEFAULT_EXPIRY_HOURS,
    ),
];

fn levels(template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, variable, parameter, default) in LEVELS {
        let has_it = lambdas(template).any(|(_, function)| {
            package(function) == Some(name)
                && function["Environment"]["Variables"][variable] == json!({ "Ref": parameter })
        });
        if !has_it {
            found.push(format!("{name} lacks {variable}"));
        }
        let default: Vec<String> = default.iter().map(|level| level.to_string()).collect();
        if template["Parameters"][parameter]["Default"] != default.join(",") {
            found.push(format!("{parameter} has not the default of {variable}"));
        }
    }
    found
}

#[rstest]
#[case::a_consumer_without_the_thresholds(
    "/Resources/ApplyUserUsageBillingFunction/Properties/Environment/Variables\
     /TELECOM_QUOTA_THRESHOLDS_PERCENT",
    None,
    "apply-user-usage-billing lacks TELECOM_QUOTA_THRESHOLDS_PERCENT"
)]
#[case::a_job_that_charges_by_other_thresholds(
    "/Resources/BillTrafficFunction/Properties/Environment/Variables\
     /TELECOM_QUOTA_THRESHOLDS_PERCENT",
    Some(json!("50")),
    "bill-traffic lacks TELECOM_QUOTA_THRESHOLDS_PERCENT"
)]
#[case::a_job_without_the_hours(
    "/Resources/ExpirePackagesFunction/Properties/Environment/Variables\
     /TELECOM_EXPIRY_NOTICE_HOURS",
    None,
    "expire-packages lacks TELECOM_EXPIRY_NOTICE_HOURS"
)]
#[case::another_default_than_that_of_the_functions(
    "/Parameters/ExpiryNoticeHours/Default",
    Some(json!("24")),
    "ExpiryNoticeHours has not the default"
)]
#[test]
fn each_planted_fault_of_notices_is_caught(
    #[case] pointer: &str,
    #[case] value: Option<Value>,
    #[case] expected: &str,
) {
    assert_caught(ROOT, pointer, value, expected);
}
