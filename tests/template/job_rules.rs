//! Rules on jobs: what each scheduled function has in addition to what every function has.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};
use shared::domain::job_run::JobName;
use strum::VariantNames;

use crate::assert_caught;
use crate::document::{ROOT, flat, templates};
use crate::jobs::{functions, jobs};

pub const RULES: [fn(&Value) -> Vec<String>; 4] = [triggers, errors, targets, limits];

/// Only these kinds of triggers are known to the other rules, the local system and the cost.
const TRIGGERS: [&str; 2] = ["SQS", "ScheduleV2"];

fn triggers(template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (id, function) in functions(template) {
        let events = function["Events"].as_object().into_iter().flatten();
        let types: Vec<&Value> = events.map(|(_, event)| &event["Type"]).collect();
        if types.len() > 1 {
            found.push(format!("{id} has {} triggers", types.len()));
        }
        let unknown = types
            .into_iter()
            .filter(|kind| kind.as_str().is_none_or(|kind| !TRIGGERS.contains(&kind)));
        found.extend(unknown.map(|kind| format!("{id} has a trigger of type {kind}")));
    }
    found
}

/// The alarm on failed runs counts those of every job.
fn errors(template: &Value) -> Vec<String> {
    let queries = &template["Resources"]["JobErrorsAlarm"]["Properties"]["Metrics"];
    let counted = |id: &str| {
        let metric = json!({
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Dimensions": [{ "Name": "FunctionName", "Value": { "Ref": id } }],
        });
        let mut queries = queries.as_array().into_iter().flatten();
        queries.any(|query| {
            query["MetricStat"]["Metric"] == metric && query["MetricStat"]["Stat"] == "Sum"
        })
    };
    jobs(template)
        .filter(|job| !counted(job.id))
        .map(|job| format!("{} is not in JobErrorsAlarm", job.id))
        .collect()
}

/// Every schedule is named after its function, and has the role and the dead-letter queue of all
/// schedules.
fn targets(template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for job in jobs(template) {
        let wanted = [
            (
                "Name",
                json!({ "Fn::Sub": format!("${{AWS::StackName}}-{}", job.package()) }),
            ),
            ("RoleArn", json!({ "Fn::GetAtt": "ScheduleRole.Arn" })),
            (
                "DeadLetterConfig",
                json!({ "Arn": { "Fn::GetAtt": "ScheduleDeadLetterQueue.Arn" } }),
            ),
        ];
        let other = wanted
            .into_iter()
            .filter(|(field, value)| job.schedule[*field] != *value);
        found.extend(
            other.map(|(field, value)| {
                format!("{field} of the schedule of {} is not {value}", job.id)
            }),
        );
    }
    found
}

/// A run takes no longer than the interval between two runs, and is not retried after it.
fn limits(template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for job in jobs(template) {
        let interval_seconds = match job.recurrence() {
            Ok(recurrence) => recurrence.every_minutes() * 60,
            Err(error) => {
                found.push(format!("{}: {error:#}", job.id));
                continue;
            }
        };
        let age = "MaximumEventAgeInSeconds";
        let limits = [
            ("Timeout", &job.function["Timeout"]),
            (
                "MaximumEventAgeInSeconds of EventInvokeConfig",
                &job.function["EventInvokeConfig"][age],
            ),
            (
                "MaximumEventAgeInSeconds of RetryPolicy",
                &job.schedule["RetryPolicy"][age],
            ),
        ];
        let other = limits.into_iter().filter(|(_, seconds)| {
            seconds
                .as_i64()
                .is_none_or(|seconds| seconds > interval_seconds)
        });
        found.extend(other.map(|(name, seconds)| {
            format!(
                "{}: {name} is {seconds}, not at most the {interval_seconds} s between two runs",
                job.id
            )
        }));
    }
    found
}

