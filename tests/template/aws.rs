//! Rules on the infrastructure: permissions, network, database, data retention, secrets and
//! parameters.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::document::{ROOT, Templates, repository};
use crate::resources::{is_without_database, lambdas, of_type, resource, role, under};

pub const RULES: [fn(&Value) -> Vec<String>; 10] = [
    wildcards,
    trust,
    endpoints,
    admission,
    metrics,
    database,
    what_holds_data,
    migration_first,
    releases,
    operations,
];
pub const RULES_OF_FILES: [fn(&Templates) -> Vec<String>; 3] =
    [database_roles, secrets, parameters];

/// Allowed statements with a wildcard by their `Sid`, and the reason for each.
const WIDE: [(&str, &str); 7] = [
    (
        "NetworkInterfaces",
        "Lambda checks for these actions on all resources before it creates a function in a VPC",
    ),
    (
        "WatchAlarms",
        "the alarms of a release name the version of a function, which depends on the role",
    ),
    (
        "OwnAccount",
        "policies of endpoints: the condition restricts the account, the roles the resource",
    ),
    (
        "SignInToTheRegistry",
        "IAM takes no narrower resource for ecr:GetAuthorizationToken",
    ),
    (
        "AnswerCloudFormationAndFetchLayers",
        "objects in two buckets of AWS, whose names are not known in advance",
    ),
    (
        "LoadBalancerWrites",
        "the names of the access log's objects contain the date and a number",
    ),
    (
        "CloudFrontReads",
        "the names of the console's files contain a hash of their content",
    ),
];

/// Denials may contain wildcards.
fn wildcards(template: &Value) -> Vec<String> {
    let mut statements = Vec::new();
    under(template, "Statement", &mut statements);
    let statements = statements
        .into_iter()
        .flat_map(|list| list.as_array().into_iter().flatten());
    let excused = |statement: &Value| WIDE.iter().any(|(sid, _)| statement["Sid"] == *sid);
    let wide = statements
        .filter(|statement| statement["Effect"] != "Deny" && !excused(statement))
        .filter(|statement| {
            let mut values = Vec::new();
            under(statement, "Action", &mut values);
            under(statement, "Resource", &mut values);
            values.iter().any(|value| value.to_string().contains('*'))
        });
    wide.map(|statement| format!("a wildcard is allowed: {statement}"))
        .collect()
}

/// Services that assume a role without passing the account.
const WITHOUT_ACCOUNT: [&str; 1] = ["rds.amazonaws.com"];

/// A service is trusted for this account alone, by `aws:SourceAccount` or an ARN of this account.
fn trust(template: &Value) -> Vec<String> {
    let mut statements = Vec::new();
    under(template, "Statement", &mut statements);
    let statements = statements
        .into_iter()
        .flat_map(|list| list.as_array().into_iter().flatten());
    let of_services =
        statements.filter_map(|one| Some((one["Principal"]["Service"].as_str()?, one)));
    let bound = |one: &Value| {
        let equals = &one["Condition"]["StringEquals"];
        equals["aws:SourceAccount"] == json!({"Ref": "AWS::AccountId"})
            || equals["aws:SourceArn"]
                .to_string()
                .contains(":${AWS::AccountId}:")
    };
    let in_path = |one: &Value| {
        one["Resource"]
            .to_string()
            .contains("/AWSLogs/${AWS::AccountId}/")
    };
    of_services
        .filter(|(service, one)| !WITHOUT_ACCOUNT.contains(service) && !bound(one) && !in_path(one))
        .map(|(service, _)| format!("{service} is trusted without aws:SourceAccount"))
        .collect()
}

