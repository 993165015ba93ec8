//! Rules on `template.yaml` and `stacks/` that linters do not know. Planted faults prove that each
//! rule detects a violation.
#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used)]

#[path = "template/aws.rs"]
mod aws;
#[path = "template/console.rs"]
mod console;
#[path = "template/cost.rs"]
mod cost;
#[path = "template/document.rs"]
mod document;
#[path = "template/job_rules.rs"]
mod job_rules;
#[path = "template/jobs.rs"]
mod jobs;
#[path = "template/notice_rules.rs"]
mod notice_rules;
#[path = "template/rate_limit.rs"]
mod rate_limit;
#[path = "template/refusals.rs"]
mod refusals;
#[path = "template/resources.rs"]
mod resources;
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
        .chain(&job_rules::RULES)
        .chain(&notice_rules::RULES)
        .chain(&rate_limit::RULES)
        .flat_map(|rule| rule(&whole));
    of_whole
        .chain(aws::RULES_OF_FILES.iter().flat_map(|rule| rule(templates)))
        .collect()
}

#[test]
fn the_template_keeps_every_rule() {
    assert_eq!(violations(&templates()), Vec::<String>::new());
}

/// Plants a fault: replaces or removes the value at `pointer` of a template.
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

fn assert_caught(path: &str, pointer: &str, value: Option<Value>, expected: &str) {
    let found = violations(&plant(path, pointer, value));
    assert!(
        found.iter().any(|violation| violation.contains(expected)),
        "{pointer}: {found:?}"
    );
}

#[rstest]
#[case::a_queue_without_a_dead_letter_queue(
    "/Resources/UsageReportQueue/Properties/RedrivePolicy",
    None,
    "dead-letter queue"
)]
#[case::a_dead_letter_queue_with_short_retention(
    "/Resources/PackageExpiringDeadLetterQueue/Properties/MessageRetentionPeriod",
        Some(json!(345_600)), "keeps messages"
)]
#[case::a_dead_letter_queue_open_to_any_queue(
    "/Resources/UsageReportDeadLetterQueue/Properties/RedriveAllowPolicy",
    None,
    "dead letters of any queue"
)]
#[case::a_queue_open_to_plain_http("/Resources/EncryptedTransportOnly/Properties/Queues",
    Some(json!([])), "plain HTTP")]
#[case::a_visibility_timeout_that_is_too_short("/Mappings/Retry/aws/UsageReport", Some(json!(60)),
    "visibility")]
#[case::a_consumer_that_fails_whole_batches(
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
#[case::a_role_generated_by_sam(
    "/Resources/BillTrafficFunction/Properties/Role",
    None,
    "has no role of its own"
)]
#[case::a_role_open_to_other_accounts(
    "/Resources/BillTrafficRole/Properties/AssumeRolePolicyDocument/Statement",
    Some(json!([{ "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" },
        "Action": "sts:AssumeRole" }])),
    "lambda.amazonaws.com is trusted without aws:SourceAccount"
)]
#[case::a_reader_with_the_writer_policy(
    "/Resources/ListNodesRole/Properties/ManagedPolicyArns",
    Some(json!([{ "Fn::GetAtt": "Database.Outputs.ConnectAsWriterArn" }])), "may connect as"
)]
#[case::a_writer_without_the_writer_policy(
    "/Resources/ListNodesFunction/Properties/Environment/Variables/DATABASE_URL",
    Some(json!({ "Fn::GetAtt": "Database.Outputs.WriterUrl" })), "may connect as"
)]
#[case::a_function_that_is_not_deployed("/Resources/ListNodesFunction", None, "list-nodes")]
#[case::a_function_that_does_not_exist(
    "/Resources/ListNodesFunction/Properties/CodeUri", Some(json!("target/lambda/list-node/")),
        "list-node"
)]
#[case::code_deployed_before_its_schema(
    "/Resources/ListNodesFunction/DependsOn",
    None,
    "does not wait for the migration"
)]
#[case::a_release_all_at_once(
    "/Resources/IngestUsageReportFunction/Properties/DeploymentPreference",
    None,
    "replaced at once"
)]
#[case::more_executions_than_connections(
    "/Resources/IngestUsageReportFunction/Properties/Events/UsageReports/Properties/ScalingConfig\
     /MaximumConcurrency",
    Some(json!(1000)), "connections"
)]
#[case::more_grpc_servers_than_connections("/Parameters/GrpcMaxTasks/Default", Some(json!(40)),
    "connections")]
