//! Rules on queues, functions, paths and schedules. Each rule returns its violations as text.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use shared::domain::line_rate::LineRate;
use shared::domain::server_status::OfflinePolicy;
use shared::http::openapi;

use crate::document::repository;
use crate::resources::{
    events, is_without_database, lambdas, number, of_type, package, resource, role, timeout, under,
    variables,
};

/// Connections of the smallest database that the parameters allow (at least 378 for two capacity
/// units), minus those that people and a deployment need.
const CONNECTIONS: i64 = 300;

pub const RULES: [fn(&Value) -> Vec<String>; 12] = [
    queues,
    alarms,
    consumers,
    permissions,
    functions,
    apis,
    transports,
    silence,
    line_rate,
    connections,
    schedules,
    logs,
];

/// Variables of the HTTP functions that the gRPC server does not need. Web pages do not call it,
/// and it is deployed to AWS only, where its default is right.
const OF_HTTP_ALONE: [&str; 2] = ["TELECOM_CORS_ALLOWED_ORIGINS", "TELECOM_WEBHOOK_RECEIVERS"];

/// The queues that receive dead letters of other queues or of schedules.
fn dead_letter_queues(template: &Value) -> BTreeSet<&str> {
    let mut targets = Vec::new();
    under(template, "deadLetterTargetArn", &mut targets);
    under(template, "DeadLetterConfig", &mut targets);
    targets
        .into_iter()
        .filter_map(|target| resource(target).or_else(|| resource(&target["Arn"])))
        .collect()
}

fn queues(template: &Value) -> Vec<String> {
    let dead = dead_letter_queues(template);
    let is_encrypting = |policy: &Value| {
        let statements = &policy["PolicyDocument"]["Statement"];
        statements[0]["Sid"] == "DenyUnencryptedTransport"
    };
    let denied: Vec<&str> = of_type(template, "AWS::SQS::QueuePolicy")
        .filter(|(_, policy)| is_encrypting(policy))
        .flat_map(|(_, policy)| policy["Queues"].as_array().into_iter().flatten())
        .filter_map(resource)
        .collect();
    let mut found = Vec::new();
    for (name, queue) in of_type(template, "AWS::SQS::Queue") {
        if !denied.contains(&name.as_str()) {
            found.push(format!("{name} may be used over plain HTTP"));
        }
        if queue["SqsManagedSseEnabled"] != true {
            found.push(format!("{name} is not encrypted"));
        }
        if dead.contains(name.as_str()) {
            continue;
        }
        let target = resource(&queue["RedrivePolicy"]["deadLetterTargetArn"]);
        let Some(target) = target else {
            found.push(format!("{name} has no dead-letter queue"));
            continue;
        };
        let retention = |queue: &Value| queue["MessageRetentionPeriod"].as_i64().unwrap_or(345_600);
        let dead_letters = &template["Resources"][target]["Properties"];
        if retention(dead_letters) <= retention(queue) {
            found.push(format!("{target} keeps messages no longer than {name}"));
        }
        if dead_letters["RedriveAllowPolicy"].is_null() {
            found.push(format!("{target} takes dead letters of any queue"));
        }
    }
    found
}

fn alarms(template: &Value) -> Vec<String> {
    let dead = dead_letter_queues(template);
    let watched: BTreeSet<(String, &str)> = of_type(template, "AWS::CloudWatch::Alarm")
        .filter_map(|(_, alarm)| {
            Some((
                resource(&alarm["Dimensions"][0]["Value"])?.to_owned(),
                alarm["MetricName"].as_str()?,
            ))
        })
        .collect();
    let unwatched = of_type(template, "AWS::SQS::Queue").filter_map(|(name, _)| {
        let metric = if dead.contains(name.as_str()) {
            "ApproximateNumberOfMessagesVisible"
        } else {
            "ApproximateAgeOfOldestMessage"
        };
        (!watched.contains(&(name.clone(), metric)))
            .then(|| format!("{name} has no alarm on {metric}"))
    });
    unwatched.chain(unwatched_jobs(template)).collect()
}