/// An endpoint serves only roles of this account, for the resources that its policy names.
fn endpoints(template: &Value) -> Vec<String> {
    let open = of_type(template, "AWS::EC2::VPCEndpoint").filter(|(_, endpoint)| {
        let statement = &endpoint["PolicyDocument"]["Statement"][0];
        statement["Condition"]["StringEquals"]["aws:PrincipalAccount"].is_null()
            && statement["Sid"] != "AnswerCloudFormationAndFetchLayers"
    });
    open.map(|(name, _)| format!("{name} carries requests of any account"))
        .collect()
}

/// Only the load balancer admits all addresses. The database admits none.
fn admission(template: &Value) -> Vec<String> {
    let groups = of_type(template, "AWS::EC2::SecurityGroup")
        .chain(of_type(template, "AWS::EC2::SecurityGroupIngress"));
    let mut found: Vec<String> = groups
        .filter(|(name, group)| {
            let admitted = group["SecurityGroupIngress"].to_string().contains("CidrIp")
                || !group["CidrIp"].is_null();
            admitted && *name != "LoadBalancerSecurityGroup"
        })
        .map(|(name, _)| format!("{name} admits addresses, not a group"))
        .collect();
    let open = of_type(template, "AWS::EC2::SecurityGroup")
        .filter(|(_, group)| group["SecurityGroupEgress"].is_null());
    found.extend(open.map(|(name, _)| format!("{name} lets everything out")));
    if template["Globals"]["Function"]["VpcConfig"]["SecurityGroupIds"].is_null() {
        found.push("functions are outside the VPC".to_owned());
    }
    found
}

/// The port of the metrics, which require no token.
const METRICS_PORT: i64 = 9_464;

/// Only the security group that the operator names reaches the metrics, so the load balancer passes
/// no request to them.
fn metrics(template: &Value) -> Vec<String> {
    let includes = |rule: &Value| {
        rule["IpProtocol"] == "-1"
            || (rule["FromPort"].as_i64()..=rule["ToPort"].as_i64()).contains(&Some(METRICS_PORT))
    };
    let rules = of_type(template, "AWS::EC2::SecurityGroupIngress");
    let open = rules.filter(|(_, rule)| {
        resource(&rule["GroupId"]) == Some("GrpcSecurityGroup")
            && includes(rule)
            && resource(&rule["SourceSecurityGroupId"]) != Some("GrpcMetricsSecurityGroupId")
    });
    let mut found: Vec<String> = open
        .map(|(name, _)| format!("{name} opens the port of the metrics"))
        .collect();
    let inline = &template["Resources"]["GrpcSecurityGroup"]["Properties"]["SecurityGroupIngress"];
    if !inline.is_null() {
        found.push("GrpcSecurityGroup has rules that are not resources".to_owned());
    }
    let targets = of_type(template, "AWS::ElasticLoadBalancingV2::TargetGroup");
    let reached = targets.filter(|(_, group)| group["Port"].as_i64() == Some(METRICS_PORT));
    found.extend(reached.map(|(name, _)| format!("{name} passes requests to the metrics")));
    found
}

/// Connections are encrypted, and functions log in by IAM.
fn database(template: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, cluster) in of_type(template, "AWS::RDS::DBCluster") {
        for field in [
            "StorageEncrypted",
            "EnableIAMDatabaseAuthentication",
            "ManageMasterUserPassword",
        ] {
            if cluster[field] != true {
                found.push(format!("{name} has no {field}"));
            }
        }
        let parameters = resource(&cluster["DBClusterParameterGroupName"]).unwrap_or_default();
        let parameters = &template["Resources"][parameters]["Properties"]["Parameters"];
        let wanted = [
            ("rds.force_ssl", "1"),
            ("log_parameter_max_length", "0"),
            ("log_parameter_max_length_on_error", "0"),
        ];
        let other = wanted
            .into_iter()
            .filter(|(parameter, value)| parameters[parameter] != *value);
        found.extend(
            other.map(|(parameter, value)| format!("{name} has no {parameter} of {value}")),
        );
    }
    let plain =
        of_type(template, "AWS::RDS::DBProxy").filter(|(_, proxy)| proxy["RequireTLS"] != true);
    found.extend(plain.map(|(name, _)| format!("{name} does not require TLS")));
    found
}

