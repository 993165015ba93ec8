//! Rules that `template.yaml` and `stacks/` keep, beyond what linters know; and that each rule
//! catches what it is for.
#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used)]

#[path = "template/aws.rs"]
mod aws;
#[path = "template/document.rs"]
mod document;
#[path = "template/refusals.rs"]
mod refusals;
#[path = "template/roles.rs"]
mod roles;
#[path = "template/rules.rs"]
mod rules;
#[path = "template/scripts.rs"]
mod scripts;

use rstest::rstest;
use serde_json::{Value, json};

use document::{ROOT, Templates, flat, templates};

fn violations(templates: &Templates) -> Vec<String> {
    let whole = flat(templates);
    let of_whole = rules::RULES
        .iter()
        .chain(&aws::RULES)
        .flat_map(|rule| rule(&whole));
    of_whole
        .chain(aws::RULES_OF_FILES.iter().flat_map(|rule| rule(templates)))
        .collect()
}

#[test]
fn the_template_keeps_every_rule() {
    assert_eq!(violations(&templates()), Vec::<String>::new());
}

/// A fault at `pointer` of a template: the value there is replaced, or removed.
fn plant(path: &str, pointer: &str, value: Option<Value>) -> Templates {
    let mut templates = templates();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let fields = templates
        .get_mut(path)
        .unwrap()
        .pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap();
    let before = fields.remove(name);
    assert!(
        before.is_some() || value.is_some(),
        "there is nothing at {pointer}"
    );
    fields.extend(value.map(|value| (name.to_owned(), value)));
    templates
}

fn assert_caught(path: &str, pointer: &str, value: Option<Value>, said: &str) {
    let found = violations(&plant(path, pointer, value));
    assert!(
        found.iter().any(|violation| violation.contains(said)),
        "{pointer}: {found:?}"
    );
}

#[rstest]
#[case::a_queue_without_its_dead_letter(
    "/Resources/UsageReportQueue/Properties/RedrivePolicy",
    None,
    "dead-letter queue"
)]
#[case::a_dead_letter_queue_that_forgets_first(
    "/Resources/PackageExpiringDeadLetterQueue/Properties/MessageRetentionPeriod",
        Some(json!(345_600)), "keeps messages"
)]
#[case::a_dead_letter_queue_of_anybody(
    "/Resources/UsageReportDeadLetterQueue/Properties/RedriveAllowPolicy",
    None,
    "dead letters of any queue"
)]
#[case::a_queue_over_plain_http("/Resources/EncryptedTransportOnly/Properties/Queues",
    Some(json!([])), "plain HTTP")]
#[case::a_visibility_that_is_too_short("/Mappings/Retry/aws/UsageReport", Some(json!(60)),
    "visibility")]
#[case::a_consumer_that_returns_whole_batches(
    "/Resources/IngestUsageReportFunction/Properties/Events/UsageReports/Properties\
     /FunctionResponseTypes",
    None,
    "ReportBatchItemFailures"
)]
#[case::a_wildcard(
    "/Resources/BillTrafficRole/Properties/Policies",
    Some(json!([{ "Statement": [{ "Effect": "Allow", "Action": "sqs:*", "Resource": "*" }] }])),
        "wildcard"
)]
#[case::a_missing_permission_for_a_queue(
    "/Resources/BillTrafficRole/Properties/Policies",
    None,
    "may not sqs:SendMessage"
)]
#[case::a_missing_permission_for_the_bus(
    "/Resources/RefreshServerStatusRole/Properties/Policies", Some(json!([])),
        "may not events:PutEvents"
)]
#[case::a_role_that_sam_makes(
    "/Resources/BillTrafficFunction/Properties/Role",
    None,
    "has no role of its own"
)]
#[case::a_role_of_another_account(
    "/Resources/BillTrafficRole/Properties/AssumeRolePolicyDocument/Statement",
    Some(json!([{ "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" },
        "Action": "sts:AssumeRole" }])),
    "lambda.amazonaws.com is trusted without aws:SourceAccount"
)]
#[case::a_reader_that_may_write(
    "/Resources/ListNodesRole/Properties/ManagedPolicyArns",
    Some(json!([{ "Fn::GetAtt": "Database.Outputs.ConnectAsWriterArn" }])), "may connect as"
)]
#[case::a_writer_that_may_not(
    "/Resources/ListNodesFunction/Properties/Environment/Variables/DATABASE_URL",
    Some(json!({ "Fn::GetAtt": "Database.Outputs.WriterUrl" })), "may connect as"
)]
#[case::a_function_that_is_not_deployed("/Resources/ListNodesFunction", None, "list-nodes")]
#[case::a_function_that_does_not_exist(
    "/Resources/ListNodesFunction/Properties/CodeUri", Some(json!("target/lambda/list-node/")),
        "list-node"
)]
#[case::code_before_its_schema(
    "/Resources/ListNodesFunction/DependsOn",
    None,
    "does not wait for the migration"
)]
#[case::a_release_all_at_once(
    "/Resources/IngestUsageReportFunction/Properties/DeploymentPreference",
    None,
    "replaced at once"
)]
#[case::more_copies_than_connections(
    "/Resources/IngestUsageReportFunction/Properties/Events/UsageReports/Properties/ScalingConfig\
     /MaximumConcurrency",
    Some(json!(100)), "connections"
)]
#[case::more_grpc_servers_than_connections("/Parameters/GrpcMaxTasks/Default", Some(json!(40)),
    "connections")]
