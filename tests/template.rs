//! Rules that `template.yaml` keeps, beyond what linters know; and that each rule catches what it is for.
#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used)]

#[path = "template/document.rs"]
mod document;
#[path = "template/rules.rs"]
mod rules;

use rstest::rstest;
use serde_json::{Value, json};

use document::template;
use rules::violations;

#[test]
fn the_template_keeps_every_rule() {
    assert_eq!(violations(&template()), Vec::<String>::new());
}

/// A fault at `pointer` of the template: the value there is replaced, or removed.
fn plant(pointer: &str, value: Option<Value>) -> Value {
    let mut template = template();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let fields = template.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    let before = fields.remove(name);
    assert!(before.is_some() || value.is_some(), "there is nothing at {pointer}");
    fields.extend(value.map(|value| (name.to_owned(), value)));
    template
}

#[rstest]
#[case::a_queue_without_its_dead_letter(
    "/Resources/UsageReportQueue/Properties/RedrivePolicy",
    None,
    "dead-letter queue"
)]
#[case::a_dead_letter_queue_that_forgets_first(
    "/Resources/PackageExpiringDeadLetterQueue/Properties/MessageRetentionPeriod", Some(json!(345_600)), "keeps messages"
)]
#[case::a_dead_letter_queue_without_an_alarm("/Resources/UsageReportDeadLettersAlarm", None, "no alarm")]
#[case::a_visibility_that_is_too_short("/Mappings/Retry/aws/UsageReport", Some(json!(60)), "visibility")]
#[case::a_consumer_that_returns_whole_batches(
    "/Resources/IngestUsageReportFunction/Properties/Events/UsageReports/Properties/FunctionResponseTypes",
    None,
    "ReportBatchItemFailures"
)]
#[case::a_wildcard(
    "/Resources/BillTrafficFunction/Properties/Policies",
    Some(json!([{ "Statement": [{ "Effect": "Allow", "Action": "sqs:*", "Resource": "*" }] }])), "wildcard"
)]
#[case::a_missing_permission_for_a_queue(
    "/Resources/BillTrafficFunction/Properties/Policies",
    None,
    "SQSSendMessagePolicy"
)]
#[case::a_missing_permission_for_the_bus(
    "/Resources/RefreshServerStatusFunction/Properties/Policies", Some(json!([])), "EventBridgePutEventsPolicy"
)]
#[case::a_function_that_is_not_deployed("/Resources/ListNodesFunction", None, "list-nodes")]
#[case::a_function_that_does_not_exist(
    "/Resources/ListNodesFunction/Properties/CodeUri", Some(json!("target/lambda/list-node/")), "list-node"
)]
#[case::a_function_that_is_not_wired("/Resources/ListNodesRule", None, "/v1/nodes")]
#[case::a_path_that_is_not_the_endpoints(
    "/Resources/ListNodesRule/Properties/Conditions/0/PathPatternConfig/Values", Some(json!(["/v1/node"])), "/v1/nodes"
)]
#[case::repeated_parameters_that_are_lost(
    "/Resources/ListNodesTargets/Properties/TargetGroupAttributes",
    None,
    "multi_value"
)]
#[case::more_copies_than_connections(
    "/Resources/IngestUsageReportFunction/Properties/Events/UsageReports/Properties/ScalingConfig/MaximumConcurrency",
    Some(json!(100)), "connections"
)]
#[case::copies_without_a_bound(
    "/Resources/ListNodesFunction/Properties/ReservedConcurrentExecutions",
    None,
    "no bound"
)]
#[case::a_schedule_with_185_retries(
    "/Resources/BillTrafficFunction/Properties/Events/EveryMinute/Properties/RetryPolicy",
    None,
    "RetryPolicy"
)]
#[case::logs_for_ever("/Resources/BillTrafficLogs/Properties/RetentionInDays", None, "RetentionInDays")]
#[case::no_memory_stated("/Globals/Function/MemorySize", None, "MemorySize")]
#[case::a_secret_in_an_output("/Outputs/ApiUrl/Value", Some(json!({ "Ref": "DatabaseUrl" })), "secret")]
#[case::a_secret_that_shows("/Parameters/DatabaseUrl/NoEcho", None, "NoEcho")]
#[test]
fn each_planted_fault_is_caught(#[case] pointer: &str, #[case] value: Option<Value>, #[case] said: &str) {
    let found = violations(&plant(pointer, value));
    assert!(found.iter().any(|violation| violation.contains(said)), "{pointer}: {found:?}");
}