#[rstest]
#[case::a_job_without_an_alarm_on_its_errors(
    "stacks/pipeline.yaml",
    "/Resources/JobErrorsAlarm/Properties/Metrics/8/MetricStat",
    None,
    "ReconcileUsageFunction is not in JobErrorsAlarm"
)]
#[case::an_alarm_on_another_metric_than_errors(
    "stacks/pipeline.yaml",
    "/Resources/JobErrorsAlarm/Properties/Metrics/1/MetricStat/Metric/MetricName",
    Some(json!("Throttles")),
    "BillTrafficFunction is not in JobErrorsAlarm"
)]
#[case::an_unknown_schedule(
    ROOT,
    "/Resources/MaintainStorageFunction/Properties/Events/EveryHour/Properties/ScheduleExpression",
    Some(json!("cron(0 3 * * ? *)")),
    "MaintainStorageFunction: unknown schedule expression \"cron(0 3 * * ? *)\""
)]
#[case::a_schedule_of_another_kind(
    ROOT,
    "/Resources/MaintainStorageFunction/Properties/Events/EveryHour/Type",
    Some(json!("Schedule")),
    "MaintainStorageFunction has a trigger of type \"Schedule\""
)]
#[case::a_job_with_two_schedules(
    ROOT,
    "/Resources/MaintainStorageFunction/Properties/Events/EveryDay",
    Some(json!({ "Type": "ScheduleV2" })),
    "MaintainStorageFunction has 2 triggers"
)]
#[case::a_schedule_with_the_name_of_another(
    ROOT,
    "/Resources/BillTrafficFunction/Properties/Events/EveryMinute/Properties/Name",
    Some(json!({ "Fn::Sub": "${AWS::StackName}-sweep-outbox" })),
    "Name of the schedule of BillTrafficFunction is not"
)]
#[case::a_schedule_with_a_role_that_sam_generates(
    ROOT,
    "/Resources/BillTrafficFunction/Properties/Events/EveryMinute/Properties/RoleArn",
    None,
    "RoleArn of the schedule of BillTrafficFunction is not"
)]
#[case::a_schedule_with_the_dead_letter_queue_of_a_consumer(
    ROOT,
    "/Resources/BillTrafficFunction/Properties/Events/EveryMinute/Properties/DeadLetterConfig",
    Some(json!({ "Arn": { "Fn::GetAtt": "UsageReportDeadLetterQueue.Arn" } })),
    "DeadLetterConfig of the schedule of BillTrafficFunction is not"
)]
#[case::a_run_that_may_take_longer_than_the_interval(
    ROOT,
    "/Resources/BillTrafficFunction/Properties/Timeout",
    Some(json!(61)),
    "BillTrafficFunction: Timeout is 61, not at most the 60 s between two runs"
)]
#[case::a_run_that_is_retried_after_the_interval(
    ROOT,
    "/Resources/BillTrafficFunction/Properties/EventInvokeConfig/MaximumEventAgeInSeconds",
    Some(json!(600)),
    "BillTrafficFunction: MaximumEventAgeInSeconds of EventInvokeConfig is 600"
)]
#[case::a_start_that_is_retried_for_the_default_time(
    ROOT,
    "/Resources/BillTrafficFunction/Properties/Events/EveryMinute/Properties/RetryPolicy\
     /MaximumEventAgeInSeconds",
    None,
    "BillTrafficFunction: MaximumEventAgeInSeconds of RetryPolicy is null"
)]
#[test]
fn each_fault_planted_in_a_job_is_caught(
    #[case] path: &str,
    #[case] pointer: &str,
    #[case] value: Option<Value>,
    #[case] expected: &str,
) {
    assert_caught(path, pointer, value, expected);
}

/// Runs are recorded and listed under the names of the functions.
#[test]
fn each_job_is_recorded_under_the_name_of_its_function() {
    let whole = flat(&templates());
    let functions: BTreeSet<String> = jobs(&whole).map(|job| job.package().to_owned()).collect();
    let names = JobName::VARIANTS.iter().map(|name| (*name).to_owned());
    assert_eq!(functions, names.collect());
}