#[case::a_release_without_an_alarm_on_its_version(
    "/Resources/IngestUsageReportFunction/Properties/DeploymentPreference/Alarms",
    Some(json!([{ "Ref": "IngestUsageReportErrorsAlarm" }])), "replaced at once"
)]
#[case::concurrency_without_a_bound(
    "/Resources/ListNodesFunction/Properties/ReservedConcurrentExecutions",
    None,
    "no bound"
)]
#[case::a_schedule_with_the_default_retries(
    "/Resources/BillTrafficFunction/Properties/Events/EveryMinute/Properties/RetryPolicy",
    None,
    "RetryPolicy"
)]
#[case::logs_without_retention(
    "/Resources/BillTrafficLogs/Properties/RetentionInDays",
    None,
    "RetentionInDays"
)]
#[case::no_memory_size("/Globals/Function/MemorySize", None, "MemorySize")]
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
#[case::an_undocumented_parameter("/Parameters/Mystery", Some(json!({
    "Type": "String" })), "Mystery")]
#[case::a_nested_template_without_a_parameter(
    "/Resources/Pipeline/Properties/Parameters/ScheduleDeadLetterQueueName",
    Some(json!(null)), "no alarm"
)]
#[case::a_job_without_the_offline_timeout(
    "/Resources/RefreshServerStatusFunction/Properties/Environment/Variables\
     /TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS",
    None,
    "refresh-server-status lacks TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS"
)]
#[case::an_operation_without_the_offline_timeout(
    "/Resources/SetNodeServerMaintenanceFunction/Properties/Environment/Variables\
     /TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS",
    None,
    "set-node-server-maintenance lacks TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS"
)]
#[case::an_offline_timeout_that_functions_refuse(
    "/Parameters/NodeOfflineTimeoutSeconds/MinValue", Some(json!(60)),
        "NodeOfflineTimeoutSeconds is not 120 to 86400"
)]
#[case::an_offline_timeout_without_a_maximum(
    "/Parameters/NodeOfflineTimeoutSeconds/MaxValue",
    None,
    "NodeOfflineTimeoutSeconds is not 120 to 86400"
)]
#[case::transports_with_different_offline_timeouts(
    "/Resources/Grpc/Properties/Parameters/NodeOfflineTimeoutSeconds",
    Some(json!(300)), "TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS of the gRPC server differs"
)]
#[case::an_operation_without_a_rate_limit(
    "/Resources/ListNodesFunction/Properties/Environment/Variables\
     /TELECOM_USER_REQUESTS_PER_MINUTE",
    None,
    "ListNodesFunction lacks TELECOM_USER_REQUESTS_PER_MINUTE"
)]
#[case::transports_with_different_rate_limits(
    "/Resources/Grpc/Properties/Parameters/UserRequestBurst",
    Some(json!(5)), "TELECOM_USER_REQUEST_BURST of the gRPC server differs"
)]
#[case::a_rate_limit_that_functions_refuse(
    "/Parameters/UserRequestsPerMinute/MaxValue", Some(json!(2_000_000)),
        "UserRequestsPerMinute is not 0 to 1000000, by default 1200"
)]
#[case::a_burst_that_functions_refuse(
    "/Parameters/UserRequestBurst/MinValue", Some(json!(0)),
        "UserRequestBurst is not 1 to 100000, by default 200"
)]
#[case::a_consumer_without_the_line_rate(
    "/Resources/IngestUsageReportFunction/Properties/Environment/Variables\
     /TELECOM_NODE_LINE_RATE_MBIT_PER_SECOND",
    None,
    "ingest-usage-report lacks TELECOM_NODE_LINE_RATE_MBIT_PER_SECOND"
)]
#[case::a_line_rate_that_functions_refuse(
    "/Parameters/NodeLineRateMbitPerSecond/MinValue", Some(json!(0)),
        "NodeLineRateMbitPerSecond is not 1 to 100000000"
)]
#[case::no_deletion_protection_by_default("/Parameters/DeletionProtection/Default",
    Some(json!("false")), "not the default")]
#[test]
fn each_planted_fault_is_caught(
    #[case] pointer: &str,
    #[case] value: Option<Value>,
    #[case] expected: &str,
) {
    assert_caught(ROOT, pointer, value, expected);
}

