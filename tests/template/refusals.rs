//! Parameters that do not go together, which CloudFormation refuses by the template's `Rules`
//! before anything is made.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::Value;

use crate::document::{ROOT, templates};

/// What a rule's functions come to, given the parameters' values.
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
        other => panic!("rules know no {other}"),
    }
}

/// What is said of a set of parameters; those not named have their default.
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
    let concern = rules.filter(|rule| {
        rule.get("RuleCondition")
            .is_none_or(|condition| holds(condition, &given))
    });
    let assertions = concern.flat_map(|rule| rule["Assertions"].as_array().unwrap());
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
#[case::all_of_its_own(&[CERTIFICATE, KEYS])]
#[case::keys_over_a_nat_gateway(&[CERTIFICATE, KEYS_URL, ("NatGateway", "true")])]
#[case::an_existing_vpc(&[CERTIFICATE, KEYS_URL, VPC, ("PrivateSubnetIds", "a,b"),
    ("PublicSubnetIds", "c,d")])]
#[case::an_existing_database(&[CERTIFICATE, KEYS, HOST, SECRET])]
#[case::an_emulator(&[("Deployment", "local"), KEYS, HOST, SECRET, ("DatabaseSslMode", "disable")])]
#[test]
fn parameters_that_go_together_are_taken(#[case] parameters: &[(&str, &str)]) {
    assert_eq!(refusals(parameters), Vec::<String>::new());
}

#[rstest]
#[case::no_certificate(&[KEYS], "give CertificateArn")]
#[case::a_database_in_the_clear(&[CERTIFICATE, KEYS, HOST, SECRET, ("DatabaseSslMode",
    "disable")], "must be encrypted")]
#[case::no_keys(&[CERTIFICATE], "Give AuthJwks or AuthJwksUrl")]
#[case::keys_twice(&[CERTIFICATE, KEYS, KEYS_URL, ("NatGateway", "true")],
    "Give AuthJwks or AuthJwksUrl")]
#[case::keys_out_of_reach(&[CERTIFICATE, KEYS_URL], "do not reach AuthJwksUrl")]
#[case::a_vpc_without_subnets(&[CERTIFICATE, KEYS, VPC, ("PrivateSubnetIds", "a,b")],
    "PublicSubnetIds of VpcId")]
#[case::a_database_without_a_login(&[CERTIFICATE, KEYS, HOST], "both or neither")]
#[case::a_login_without_a_database(&[CERTIFICATE, KEYS, SECRET], "both or neither")]
#[case::two_images(&[CERTIFICATE, KEYS, ("GrpcImageTag", "1"), ("GrpcImageUri", "i:1")],
    "not both")]
#[test]
fn parameters_that_do_not_go_together_are_refused(
    #[case] parameters: &[(&str, &str)],
    #[case] said: &str,
) {
    let found = refusals(parameters);
    assert!(
        found.len() == 1 && found.iter().all(|refusal| refusal.contains(said)),
        "{found:?}"
    );
}