#[case::a_release_that_no_alarm_compares(
    "/Resources/IngestUsageReportFunction/Properties/DeploymentPreference/Alarms",
    Some(json!([{ "Ref": "IngestUsageReportErrorsAlarm" }])), "replaced at once"
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
#[case::logs_for_ever(
    "/Resources/BillTrafficLogs/Properties/RetentionInDays",
    None,
    "RetentionInDays"
)]
#[case::no_memory_stated("/Globals/Function/MemorySize", None, "MemorySize")]
#[case::functions_outside_the_vpc("/Globals/Function/VpcConfig", None, "outside the VPC")]
#[case::a_secret_in_a_parameter(
    "/Parameters/DatabasePassword", Some(json!({ "Type": "String", "NoEcho": true })), "is a secret"
)]
#[case::a_secret_in_an_environment(
    "/Globals/Function/Environment/Variables/DATABASE_URL",
    Some(json!({ "Fn::Sub": "postgres://telecom:${Word}@${DatabaseHost}/telecom" })),
        "a URL holds a secret"
)]
#[case::a_secret_in_an_output(
    "/Outputs/ApiUrl/Value",
        Some(json!("{{resolve:secretsmanager:telecom:SecretString:password}}")), "is resolved"
)]
#[case::a_parameter_that_is_not_explained("/Parameters/Mystery", Some(json!({
    "Type": "String" })), "Mystery")]
#[case::a_nested_template_that_is_not_told(
    "/Resources/Pipeline/Properties/Parameters/ScheduleDeadLetterQueueName",
    Some(json!(null)), "no alarm"
)]
#[case::a_job_that_judges_by_another_timeout(
    "/Resources/RefreshServerStatusFunction/Properties/Environment/Variables\
     /TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS",
    None,
    "refresh-server-status is not told of TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS"
)]
#[case::an_operation_that_judges_by_another_timeout(
    "/Resources/SetNodeServerMaintenanceFunction/Properties/Environment/Variables\
     /TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS",
    None,
    "set-node-server-maintenance is not told of TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS"
)]
#[case::a_timeout_that_no_function_takes(
    "/Parameters/NodeOfflineTimeoutSeconds/MinValue", Some(json!(60)),
        "NodeOfflineTimeoutSeconds is not 120 to 86400"
)]
#[case::a_timeout_without_an_end(
    "/Parameters/NodeOfflineTimeoutSeconds/MaxValue",
    None,
    "NodeOfflineTimeoutSeconds is not 120 to 86400"
)]
#[case::transports_that_judge_by_different_timeouts(
    "/Resources/Grpc/Properties/Parameters/NodeOfflineTimeoutSeconds",
    Some(json!(300)), "the gRPC server is not told of TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS"
)]
#[case::a_consumer_without_the_line_rate(
    "/Resources/IngestUsageReportFunction/Properties/Environment/Variables\
     /TELECOM_NODE_LINE_RATE_MBIT_PER_SECOND",
    None,
    "ingest-usage-report lacks TELECOM_NODE_LINE_RATE_MBIT_PER_SECOND"
)]
#[case::a_line_rate_that_no_function_takes(
    "/Parameters/NodeLineRateMbitPerSecond/MinValue", Some(json!(0)),
        "NodeLineRateMbitPerSecond is not 1 to 100000000"
)]
#[case::what_may_be_deleted_by_mistake("/Parameters/DeletionProtection/Default",
    Some(json!("false")), "not the default")]
#[test]
fn each_planted_fault_is_caught(
    #[case] pointer: &str,
    #[case] value: Option<Value>,
    #[case] said: &str,
) {
    assert_caught(ROOT, pointer, value, said);
}

