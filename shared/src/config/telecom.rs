//! The rules of a deployment.

use std::ops::RangeInclusive;

use super::{ConfigError, days, flag, invalid, optional, parsed};
use crate::domain::levels::{EXPIRY_HOURS, Levels, MAX_LEVELS, QUOTA_PERCENT};
use crate::domain::line_rate::LineRate;
use crate::domain::server_status::OfflinePolicy;

const OFFLINE_TIMEOUT: &str = "TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS";

fn offline_policy() -> Result<OfflinePolicy, ConfigError> {
    let default = OfflinePolicy::default().offline_timeout.num_seconds();
    offline_policy_of(parsed(
        OFFLINE_TIMEOUT,
        "a whole number of seconds",
        default,
    )?)
}

fn offline_policy_of(seconds: i64) -> Result<OfflinePolicy, ConfigError> {
    OfflinePolicy::new(seconds).ok_or_else(|| {
        let (least, most) = OfflinePolicy::TIMEOUT_SECONDS.into_inner();
        let problem = format!("{seconds} seconds is not within {least} to {most}");
        invalid(OFFLINE_TIMEOUT, problem)
    })
}

fn line_rate() -> Result<LineRate, ConfigError> {
    const NAME: &str = "TELECOM_NODE_LINE_RATE_MBIT_PER_SECOND";
    let accepted = format!("{:?}", LineRate::MBIT_PER_SECOND);
    let mbit_per_second = parsed(
        NAME,
        "a whole number",
        LineRate::default().mbit_per_second(),
    )?;
    LineRate::new(mbit_per_second)
        .ok_or_else(|| invalid(NAME, format!("{mbit_per_second} is not within {accepted}")))
}

/// Reads levels of notices. `None` if the variable is not set.
fn levels(
    name: &'static str,
    accepted: &RangeInclusive<i16>,
) -> Result<Option<Levels>, ConfigError> {
    optional(name)
        .map(|text| levels_of(name, accepted, &text))
        .transpose()
}

fn levels_of(
    name: &'static str,
    accepted: &RangeInclusive<i16>,
    text: &str,
) -> Result<Levels, ConfigError> {
    // An empty variable counts as not set, so that no level needs a word.
    if text == "none" {
        return Ok(Levels::NONE);
    }
    let numbers: Option<Vec<i16>> = text.split(',').map(|one| one.trim().parse().ok()).collect();
    numbers
        .and_then(|numbers| Levels::new(&numbers, accepted))
        .ok_or_else(|| {
            let (least, most) = (accepted.start(), accepted.end());
            let problem = format!(
                "{text:?} is neither \"none\" nor a list of at most {MAX_LEVELS} different whole \
                 numbers from {least} to {most} in ascending order, separated by commas"
            );
            invalid(name, problem)
        })
}

/// Retention of rows, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// `TELECOM_TRAFFIC_USAGE_RETENTION_DAYS` (default 45): raw usage rows, after billing.
    pub traffic_usage_days: i32,
    /// `TELECOM_DEDUP_RETENTION_DAYS` (default 45, at least 36): ids of reports and batches. A
    /// report is accepted for [35 days](crate::events::usage_report::MAX_AGE_DAYS), and its id must
    /// be kept for longer than that.
    pub dedup_days: i32,
    /// `TELECOM_USAGE_RETENTION_DAYS` (default 400, at least 31): hourly usage of users.
    pub usage_days: i32,
    /// `TELECOM_NODE_STATUS_RETENTION_DAYS` (default 400, at least 93): hourly status of servers
    /// and the status log.
    pub node_status_days: i32,
}

/// Settings of this deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelecomConfig {
    /// `TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS` (default 300, 120 to 86400): a server that sends no
    /// report for longer is offline.
    pub node_health_check: OfflinePolicy,
    /// How long rows are kept.
    pub retention: Retention,
    /// `TELECOM_REQUIRE_EVENT_ID` (`true` or `false`, default `false`): whether billing events
    /// without an `event_id` are rejected. Otherwise, the message id of the queue replaces it,
    /// which changes after a redrive from the dead-letter queue.
    pub require_event_id: bool,
    /// `TELECOM_NODE_LINE_RATE_MBIT_PER_SECOND` (default 100000, 1 to 100000000): line rate of the
    /// fastest node server. A report of more traffic than this rate allows is quarantined.
    pub node_line_rate: LineRate,
    /// `TELECOM_QUOTA_THRESHOLDS_PERCENT` (default `50,80,95`, 1 to 99, or `none`): percentages of
    /// an item's quota that are published when they are reached.
    pub quota_thresholds_percent: Levels,
    /// `TELECOM_EXPIRY_NOTICE_HOURS` (default `24,72`, 1 to 8760, or `none`): how long before the
    /// end of an item it is published that the item ends soon.
    pub expiry_notice_hours: Levels,
}

