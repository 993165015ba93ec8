//! Finds resources of a template and what they refer to.

use serde_json::{Map, Value};

/// The resources of a type as name and properties.
pub fn of_type<'t>(
    template: &'t Value,
    kind: &'t str,
) -> impl Iterator<Item = (&'t String, &'t Value)> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources
        .filter(move |(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name, &resource["Properties"]))
}

pub fn lambdas(template: &Value) -> impl Iterator<Item = (&String, &Value)> {
    of_type(template, "AWS::Serverless::Function")
}

/// The resource to which `!GetAtt Name.Attribute` or `!Ref Name` refers. Of `!If`, that of the case
/// in which the condition holds.
pub fn resource(reference: &Value) -> Option<&str> {
    if let Some(case) = reference["Fn::If"].get(1) {
        return resource(case);
    }
    let name = reference["Fn::GetAtt"]
        .as_str()
        .or_else(|| reference["Ref"].as_str())?;
    name.split('.').next()
}

/// All values under a name, at any depth.
pub fn under<'t>(value: &'t Value, name: &str, found: &mut Vec<&'t Value>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                if field == name {
                    found.push(value);
                }
                under(value, name, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| under(value, name, found)),
        _ => {}
    }
}

pub fn events<'t>(function: &'t Value, kind: &'t str) -> impl Iterator<Item = &'t Value> {
    let events = function["Events"]
        .as_object()
        .into_iter()
        .flat_map(Map::values);
    events
        .filter(move |event| event["Type"] == kind)
        .map(|event| &event["Properties"])
}

pub fn timeout(template: &Value, function: &Value) -> Option<i64> {
    function["Timeout"]
        .as_i64()
        .or_else(|| template["Globals"]["Function"]["Timeout"].as_i64())
}

/// The properties of the role that a function runs as.
pub fn role<'t>(template: &'t Value, function: &Value) -> Option<&'t Value> {
    resource(&function["Role"]).map(|name| &template["Resources"][name]["Properties"])
}

/// The folder that a function is built from.
pub fn package(function: &Value) -> Option<&str> {
    function["CodeUri"]
        .as_str()?
        .trim_end_matches('/')
        .rsplit('/')
        .next()
}

pub fn variables(function: &Value) -> impl Iterator<Item = (&String, &Value)> {
    function["Environment"]["Variables"]
        .as_object()
        .into_iter()
        .flatten()
}

/// A number, or the default of the parameter that it names.
pub fn number(template: &Value, value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| template["Parameters"][resource(value)?]["Default"].as_i64())
}

pub fn is_without_database(function: &Value) -> bool {
    package(function)
        .is_some_and(|package| ["show-api-documentation", "show-console"].contains(&package))
}