/// A job that is not started emits no metric, so its alarm must treat missing data as breaching.
fn unwatched_jobs(template: &Value) -> impl Iterator<Item = String> {
    let watched = |job: &str| {
        of_type(template, "AWS::CloudWatch::Alarm").any(|(_, alarm)| {
            let of_job = resource(&alarm["Dimensions"][0]["Value"]) == Some(job)
                && alarm["MetricName"] == "JobsCompleted";
            of_job
                && alarm["ComparisonOperator"] == "LessThanThreshold"
                && alarm["TreatMissingData"] == "breaching"
        })
    };
    let jobs =
        lambdas(template).filter(|(_, function)| events(function, "ScheduleV2").next().is_some());
    jobs.filter(move |(job, _)| !watched(job))
        .map(|(job, _)| format!("{job} may stop unnoticed: no alarm on JobsCompleted"))
}

fn consumers(template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, function) in lambdas(template) {
        for event in events(function, "SQS") {
            if event["FunctionResponseTypes"] != serde_json::json!(["ReportBatchItemFailures"]) {
                found.push(format!("{name} does not return ReportBatchItemFailures"));
            }
            if event["BatchSize"].as_i64() > Some(10)
                && event["MaximumBatchingWindowInSeconds"].as_i64() < Some(1)
            {
                found.push(format!(
                    "{name} has batches of more than 10 without a window"
                ));
            }
            let queue = resource(&event["Queue"]).unwrap_or_default();
            let properties = &template["Resources"][queue]["Properties"];
            let key = &properties["VisibilityTimeout"]["Fn::FindInMap"][2];
            let visibility =
                template["Mappings"]["Retry"]["aws"][key.as_str().unwrap_or_default()].as_i64();
            if visibility < timeout(template, function).map(|timeout| timeout * 6) {
                found.push(format!(
                    "{queue}: a visibility of {visibility:?} s is less than six timeouts of {name}"
                ));
            }
        }
    }
    found
}

/// A function that has the address of a queue or a bus may send to it, or, if it is a dead-letter
/// queue, count its messages.
fn permissions(template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, function) in lambdas(template) {
        let Some(role) = role(template, function) else {
            found.push(format!("{name} has no role of its own"));
            continue;
        };
        let mut statements = Vec::new();
        under(role, "Statement", &mut statements);
        let statements: Vec<&Value> = statements
            .into_iter()
            .flat_map(|list| list.as_array().into_iter().flatten())
            .collect();
        for (variable, target) in variables(function) {
            let action = match variable.as_str() {
                "TELECOM_EVENT_BUS_NAME" => "events:PutEvents",
                variable if variable.ends_with("_DEAD_LETTER_QUEUE_URL") => {
                    "sqs:GetQueueAttributes"
                }
                variable if variable.ends_with("_QUEUE_URL") => "sqs:SendMessage",
                _ => continue,
            };
            let allows = |one: &&Value| {
                one["Action"] == action && resource(&one["Resource"]) == resource(target)
            };
            if !statements.iter().any(allows) {
                found.push(format!("{name} has {variable} but may not {action} there"));
            }
        }
    }
    found
}

fn functions(template: &Value) -> Vec<String> {
    let root = repository().join("functions");
    let binaries = ["api", "cron", "node", "queue"]
        .into_iter()
        .flat_map(|kind| fs::read_dir(root.join(kind).join("src/bin")).unwrap());
    let mut written: BTreeSet<String> = binaries
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    written.extend(["migrate".to_owned(), "show-console".to_owned()]);
    let deployed: BTreeSet<String> = lambdas(template)
        .filter_map(|(_, function)| Some(package(function)?.to_owned()))
        .collect();
    let mut found: Vec<String> = written
        .difference(&deployed)
        .map(|name| format!("functions/*/{name} is not in the template"))
        .collect();
    found.extend(
        deployed
            .difference(&written)
            .map(|name| format!("there is no functions/*/{name}")),
    );
    if template["Globals"]["Function"]["MemorySize"].is_null() {
        found.push("MemorySize is not stated".to_owned());
    }
    found.extend(
        lambdas(template)
            .filter(|(_, function)| timeout(template, function).is_none())
            .map(|(name, _)| format!("{name} has no Timeout")),
    );
    found
}

/// A load balancer refuses a rule whose priority another rule of the listener has.
fn priorities(template: &Value) -> Vec<String> {
    let place = |rule: &Value| format!("{} {}", rule["ListenerArn"], rule["Priority"]);
    let mut taken = BTreeSet::new();
    of_type(template, "AWS::ElasticLoadBalancingV2::ListenerRule")
        .filter(|(_, rule)| !taken.insert(place(rule)))
        .map(|(name, _)| format!("{name} has the priority of another rule"))
        .collect()
}