#[rstest]
#[case::a_dead_letter_queue_without_an_alarm(
    "pipeline",
    "/Resources/UsageReportDeadLettersAlarm",
    None,
    "no alarm"
)]
#[case::no_alarm_for_a_stopped_status_job(
    "pipeline",
    "/Resources/WatchStandsStillAlarm",
    None,
    "RefreshServerStatusFunction may stop unnoticed"
)]
#[case::no_alarm_for_a_stopped_expiry_job(
    "pipeline",
    "/Resources/ExpiryStandsStillAlarm",
    None,
    "ExpirePackagesFunction may stop unnoticed"
)]
#[case::an_alarm_that_ignores_missing_data(
    "pipeline", "/Resources/WatchStandsStillAlarm/Properties/TreatMissingData",
        Some(json!("notBreaching")),
    "RefreshServerStatusFunction may stop unnoticed"
)]
#[case::an_undocumented_alarm(
    "monitoring", "/Resources/SomethingAlarm", Some(json!({ "Type": "AWS::CloudWatch::Alarm",
        "Properties": {} })),
    "OPERATIONS.md"
)]
#[case::a_function_without_a_listener_rule("edge", "/Resources/ListNodesRule", None, "/v1/nodes")]
#[case::a_path_that_differs_from_the_endpoint(
    "edge", "/Resources/ListNodesRule/Properties/Conditions/0/PathPatternConfig/Values",
        Some(json!(["/v1/node"])),
    "/v1/nodes"
)]
#[case::two_rules_with_one_priority(
    "edge",
    "/Resources/ListNodesRule/Properties/Priority",
    Some(json!(290)),
    "the priority of another rule"
)]
#[case::a_target_group_without_multi_value_headers(
    "edge",
    "/Resources/ListNodesTargets/Properties/TargetGroupAttributes",
    None,
    "multi_value"
)]
#[case::a_function_without_an_invoke_permission(
    "edge",
    "/Resources/ListNodesPermission",
    None,
    "may not invoke"
)]
#[case::a_load_balancer_without_deletion_protection(
    "edge", "/Resources/LoadBalancer/Properties/LoadBalancerAttributes", Some(json!([])),
        "deletion protection"
)]
#[case::an_access_log_deleted_with_its_stack(
    "edge",
    "/Resources/AccessLog/DeletionPolicy",
    None,
    "goes with its stack"
)]
#[case::a_database_deleted_with_its_stack(
    "database",
    "/Resources/Cluster/DeletionPolicy",
    None,
    "goes with its stack"
)]
#[case::a_database_without_deletion_protection(
    "database",
    "/Resources/Cluster/Properties/DeletionProtection",
    None,
    "no DeletionProtection"
)]
#[case::unencrypted_storage(
    "database",
    "/Resources/Cluster/Properties/StorageEncrypted",
    None,
    "StorageEncrypted"
)]
#[case::unencrypted_connections(
    "database",
    "/Resources/ParameterGroup/Properties/Parameters/rds.force_ssl",
    None,
    "force_ssl"
)]
#[case::a_proxy_without_tls(
    "database",
    "/Resources/Proxy/Properties/RequireTLS",
    None,
    "require TLS"
)]
#[case::parameter_values_in_the_database_log(
    "database",
    "/Resources/ParameterGroup/Properties/Parameters/log_parameter_max_length_on_error",
    None,
    "log_parameter_max_length_on_error"
)]
#[case::an_endpoint_open_to_any_account(
    "network",
    "/Resources/SqsEndpoint/Properties/PolicyDocument",
    None,
    "SqsEndpoint"
)]
#[case::a_right_to_connect_as_any_role(
    "database",
    "/Resources/ConnectAsReader/Properties/PolicyDocument/Statement/0/Fn::If/1/Resource",
    Some(json!("*")),
    "wildcard"
)]
#[case::a_database_open_to_addresses(
    "network", "/Resources/ProxyToDatabase/Properties/CidrIp", Some(json!("10.0.0.0/8")),
        "admits addresses"
)]
#[case::metrics_that_the_load_balancer_reaches(
    "network", "/Resources/LoadBalancerToGrpc/Properties/FromPort", Some(json!(1)),
        "LoadBalancerToGrpc opens the port of the metrics"
)]
#[case::metrics_behind_the_load_balancer(
    "edge", "/Resources/GrpcTargets/Properties/Port", Some(json!(9_464)),
        "GrpcTargets passes requests to the metrics"
)]
#[case::a_security_group_with_all_egress(
    "network",
    "/Resources/DatabaseSecurityGroup/Properties/SecurityGroupEgress",
    None,
    "lets everything out"
)]
#[case::a_grpc_server_without_the_offline_timeout(
    "grpc", "/Resources/Task/Properties/ContainerDefinitions/0/Environment", Some(json!([])),
    "TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS of the gRPC server differs from that of \
     SetNodeServerMaintenanceFunction"
)]
#[case::grpc_servers_without_a_bound(
    "grpc", "/Resources/Task/Properties/ContainerDefinitions/0/Environment", Some(json!([])),
        "no bound"
)]
#[test]
fn each_fault_planted_in_a_nested_template_is_caught(
    #[case] stack: &str,
    #[case] pointer: &str,
    #[case] value: Option<Value>,
    #[case] expected: &str,
) {
    assert_caught(&format!("stacks/{stack}.yaml"), pointer, value, expected);
}