/// Resources that hold data survive the deletion of their stack.
fn what_holds_data(template: &Value) -> Vec<String> {
    let kept = [
        ("AWS::RDS::DBCluster", ["Snapshot", "Snapshot"]),
        ("AWS::S3::Bucket", ["RetainExceptOnCreate", "Retain"]),
        ("AWS::ECR::Repository", ["RetainExceptOnCreate", "Retain"]),
    ];
    let mut found = Vec::new();
    for (kind, [deletion, replacement]) in kept {
        for (name, _) in of_type(template, kind) {
            let resource = &template["Resources"][name];
            if resource["DeletionPolicy"] != deletion
                || resource["UpdateReplacePolicy"] != replacement
            {
                found.push(format!(
                    "{name} goes with its stack: no DeletionPolicy and UpdateReplacePolicy"
                ));
            }
        }
    }
    let protected = |value: &Value| *value == json!({"Ref": "DeletionProtection"});
    if template["Parameters"]["DeletionProtection"]["Default"] != "true" {
        found.push("DeletionProtection is not the default".to_owned());
    }
    let clusters = of_type(template, "AWS::RDS::DBCluster")
        .filter(|(_, cluster)| !protected(&cluster["DeletionProtection"]));
    found.extend(clusters.map(|(name, _)| format!("{name} has no DeletionProtection")));
    let balancers =
        of_type(template, "AWS::ElasticLoadBalancingV2::LoadBalancer").filter(|(_, balancer)| {
            let mut attributes = balancer["LoadBalancerAttributes"]
                .as_array()
                .into_iter()
                .flatten();
            !attributes
                .any(|one| one["Key"] == "deletion_protection.enabled" && protected(&one["Value"]))
        });
    found.extend(balancers.map(|(name, _)| format!("{name} has no deletion protection")));
    found
}

/// The schema is migrated before the code that needs it is deployed.
fn migration_first(template: &Value) -> Vec<String> {
    let migrates = template["Resources"]["Migration"]["Properties"]["SchemaVersion"]
        == json!({"Ref": "SchemaVersion"});
    let mut found: Vec<String> = (!migrates)
        .then(|| "no migration follows SchemaVersion".to_owned())
        .into_iter()
        .collect();
    let early = lambdas(template).filter(|(name, function)| {
        *name != "MigrateFunction"
            && !is_without_database(function)
            && template["Resources"][name.as_str()]["DependsOn"] != "Migration"
    });
    found.extend(early.map(|(name, _)| format!("{name} does not wait for the migration")));
    if template["Resources"]["Grpc"]["DependsOn"] != "Migration" {
        found.push("Grpc does not wait for the migration".to_owned());
    }
    found
}

/// A new version of a consumer first gets a tenth of the work, and an alarm stops the release.
fn releases(template: &Value) -> Vec<String> {
    let consumers = lambdas(template)
        .filter(|(_, function)| function["Events"].to_string().contains("\"SQS\""));
    let sudden = consumers.filter(|(_, function)| {
        let preference = &function["DeploymentPreference"];
        let mut alarms = Vec::new();
        under(&preference["Alarms"], "Ref", &mut alarms);
        let alarms = alarms
            .into_iter()
            .filter_map(|name| template["Resources"].get(name.as_str()?));
        let watched = alarms
            .into_iter()
            .any(|alarm| alarm["Properties"].to_string().contains(".Version.Version"));
        function["AutoPublishAlias"].is_null()
            || preference["Type"] != "Canary10Percent5Minutes"
            || !watched
    });
    sudden
        .map(|(name, _)| format!("{name} is replaced at once"))
        .collect()
}

