//! The template as JSON: `!GetAtt A.Arn` becomes `{"Fn::GetAtt": "A.Arn"}`.

use serde_json::{Map, Value, json};
use serde_norway::Value as Yaml;

pub fn template() -> Value {
    plain(serde_norway::from_str(include_str!("../../template.yaml")).unwrap())
}

fn plain(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => json!(value),
        Yaml::Number(number) => serde_json::to_value(number).unwrap(),
        Yaml::String(text) => json!(text),
        Yaml::Sequence(values) => values.into_iter().map(plain).collect(),
        Yaml::Mapping(fields) => {
            let name = |name: Yaml| name.as_str().map_or_else(|| plain(name.clone()).to_string(), str::to_owned);
            Value::Object(fields.into_iter().map(|(key, value)| (name(key), plain(value))).collect::<Map<_, _>>())
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let tag = tag.trim_start_matches('!');
            let name = if ["Ref", "Condition"].contains(&tag) { tag.to_owned() } else { format!("Fn::{tag}") };
            json!({ name: plain(tagged.value) })
        }
    }
}
