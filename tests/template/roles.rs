//! Permissions of functions, schedules and releases in the template after SAM's transform.

use std::collections::BTreeSet;
use std::process::Command;

use local::python::Environment;
use local::settings::Settings;
use serde_json::{Value, json};

use crate::document::{ROOT, repository, templates};
use crate::resources::{of_type, resource, under};

/// `template.yaml` after the transform, with gradual releases.
fn transformed() -> Value {
    let python = Environment::ensure(&Settings::lasting(&repository()), "sam")
        .unwrap()
        .program("python");
    let script = repository().join("tests/template/transform.py");
    let output = Command::new(python)
        .arg(script)
        .arg(repository().join(ROOT))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

type Statements = BTreeSet<(String, String)>;

/// Each allowed action and its resource.
fn allowed(role: &Value) -> Statements {
    let mut statements = Vec::new();
    under(role, "Statement", &mut statements);
    let in_policies = statements
        .into_iter()
        .flat_map(|list| list.as_array().unwrap());
    let many = |value: &Value| {
        value
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![value.clone()])
    };
    in_policies
        .filter(|statement| statement["Effect"] == "Allow" && statement["Principal"].is_null())
        .flat_map(|statement| {
            let resources = many(&statement["Resource"]);
            let pairs = |action: Value| {
                let resources = resources.clone();
                resources
                    .into_iter()
                    .map(move |on| (action.as_str().unwrap().to_owned(), on.to_string()))
            };
            many(&statement["Action"])
                .into_iter()
                .flat_map(pairs)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The permissions that a function needs in addition to its network interfaces and database role.
fn needed(template: &Value, name: &str, function: &Value) -> Statements {
    let arn = |resource: &str| json!({ "Fn::GetAtt": format!("{resource}.Arn") }).to_string();
    let logs = resource(&function["LoggingConfig"]["LogGroup"]).unwrap();
    let mut needed: Statements = ["logs:CreateLogStream", "logs:PutLogEvents"]
        .map(|action| (action.to_owned(), arn(logs)))
        .into();
    for (_, mapping) in of_type(template, "AWS::Lambda::EventSourceMapping") {
        let alias = resource(&mapping["FunctionName"]).unwrap();
        if alias == name || alias.starts_with(&format!("{name}Alias")) {
            let queue = mapping["EventSourceArn"].to_string();
            let actions = [
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
            ];
            needed.extend(actions.map(|action| (action.to_owned(), queue.clone())));
        }
    }
    for (variable, target) in function["Environment"]["Variables"].as_object().unwrap() {
        if variable.ends_with("_DEAD_LETTER_QUEUE_URL") {
            let queue = arn(resource(target).unwrap());
            needed.insert(("sqs:GetQueueAttributes".to_owned(), queue));
        } else if variable.ends_with("_QUEUE_URL") {
            needed.insert(("sqs:SendMessage".to_owned(), arn(resource(target).unwrap())));
        } else if variable == "TELECOM_WEBHOOK_KEY_SECRET_ARN" {
            let key = json!({ "Ref": "WebhookKey" }).to_string();
            needed.insert(("secretsmanager:GetSecretValue".to_owned(), key));
        } else if variable == "TELECOM_EVENT_BUS_NAME" {
            needed.insert((
                "events:PutEvents".to_owned(),
                arn(resource(target).unwrap()),
            ));
        }
    }
    needed
}

#[test]
fn every_function_has_exactly_the_permissions_it_needs() {
    let template = transformed();
    let functions: Vec<_> = of_type(&template, "AWS::Lambda::Function").collect();
    assert!(functions.len() > 20, "{}", functions.len());
    for (name, function) in functions {
        let role = &template["Resources"][resource(&function["Role"]).unwrap()]["Properties"];
        assert_eq!(allowed(role), needed(&template, name, function), "{name}");
    }
}

#[test]
fn no_role_is_generated_or_shared_or_has_an_aws_policy() {
    let (source, template) = (templates().remove(ROOT).unwrap(), transformed());
    let roles: Vec<_> = of_type(&template, "AWS::IAM::Role").collect();
    for (name, role) in &roles {
        assert!(
            source["Resources"][name.as_str()].is_object(),
            "SAM generates {name}"
        );
        assert!(
            !role["ManagedPolicyArns"]
                .to_string()
                .contains(":aws:policy/"),
            "{name}: {role}"
        );
    }
    let users: BTreeSet<_> = of_type(&template, "AWS::Lambda::Function")
        .map(|(_, function)| function["Role"].to_string())
        .collect();
    assert_eq!(
        users.len(),
        of_type(&template, "AWS::Lambda::Function").count(),
        "functions share a role"
    );
}

#[test]
fn the_schedule_role_may_start_only_jobs() {
    let template = transformed();
    let started: BTreeSet<_> = of_type(&template, "AWS::Scheduler::Schedule")
        .map(|(_, schedule)| schedule["Target"]["Arn"].to_string())
        .collect();
    let allowed = allowed(&template["Resources"]["ScheduleRole"]);
    let invoked = allowed
        .iter()
        .filter(|(action, _)| action == "lambda:InvokeFunction")
        .map(|(_, on)| on.clone());
    assert_eq!(invoked.collect::<BTreeSet<_>>(), started);
    let dead_letters = json!({ "Fn::GetAtt": "ScheduleDeadLetterQueue.Arn" }).to_string();
    assert!(allowed.contains(&("sqs:SendMessage".to_owned(), dead_letters)));
    assert_eq!(allowed.len(), started.len() + 1, "{allowed:?}");
}