/// The meaning of every alarm and the response to it are documented.
fn operations(template: &Value) -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/OPERATIONS.md")).unwrap();
    let alarms =
        of_type(template, "AWS::CloudWatch::Alarm").map(|(name, _)| name.trim_end_matches("Alarm"));
    alarms
        .filter(|name| !page.contains(&format!("`{name}`")))
        .map(|name| format!("docs/OPERATIONS.md does not explain {name}"))
        .collect()
}

/// A function may connect as the role in its database URL, and as no other.
fn database_roles(templates: &Templates) -> Vec<String> {
    let root = &templates[ROOT];
    let by_default = &root["Globals"]["Function"]["Environment"]["Variables"]["DATABASE_URL"];
    let mut found = Vec::new();
    for (name, function) in lambdas(root).filter(|(_, function)| !is_without_database(function)) {
        let url = &function["Environment"]["Variables"]["DATABASE_URL"];
        let url = if url.is_null() { by_default } else { url };
        let name_in_database = url["Fn::GetAtt"].as_str().and_then(|output| {
            output
                .strip_prefix("Database.Outputs.")?
                .strip_suffix("Url")
        });
        let policy = format!(
            "Database.Outputs.ConnectAs{}Arn",
            name_in_database.unwrap_or("NoRole")
        );
        let wanted = json!({"Fn::GetAtt": policy});
        let policies = role(root, function)
            .and_then(|role| role["ManagedPolicyArns"].as_array())
            .into_iter()
            .flatten();
        let given: Vec<&Value> = policies
            .filter(|policy| policy.to_string().contains("ConnectAs"))
            .collect();
        if given != [&wanted] {
            found.push(format!(
                "{name} connects as {name_in_database:?} and may connect as {given:?}"
            ));
        }
    }
    found
}

/// No parameter, output or environment contains a secret. Functions get its ARN.
fn secrets(templates: &Templates) -> Vec<String> {
    let mut found = Vec::new();
    for (path, template) in templates {
        for (name, parameter) in template["Parameters"].as_object().into_iter().flatten() {
            let suspicious = ["Password", "Secret", "Token", "DatabaseUrl"]
                .iter()
                .any(|word| name.contains(word));
            let without_password = path != ROOT && name == "DatabaseUrl";
            if !parameter["NoEcho"].is_null()
                || (suspicious && !name.ends_with("Arn") && !without_password)
            {
                found.push(format!("{path}: the parameter {name} is a secret"));
            }
        }
        let text = template.to_string();
        if text.contains("{{resolve:") {
            found.push(format!("{path}: a secret is resolved into the template"));
        }
        let passwords = text
            .split("://")
            .skip(1)
            .filter_map(|after| after.split(['/', '"', ' ']).next()?.split_once('@'));
        found.extend(
            passwords
                .filter(|(user, _)| user.contains(':'))
                .map(|_| format!("{path}: a URL holds a secret")),
        );
    }
    found
}

/// All parameters are documented, and a nested template is given exactly its parameters.
fn parameters(templates: &Templates) -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/DEPLOY.md")).unwrap();
    let root = templates[ROOT]["Parameters"].as_object().unwrap();
    let unexplained = root
        .keys()
        .filter(|name| !page.contains(&format!("`{name}`")));
    let mut found: Vec<String> = unexplained
        .map(|name| format!("docs/DEPLOY.md does not explain the parameter {name}"))
        .collect();
    for (stack, nested) in of_type(&templates[ROOT], "AWS::CloudFormation::Stack") {
        let names = |value: &Value| -> BTreeSet<String> {
            value
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect()
        };
        let Some(template) = nested["TemplateURL"]
            .as_str()
            .and_then(|path| templates.get(path))
        else {
            found.push(format!("{stack} has no template"));
            continue;
        };
        let (taken, given) = (names(&template["Parameters"]), names(&nested["Parameters"]));
        found.extend(
            taken
                .symmetric_difference(&given)
                .map(|name| format!("{stack}: {name} is not given or not taken")),
        );
    }
    found
}
