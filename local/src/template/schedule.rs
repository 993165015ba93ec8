//! Schedule expressions of EventBridge Scheduler, as far as this project uses them.

use anyhow::{Context, Result};

/// `local/scripts/cost.py` accepts the same expressions.
const ACCEPTED: &str = "rate(1 minute), rate(1 hour), rate(1 day), rate(N minutes), \
    rate(N hours), rate(N days) with N of at least 2, cron(M * * * ? *) with M from 0 to 59";

/// When a job runs, with a resolution of one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recurrence {
    every_minutes: i64,
    offset_minutes: i64,
}

impl Recurrence {
    /// Returns an error for every other expression. If such an expression were skipped, its job
    /// would not run.
    pub fn parse(expression: &str) -> Result<Self> {
        rate(expression)
            .or_else(|| hourly(expression))
            .with_context(|| {
                format!("unknown schedule expression {expression:?}; expected one of: {ACCEPTED}")
            })
    }

    /// Minutes between the starts of two runs.
    #[must_use]
    pub fn every_minutes(self) -> i64 {
        self.every_minutes
    }

    /// Whether a run starts in this minute, counted from 1970-01-01 00:00 UTC. With a rate, runs
    /// start at multiples of the interval: hourly ones on the hour, daily ones at midnight. On AWS
    /// the interval starts when the schedule is created.
    #[must_use]
    pub fn includes(self, minute: i64) -> bool {
        (minute - self.offset_minutes).rem_euclid(self.every_minutes) == 0
    }
}

/// Returns an error if a template has a schedule that [`Recurrence::parse`] does not accept.
pub fn check(template: &str) -> Result<()> {
    for expression in template.lines().filter_map(expression) {
        Recurrence::parse(expression)?;
    }
    Ok(())
}

fn expression(line: &str) -> Option<&str> {
    let value = line.trim().strip_prefix("ScheduleExpression:")?;
    let without_comment = value.split(" #").next()?;
    Some(without_comment.trim().trim_matches(['"', '\'']))
}

/// Rules of EventBridge accept only a singular after 1, and only a plural after other numbers.
fn rate(expression: &str) -> Option<Recurrence> {
    let rate = expression.strip_prefix("rate(")?.strip_suffix(')')?;
    let (count, unit) = rate.split_once(' ')?;
    let count = number(count)?;
    let unit_minutes = match (count, unit) {
        (1, "minute") | (2.., "minutes") => 1,
        (1, "hour") | (2.., "hours") => 60,
        (1, "day") | (2.., "days") => 24 * 60,
        _ => return None,
    };
    Some(Recurrence {
        every_minutes: count.checked_mul(unit_minutes)?,
        offset_minutes: 0,
    })
}

/// A cron expression for one minute of every hour.
fn hourly(expression: &str) -> Option<Recurrence> {
    let minute = expression
        .strip_prefix("cron(")?
        .strip_suffix(" * * * ? *)")?;
    let offset_minutes = number(minute).filter(|minute| *minute < 60)?;
    Some(Recurrence {
        every_minutes: 60,
        offset_minutes,
    })
}

/// A number without a sign, which `parse` alone would accept.
fn number(text: &str) -> Option<i64> {
    let has_only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    has_only_digits.then_some(text)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_hourly_cron_expressions_are_accepted() {
        for (expression, minutes) in [
            ("rate(1 minute)", 1),
            ("rate(5 minutes)", 5),
            ("rate(1 hour)", 60),
            ("rate(12 hours)", 720),
            ("rate(1 day)", 1_440),
            ("rate(7 days)", 10_080),
            ("cron(0 * * * ? *)", 60),
            ("cron(59 * * * ? *)", 60),
        ] {
            let recurrence = Recurrence::parse(expression).unwrap();
            assert_eq!(recurrence.every_minutes(), minutes, "{expression}");
        }
    }

    #[test]
    fn an_unknown_schedule_is_an_error_that_lists_what_is_accepted() {
        for expression in [
            "",
            "rate(0 minutes)",
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(+5 minutes)",
            "rate(-5 minutes)",
            "rate(2 weeks)",
            "rate(9223372036854775807 days)",
            "cron(60 * * * ? *)",
            "cron(x * * * ? *)",
            "cron(5 4 * * ? *)",
            "at(2026-03-10T10:00:00)",
        ] {
            let error = Recurrence::parse(expression).unwrap_err().to_string();
            let expected =
                format!("unknown schedule expression {expression:?}; expected one of: {ACCEPTED}");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn runs_start_at_multiples_of_the_interval_or_at_the_minute() {
        let starts = |expression: &str, until: i64| {
            let recurrence = Recurrence::parse(expression).unwrap();
            let minutes = (0..until).filter(|minute| recurrence.includes(*minute));
            minutes.collect::<Vec<_>>()
        };
        assert_eq!(starts("rate(1 minute)", 3), [0, 1, 2]);
        assert_eq!(starts("rate(25 minutes)", 120), [0, 25, 50, 75, 100]);
        assert_eq!(starts("rate(2 hours)", 240), [0, 120]);
        assert_eq!(starts("rate(1 day)", 2_881), [0, 1_440, 2_880]);
        assert_eq!(starts("cron(5 * * * ? *)", 120), [5, 65]);
    }

    #[test]
    fn a_template_with_an_unknown_schedule_is_rejected() {
        let template = |expression: &str| format!("  A:\n    ScheduleExpression: {expression}\n");
        for accepted in [
            "rate(1 day)",
            "\"rate(1 day)\"",
            "rate(1 day) # at midnight",
        ] {
            assert!(check(&template(accepted)).is_ok(), "{accepted}");
        }
        for unknown in ["cron(0 3 * * ? *)", "!Ref Schedule", ""] {
            assert!(check(&template(unknown)).is_err(), "{unknown}");
        }
    }
}