#[rstest]
#[case::a_dead_letter_queue_without_an_alarm(
    "pipeline",
    "/Resources/UsageReportDeadLettersAlarm",
    None,
    "no alarm"
)]
#[case::a_watch_that_may_stand_still(
    "pipeline",
    "/Resources/WatchStandsStillAlarm",
    None,
    "RefreshServerStatusFunction may stand still"
)]
#[case::an_expiry_that_may_stand_still(
    "pipeline",
    "/Resources/ExpiryStandsStillAlarm",
    None,
    "ExpirePackagesFunction may stand still"
)]
#[case::an_alarm_that_takes_no_data_for_a_good_sign(
    "pipeline", "/Resources/WatchStandsStillAlarm/Properties/TreatMissingData",
        Some(json!("notBreaching")),
    "RefreshServerStatusFunction may stand still"
)]
#[case::an_alarm_that_nobody_explains(
    "monitoring", "/Resources/SomethingAlarm", Some(json!({ "Type": "AWS::CloudWatch::Alarm",
        "Properties": {} })),
    "OPERATIONS.md"
)]
#[case::a_function_that_is_not_wired("edge", "/Resources/ListNodesRule", None, "/v1/nodes")]
#[case::a_path_that_is_not_the_endpoints(
    "edge", "/Resources/ListNodesRule/Properties/Conditions/0/PathPatternConfig/Values",
        Some(json!(["/v1/node"])),
    "/v1/nodes"
)]
#[case::repeated_parameters_that_are_lost(
    "edge",
    "/Resources/ListNodesTargets/Properties/TargetGroupAttributes",
    None,
    "multi_value"
)]
#[case::a_function_that_may_not_be_invoked(
    "edge",
    "/Resources/ListNodesPermission",
    None,
    "may not invoke"
)]
#[case::a_load_balancer_that_can_be_deleted(
    "edge", "/Resources/LoadBalancer/Properties/LoadBalancerAttributes", Some(json!([])),
        "deletion protection"
)]
#[case::an_access_log_that_goes(
    "edge",
    "/Resources/AccessLog/DeletionPolicy",
    None,
    "goes with its stack"
)]
#[case::a_database_that_goes(
    "database",
    "/Resources/Cluster/DeletionPolicy",
    None,
    "goes with its stack"
)]
#[case::a_database_that_can_be_deleted(
    "database",
    "/Resources/Cluster/Properties/DeletionProtection",
    None,
    "no DeletionProtection"
)]
#[case::data_in_the_clear(
    "database",
    "/Resources/Cluster/Properties/StorageEncrypted",
    None,
    "StorageEncrypted"
)]
#[case::connections_in_the_clear(
    "database",
    "/Resources/ParameterGroup/Properties/Parameters/rds.force_ssl",
    None,
    "force_ssl"
)]
#[case::a_proxy_in_the_clear(
    "database",
    "/Resources/Proxy/Properties/RequireTLS",
    None,
    "require TLS"
)]
#[case::values_of_users_in_the_log(
    "database",
    "/Resources/ParameterGroup/Properties/Parameters/log_parameter_max_length_on_error",
    None,
    "log_parameter_max_length_on_error"
)]
#[case::an_endpoint_for_any_account(
    "network",
    "/Resources/SqsEndpoint/Properties/PolicyDocument",
    None,
    "SqsEndpoint"
)]
#[case::connecting_as_anybody(
    "database",
    "/Resources/ConnectAsReader/Properties/PolicyDocument/Statement/0/Fn::If/1/Resource",
    Some(json!("*")),
    "wildcard"
)]
#[case::a_database_open_to_addresses(
    "network", "/Resources/ProxyToDatabase/Properties/CidrIp", Some(json!("10.0.0.0/8")),
        "admits addresses"
)]
#[case::a_group_that_lets_all_out(
    "network",
    "/Resources/DatabaseSecurityGroup/Properties/SecurityGroupEgress",
    None,
    "lets everything out"
)]
#[case::a_transport_that_judges_by_no_timeout(
    "grpc", "/Resources/Task/Properties/ContainerDefinitions/0/Environment", Some(json!([])),
    "the gRPC server is not told of TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS as \
     SetNodeServerMaintenanceFunction is"
)]
#[case::servers_without_a_bound(
    "grpc", "/Resources/Task/Properties/ContainerDefinitions/0/Environment", Some(json!([])),
        "no bound"
)]
#[test]
fn each_fault_planted_in_a_nested_template_is_caught(
    #[case] stack: &str,
    #[case] pointer: &str,
    #[case] value: Option<Value>,
    #[case] said: &str,
) {
    assert_caught(&format!("stacks/{stack}.yaml"), pointer, value, said);
}
