//! Combinations of parameters that CloudFormation refuses by the template's `Rules` before it
//! creates anything.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::Value;

use crate::document::{ROOT, templates};

/// Evaluates a condition of a rule with the given parameters.
fn holds(condition: &Value, given: &BTreeMap<String, String>) -> bool {
    let (function, argument) = condition.as_object().unwrap().iter().next().unwrap();
    let all = || argument.as_array().unwrap().iter();
    let text = |value: &Value| {
        value["Ref"].as_str().map_or_else(
            || value.as_str().unwrap().to_owned(),
            |name| given[name].clone(),
        )
    };
    match function.as_str() {
        "Fn::Equals" => text(&argument[0]) == text(&argument[1]),
        "Fn::Not" => !holds(&argument[0], given),
        "Fn::And" => all().all(|condition| holds(condition, given)),
        "Fn::Or" => all().any(|condition| holds(condition, given)),
        other => panic!("unknown function {other} in a rule"),
    }
}

/// Messages of the rules that a set of parameters violates. Other parameters have their default.
fn refusals(parameters: &[(&str, &str)]) -> Vec<String> {
    let template = &templates()[ROOT];
    let declared = template["Parameters"].as_object().unwrap().iter();
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let mut given: BTreeMap<String, String> = declared
        .map(|(name, parameter)| (name.clone(), text(&parameter["Default"])))
        .collect();
    for (name, value) in parameters {
        assert!(
            given
                .insert((*name).to_owned(), (*value).to_owned())
                .is_some(),
            "there is no parameter {name}"
        );
    }
    let rules = template["Rules"].as_object().unwrap().values();
    let applicable = rules.filter(|rule| {
        rule.get("RuleCondition")
            .is_none_or(|condition| holds(condition, &given))
    });
    let assertions = applicable.flat_map(|rule| rule["Assertions"].as_array().unwrap());
    assertions
        .filter(|one| !holds(&one["Assert"], &given))
        .map(|one| text(&one["AssertDescription"]))
        .collect()
}

const CERTIFICATE: (&str, &str) = ("CertificateArn", "arn:c");
const KEYS: (&str, &str) = ("AuthJwks", "{}");
const KEYS_URL: (&str, &str) = ("AuthJwksUrl", "https://i/jwks");
const HOST: (&str, &str) = ("DatabaseHost", "db");
const SECRET: (&str, &str) = ("DatabaseSecretArn", "arn:s");
const VPC: (&str, &str) = ("VpcId", "vpc-1");

#[rstest]
#[case::only_new_resources(&[CERTIFICATE, KEYS])]
#[case::keys_over_a_nat_gateway(&[CERTIFICATE, KEYS_URL, ("NatGateway", "true")])]
#[case::an_existing_vpc(&[CERTIFICATE, KEYS_URL, VPC, ("PrivateSubnetIds", "a,b"),
    ("PublicSubnetIds", "c,d")])]
#[case::an_existing_database(&[CERTIFICATE, KEYS, HOST, SECRET])]
#[case::the_console_at_cloudfront(&[CERTIFICATE, KEYS, ("ConsoleClientId", "console"),
    ("ConsoleApiUrl", "https://api"), ("ConsoleDomainName", "console.test"),
    ("ConsoleCertificateArn", "arn:u")])]
#[case::an_emulator(&[("Deployment", "local"), KEYS, HOST, SECRET, ("DatabaseSslMode", "disable")])]
#[test]
fn valid_parameter_combinations_are_accepted(#[case] parameters: &[(&str, &str)]) {
    assert_eq!(refusals(parameters), Vec::<String>::new());
}

#[rstest]
#[case::no_certificate(&[KEYS], "give CertificateArn")]
#[case::an_unencrypted_database_connection(&[CERTIFICATE, KEYS, HOST, SECRET, ("DatabaseSslMode",
    "disable")], "must be encrypted")]
#[case::no_keys(&[CERTIFICATE], "Give AuthJwks or AuthJwksUrl")]
#[case::two_sources_of_keys(&[CERTIFICATE, KEYS, KEYS_URL, ("NatGateway", "true")],
    "Give AuthJwks or AuthJwksUrl")]
#[case::unreachable_keys(&[CERTIFICATE, KEYS_URL], "do not reach AuthJwksUrl")]
#[case::an_unreachable_collector(&[CERTIFICATE, KEYS, ("OtlpEndpoint", "https://collector.test")],
    "do not reach OtlpEndpoint")]
#[case::a_vpc_without_subnets(&[CERTIFICATE, KEYS, VPC, ("PrivateSubnetIds", "a,b")],
    "PublicSubnetIds of VpcId")]
#[case::a_database_without_a_login(&[CERTIFICATE, KEYS, HOST], "both or neither")]
#[case::a_login_without_a_database(&[CERTIFICATE, KEYS, SECRET], "both or neither")]
#[case::a_console_without_a_client(&[CERTIFICATE, KEYS, ("ConsoleApiUrl", "https://api")],
    "give ConsoleClientId too")]
#[case::a_domain_name_without_a_certificate(&[CERTIFICATE, KEYS, ("ConsoleClientId", "console"),
    ("ConsoleApiUrl", "https://api"), ("ConsoleDomainName", "console.test")], "or neither")]
#[case::two_images(&[CERTIFICATE, KEYS, ("GrpcImageTag", "1"), ("GrpcImageUri", "i:1")],
    "not both")]
#[test]
fn invalid_parameter_combinations_are_refused(
    #[case] parameters: &[(&str, &str)],
    #[case] expected: &str,
) {
    let found = refusals(parameters);
    assert!(
        found.len() == 1 && found.iter().all(|refusal| refusal.contains(expected)),
        "{found:?}"
    );
}
