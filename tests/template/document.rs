//! The templates as JSON: `!GetAtt A.Arn` becomes `{"Fn::GetAtt": "A.Arn"}`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use serde_norway::Value as Yaml;

/// `template.yaml` and the templates in `stacks/`, by path.
pub type Templates = BTreeMap<String, Value>;

pub const ROOT: &str = "template.yaml";

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

pub fn templates() -> Templates {
    let stacks = fs::read_dir(repository().join("stacks")).unwrap();
    let nested =
        stacks.map(|file| format!("stacks/{}", file.unwrap().file_name().to_str().unwrap()));
    nested
        .chain([ROOT.to_owned()])
        .map(|path| (path.clone(), read(&path)))
        .collect()
}

fn read(path: &str) -> Value {
    plain(serde_norway::from_str(&fs::read_to_string(repository().join(path)).unwrap()).unwrap())
}

/// Merges all templates into the one that the rules read. The resources of a nested template join
/// those of `template.yaml`, with the given values in place of its parameters. The outputs of a
/// nested template replace the references to them.
pub fn flat(templates: &Templates) -> Value {
    let mut flat = templates[ROOT].clone();
    let mut outputs = Map::new();
    for (name, resource) in templates[ROOT]["Resources"].as_object().unwrap() {
        if resource["Type"] != "AWS::CloudFormation::Stack" {
            continue;
        }
        let nested = &templates[resource["Properties"]["TemplateURL"].as_str().unwrap()];
        let given = resource["Properties"]["Parameters"].as_object().unwrap();
        for part in ["Resources", "Conditions"] {
            for (name, value) in nested[part].as_object().into_iter().flatten() {
                let before = flat[part]
                    .as_object_mut()
                    .unwrap()
                    .insert(name.clone(), with(value, given));
                assert!(
                    part == "Conditions" || before.is_none(),
                    "two resources are called {name}"
                );
            }
        }
        for (output, value) in nested["Outputs"].as_object().into_iter().flatten() {
            outputs.insert(
                format!("{name}.Outputs.{output}"),
                with(&value["Value"], given),
            );
        }
    }
    // An output may refer to an output of another stack, so repeat once per template.
    for _ in 0..templates.len() {
        flat = joined(&flat, &outputs);
    }
    flat
}

/// Replaces the parameters of a nested template by the given values.
fn with(value: &Value, given: &Map<String, Value>) -> Value {
    replaced(value, &|fields| {
        given.get(fields.get("Ref")?.as_str()?).cloned()
    })
}

fn joined(value: &Value, outputs: &Map<String, Value>) -> Value {
    replaced(value, &|fields| {
        outputs.get(fields.get("Fn::GetAtt")?.as_str()?).cloned()
    })
}

fn replaced(value: &Value, replace: &dyn Fn(&Map<String, Value>) -> Option<Value>) -> Value {
    match value {
        Value::Object(fields) => replace(fields).unwrap_or_else(|| {
            fields
                .iter()
                .map(|(name, value)| (name.clone(), replaced(value, replace)))
                .collect::<Map<_, _>>()
                .into()
        }),
        Value::Array(values) => values
            .iter()
            .map(|value| replaced(value, replace))
            .collect(),
        other => other.clone(),
    }
}

fn plain(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => json!(value),
        Yaml::Number(number) => serde_json::to_value(number).unwrap(),
        Yaml::String(text) => json!(text),
        Yaml::Sequence(values) => values.into_iter().map(plain).collect(),
        Yaml::Mapping(fields) => {
            let name = |name: Yaml| {
                name.as_str()
                    .map_or_else(|| plain(name.clone()).to_string(), str::to_owned)
            };
            Value::Object(
                fields
                    .into_iter()
                    .map(|(key, value)| (name(key), plain(value)))
                    .collect::<Map<_, _>>(),
            )
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let tag = tag.trim_start_matches('!');
            let name = if ["Ref", "Condition"].contains(&tag) {
                tag.to_owned()
            } else {
                format!("Fn::{tag}")
            };
            json!({ name: plain(tagged.value) })
        }
    }
}