/// Every path of the OpenAPI document, of the documentation and of the console has a rule, a target
/// group and a permission.
fn apis(template: &Value) -> Vec<String> {
    let document = openapi::document();
    let mut wanted: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(|path| path.replace("{id}", "*"))
        .collect();
    wanted.extend(["/docs", "/v1/openapi.json", "/console", "/console/*"].map(str::to_owned));
    let mut found = priorities(template);
    for (name, rule) in of_type(template, "AWS::ElasticLoadBalancingV2::ListenerRule") {
        if name.starts_with("Grpc") {
            continue;
        }
        for path in rule["Conditions"][0]["PathPatternConfig"]["Values"]
            .as_array()
            .into_iter()
            .flatten()
        {
            wanted.remove(path.as_str().unwrap_or_default());
        }
        let targets = resource(&rule["Actions"][0]["TargetGroupArn"]).unwrap_or_default();
        let group = &template["Resources"][targets]["Properties"];
        if !group["TargetGroupAttributes"]
            .to_string()
            .contains("lambda.multi_value_headers.enabled")
        {
            found.push(format!("{targets} has no lambda.multi_value_headers"));
        }
        let function = resource(&group["Targets"][0]["Id"]);
        let permitted =
            |(_, permission): (&String, &Value)| resource(&permission["FunctionName"]) == function;
        if function.is_none() || !of_type(template, "AWS::Lambda::Permission").any(permitted) {
            found.push(format!(
                "{name} leads to a function that the load balancer may not invoke"
            ));
        }
    }
    found.extend(
        wanted
            .into_iter()
            .map(|path| format!("no rule leads to {path}")),
    );
    found
}

/// The gRPC server has the same variables as the HTTP function of an operation, since it serves the
/// same operation.
fn transports(template: &Value) -> Vec<String> {
    let container = &template["Resources"]["Task"]["Properties"]["ContainerDefinitions"][0];
    let value_of = |variable: &str| {
        let mut variables = container["Environment"].as_array().into_iter().flatten();
        variables
            .find(|one| one["Name"] == variable)
            .map(|one| &one["Value"])
    };
    let folder = repository().join("functions/api/src/bin");
    let is_operation = |function: &Value| {
        !is_without_database(function)
            && package(function)
                .is_some_and(|package| folder.join(format!("{package}.rs")).is_file())
    };
    let mut found = Vec::new();
    for (name, function) in lambdas(template).filter(|(_, function)| is_operation(function)) {
        let of_both = variables(function).filter(|(variable, _)| {
            variable.starts_with("TELECOM_") && !OF_HTTP_ALONE.contains(&variable.as_str())
        });
        let other = of_both.filter(|(variable, value)| value_of(variable) != Some(value));
        found.extend(other.map(|(variable, _)| {
            format!("{variable} of the gRPC server differs from that of {name}")
        }));
    }
    found
}

/// Functions that evaluate the silence of servers have the offline timeout of the deployment.
fn silence(template: &Value) -> Vec<String> {
    const TIMEOUT: &str = "TELECOM_NODE_OFFLINE_TIMEOUT_SECONDS";
    let services = repository().join("shared/src/services");
    let files = ["cron", "manage"]
        .into_iter()
        .flat_map(|kind| fs::read_dir(services.join(kind)).unwrap());
    let evaluating = files.map(|entry| entry.unwrap().path()).filter(|path| {
        path.is_file()
            && fs::read_to_string(path)
                .unwrap()
                .contains("config.node_health_check")
    });
    let parameter = serde_json::json!({"Ref": "NodeOfflineTimeoutSeconds"});
    let without_timeout = evaluating
        .map(|path| {
            path.file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .replace('_', "-")
        })
        .filter(|name| {
            let mut built =
                lambdas(template).filter(|(_, function)| package(function) == Some(name));
            !built.any(|(_, function)| function["Environment"]["Variables"][TIMEOUT] == parameter)
        });
    let (least, most) = OfflinePolicy::TIMEOUT_SECONDS.into_inner();
    let declared = &template["Parameters"]["NodeOfflineTimeoutSeconds"];
    let accepted = declared["MinValue"] == least && declared["MaxValue"] == most;
    let range = (!accepted)
        .then(|| format!("NodeOfflineTimeoutSeconds is not {least} to {most}, as {TIMEOUT} is"));
    without_timeout
        .map(|name| format!("{name} lacks {TIMEOUT}"))
        .chain(range)
        .collect()
}