impl Default for TelecomConfig {
    fn default() -> Self {
        Self {
            node_health_check: OfflinePolicy::default(),
            retention: Retention {
                traffic_usage_days: 45,
                dedup_days: 45,
                usage_days: 400,
                node_status_days: 400,
            },
            require_event_id: false,
            node_line_rate: LineRate::default(),
            quota_thresholds_percent: Levels::DEFAULT_QUOTA_PERCENT,
            expiry_notice_hours: Levels::DEFAULT_EXPIRY_HOURS,
        }
    }
}

impl TelecomConfig {
    /// Reads the variables. A variable that is not set has its default.
    pub fn from_env() -> Result<Self, ConfigError> {
        let default = Self::default();
        Ok(Self {
            node_health_check: offline_policy()?,
            retention: Retention {
                traffic_usage_days: days(
                    "TELECOM_TRAFFIC_USAGE_RETENTION_DAYS",
                    default.retention.traffic_usage_days,
                    1,
                )?,
                dedup_days: days(
                    "TELECOM_DEDUP_RETENTION_DAYS",
                    default.retention.dedup_days,
                    36,
                )?,
                usage_days: days(
                    "TELECOM_USAGE_RETENTION_DAYS",
                    default.retention.usage_days,
                    31,
                )?,
                node_status_days: days(
                    "TELECOM_NODE_STATUS_RETENTION_DAYS",
                    default.retention.node_status_days,
                    93,
                )?,
            },
            require_event_id: flag("TELECOM_REQUIRE_EVENT_ID", default.require_event_id)?,
            node_line_rate: line_rate()?,
            quota_thresholds_percent: levels("TELECOM_QUOTA_THRESHOLDS_PERCENT", &QUOTA_PERCENT)?
                .unwrap_or(default.quota_thresholds_percent),
            expiry_notice_hours: levels("TELECOM_EXPIRY_NOTICE_HOURS", &EXPIRY_HOURS)?
                .unwrap_or(default.expiry_notice_hours),
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_shortest(120)]
    #[case::the_default(300)]
    #[case::the_longest(86_400)]
    fn offline_timeouts_of_two_minutes_to_a_day_are_accepted(#[case] seconds: i64) {
        let accepted = offline_policy_of(seconds).unwrap();
        assert_eq!(accepted.offline_timeout.num_seconds(), seconds);
    }

    #[rstest]
    #[case::zero(0)]
    #[case::shorter_than_two_reports(119)]
    #[case::longer_than_a_day(86_401)]
    #[case::longer_than_a_clock_knows(i64::MAX)]
    fn other_offline_timeouts_are_refused_with_the_accepted_range(#[case] seconds: i64) {
        let expected = format!(
            "environment variable TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS: {seconds} seconds is not \
             within 120 to 86400"
        );
        let refusal = offline_policy_of(seconds).unwrap_err().to_string();
        assert_eq!(refusal, expected);
    }

    #[rstest]
    #[case::one("50", &[50])]
    #[case::several("1,50,99", &[1, 50, 99])]
    #[case::blanks_after_commas("50, 80", &[50, 80])]
    #[case::none("none", &[])]
    fn levels_are_whole_numbers_in_ascending_order(#[case] text: &str, #[case] expected: &[i16]) {
        let levels = levels_of("LEVELS", &QUOTA_PERCENT, text).unwrap();
        assert_eq!(levels.iter().collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case::all_of_the_quota("50,100")]
    #[case::a_fraction("50.5")]
    #[case::twice("50,50")]
    #[case::descending("80,50")]
    #[case::a_comma_too_many("50,")]
    #[case::too_many("1,2,3,4,5,6,7,8,9,10,11")]
    #[case::a_word("half")]
    #[case::larger_than_any_number("99999999999")]
    fn other_levels_are_refused_with_what_is_accepted(#[case] text: &str) {
        let refusal = levels_of("TELECOM_QUOTA_THRESHOLDS_PERCENT", &QUOTA_PERCENT, text);
        let expected = format!(
            "environment variable TELECOM_QUOTA_THRESHOLDS_PERCENT: {text:?} is neither \"none\" \
             nor a list of at most 10 different whole numbers from 1 to 99 in ascending order, \
             separated by commas"
        );
        assert_eq!(refusal.unwrap_err().to_string(), expected);
    }
}