/// Reports are compared with the line rate of the deployment, in the range that the code accepts.
fn line_rate(template: &Value) -> Vec<String> {
    const VARIABLE: &str = "TELECOM_NODE_LINE_RATE_MBIT_PER_SECOND";
    let parameter = serde_json::json!({"Ref": "NodeLineRateMbitPerSecond"});
    let has_it = |name: &str| {
        lambdas(template).any(|(_, function)| {
            package(function) == Some(name)
                && function["Environment"]["Variables"][VARIABLE] == parameter
        })
    };
    let missing = ["ingest-usage-report", "ingest-node-usage"]
        .into_iter()
        .filter(|name| !has_it(name))
        .map(|name| format!("{name} lacks {VARIABLE}"));
    let (least, most) = LineRate::MBIT_PER_SECOND.into_inner();
    let declared = &template["Parameters"]["NodeLineRateMbitPerSecond"];
    let accepted = declared["MinValue"] == least && declared["MaxValue"] == most;
    let range = (!accepted).then(|| format!("NodeLineRateMbitPerSecond is not {least} to {most}"));
    missing.chain(range).collect()
}

/// Each concurrent execution of a function holds a connection, and each gRPC server a whole pool.
fn connections(template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut all = of_grpc_servers(template).unwrap_or_default();
    if all == 0 {
        found.push("there is no bound on the gRPC servers' connections".to_owned());
    }
    for (name, function) in lambdas(template).filter(|(_, function)| !is_without_database(function))
    {
        let of_queue = events(function, "SQS")
            .filter_map(|event| event["ScalingConfig"]["MaximumConcurrency"].as_i64())
            .max();
        // One run at a time, and one that is late.
        let of_schedule = events(function, "ScheduleV2").next().map(|_| 2);
        match of_queue
            .or(of_schedule)
            .or(number(template, &function["ReservedConcurrentExecutions"]))
        {
            Some(copies) => all += copies,
            None => found.push(format!("{name} has no bound on its concurrency")),
        }
    }
    if all > CONNECTIONS {
        found.push(format!("{all} connections are more than {CONNECTIONS}"));
    }
    found
}

/// During a deployment old and new servers run at the same time.
fn of_grpc_servers(template: &Value) -> Option<i64> {
    let resources = &template["Resources"];
    let tasks = number(
        template,
        &resources["ScalableTasks"]["Properties"]["MaxCapacity"],
    )?;
    let percent =
        resources["Service"]["Properties"]["DeploymentConfiguration"]["MaximumPercent"].as_i64()?;
    let container = &resources["Task"]["Properties"]["ContainerDefinitions"][0];
    let mut variables = container["Environment"].as_array()?.iter();
    let pool = variables.find(|variable| variable["Name"] == "DATABASE_MAX_CONNECTIONS")?;
    Some(tasks * percent / 100 * number(template, &pool["Value"])?)
}

fn schedules(template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, function) in lambdas(template) {
        for event in events(function, "ScheduleV2") {
            let missing = ["RetryPolicy", "DeadLetterConfig"]
                .into_iter()
                .filter(|field| event[field].is_null());
            found.extend(missing.map(|field| format!("the schedule of {name} has no {field}")));
            if function["EventInvokeConfig"].is_null() {
                found.push(format!("{name} has no EventInvokeConfig"));
            }
        }
    }
    found
}

fn logs(template: &Value) -> Vec<String> {
    let groups = of_type(template, "AWS::Logs::LogGroup");
    let mut found: Vec<String> = groups
        .filter(|(_, group)| group["RetentionInDays"].is_null())
        .map(|(name, _)| format!("{name} has no RetentionInDays"))
        .collect();
    let logged = |function: &Value| {
        resource(&function["LoggingConfig"]["LogGroup"])
            .is_some_and(|group| template["Resources"][group].is_object())
    };
    found.extend(
        lambdas(template)
            .filter(|(_, function)| !logged(function))
            .map(|(name, _)| format!("{name} has no log group of its own")),
    );
    found
}
