//! The API's documentation as a page, written from the OpenAPI document. The page contains no
//! script and loads nothing.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value returns null for a missing field"
)]

use std::fmt::Write as _;

use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use serde_json::Value;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem \
    auto;padding:0 1rem;color:#1b1f24}\
h2{margin-top:3rem;border-bottom:1px solid \
    #d0d7de}code,.path{font-family:ui-monospace,monospace;font-size:.9em}\
.path{font-weight:600}.tag{font-size:.8em;background:#eaeef2;border-radius:1em;padding:.1em \
    .7em;margin-left:.5em}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 \
    1rem}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;\
border-bottom:1px solid #eaeef2}th{font-weight:600}nav li{list-style:none}a{color:#0550ae}\
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}a{color:#6cb6ff}\
.tag{background:#30363d}\
h2,th,td{border-color:#30363d}}\
td p,td ul,td ol{margin:0}";

/// Maximum number of values that the page lists.
const MAX_WORDS: usize = 20;

/// The page for an OpenAPI document.
#[must_use]
pub fn render(document: &Value) -> String {
    let mut page = String::new();
    let title = escape(&document["info"]["title"]);
    let about = markdown(&document["info"]["description"]);
    let version = escape(&document["info"]["version"]);
    let empty = serde_json::Map::new();
    let paths = document["paths"].as_object().unwrap_or(&empty);
    let schemas = document["components"]["schemas"]
        .as_object()
        .unwrap_or(&empty);
    let all = || {
        paths.iter().flat_map(|(path, item)| {
            item.as_object()
                .into_iter()
                .flatten()
                .map(move |found| (path, found))
        })
    };
    let links: String = all().map(|(path, (_, found))| link(path, found)).collect();
    let operations: String = all()
        .map(|(path, (method, found))| operation(method, path, found))
        .collect();
    let types: String = schemas
        .iter()
        .map(|(name, schema)| schema_section(name, schema))
        .collect();
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n\
         <title>{title} API</title>\n<style>{STYLE}</style>\n<h1>{title} API \
             <small>{version}</small></h1>\n{about}\
         <p>The same for programs: <a \
             href=\"v1/openapi.json\">/v1/openapi.json</a></p>\n<nav><ul>{links}</ul></nav>\n\
         {operations}<h2>Types</h2>\n{types}</html>\n"
    );
    page
}

fn link(path: &str, operation: &Value) -> String {
    format!(
        "<li><a href=\"#{}\">{path}</a> {}</li>\n",
        escape(&operation["operationId"]),
        escape(&operation["summary"])
    )
}

fn operation(method: &str, path: &str, operation: &Value) -> String {
    let parameters: String = items(&operation["parameters"]).map(parameter).collect();
    let parameters = if parameters.is_empty() {
        String::new()
    } else {
        format!("<table><tr><th>Parameter<th>Values<th>Meaning</tr>\n{parameters}</table>\n")
    };
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let body = if body.is_null() {
        String::new()
    } else {
        format!("<p>Body: {}</p>\n", values(body))
    };
    let responses: String = operation["responses"]
        .as_object()
        .into_iter()
        .flatten()
        .map(response)
        .collect();
    format!(
        "<h2 id=\"{}\">{}<span class=\"tag\">{}</span></h2>\n<p class=\"path\">{} \
         {path}</p>\n{body}{parameters}\
         <table><tr><th>Status<th>Response<th>Type</tr>\n{responses}</table>\n",
        escape(&operation["operationId"]),
        escape(&operation["summary"]),
        escape(&operation["tags"][0]),
        method.to_uppercase(),
    )
}

fn parameter(parameter: &Value) -> String {
    let needed = if parameter["required"] == true {
        " (required)"
    } else {
        ""
    };
    format!(
        "<tr><td><code>{}</code>{needed}<td>{}<td>{}</tr>\n",
        escape(&parameter["name"]),
        values(&parameter["schema"]),
        markdown(&parameter["description"])
    )
}

fn response((status, response): (&String, &Value)) -> String {
    let forms = response["content"].as_object().into_iter().flatten();
    let forms: Vec<String> = forms
        .map(|(media, content)| format!("<code>{media}</code> {}", values(&content["schema"])))
        .collect();
    format!(
        "<tr><td>{status}<td>{}<td>{}</tr>\n",
        markdown(&response["description"]),
        forms.join("<br>")
    )
}

fn schema_section(name: &str, schema: &Value) -> String {
    let required: Vec<&Value> = items(&schema["required"]).collect();
    let field = |(field, schema): (&String, &Value)| {
        let absent = if required.iter().any(|name| *name == field) {
            ""
        } else {
            " (may be absent)"
        };
        format!(
            "<tr><td><code>{field}</code>{absent}<td>{}<td>{}</tr>\n",
            values(schema),
            markdown(&schema["description"])
        )
    };
    let fields: String = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(field)
        .collect();
    let rows = if fields.is_empty() {
        format!("<tr><td>{}</tr>", values(schema))
    } else {
        fields
    };
    let about = markdown(&schema["description"]);
    format!("<h3 id=\"{name}\">{name}</h3>\n{about}<table>{rows}</table>\n")
}

/// What a schema accepts, in a few words.
fn values(schema: &Value) -> String {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next())
    {
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    let alternatives: Vec<String> = items(&schema["anyOf"])
        .chain(items(&schema["oneOf"]))
        .map(values)
        .filter(|text| !text.is_empty())
        .collect();
    if !alternatives.is_empty() {
        return alternatives.join(" or ");
    }
    if let Some(only) = schema["const"].as_str() {
        return format!("<code>{only}</code>");
    }
    let words: Vec<String> = items(&schema["enum"])
        .map(|word| format!("<code>{}</code>", escape(word)))
        .collect();
    if words.len() > MAX_WORDS {
        return format!("one of {} values, see the document", words.len());
    }
    if !words.is_empty() {
        return words.join(", ");
    }
    simple(schema)
}

fn simple(schema: &Value) -> String {
    let mut text = match &schema["type"] {
        Value::Array(types) => types
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" or "),
        kind => escape(kind),
    };
    if schema["items"].is_object() {
        text = format!("list of {}", values(&schema["items"]));
    }
    for (key, word) in [
        ("format", "("),
        ("minimum", "from "),
        ("maximum", "to "),
        ("default", "default "),
    ] {
        if !schema[key].is_null() {
            let _ = write!(
                text,
                " {word}{}{}",
                escape(&schema[key]),
                if word == "(" { ")" } else { "" }
            );
        }
    }
    text
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A description as HTML. Neither HTML nor images in the description reach the page.
fn markdown(description: &Value) -> String {
    let events = Parser::new(description.as_str().unwrap_or_default());
    let events = events.filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        other => Some(other),
    });
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events);
    html
}

/// A value as text of a page. Empty if the value is null.
fn escape(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The page of a document in which every description is `text`.
    fn page_with(text: &str) -> String {
        let schema = json!({ "type": "string", "description": text });
        let parameter = json!({ "name": "p", "description": text, "schema": { "type": "string" } });
        render(&json!({
            "info": { "title": "T", "version": "1", "description": text },
            "paths": { "/p": { "get": {
                "operationId": "Get", "summary": "Get", "tags": ["User"],
                "parameters": [parameter],
                "responses": { "200": { "description": text } },
            } } },
            "components": { "schemas": { "S": {
                "description": text, "properties": { "f": schema },
            } } },
        }))
    }

    #[test]
    fn every_description_is_rendered_as_markdown() {
        let page = page_with("Either of:\n\n- `day`\n- **week**");
        let count = |html: &str| page.matches(html).count();
        let descriptions = 5;
        assert_eq!(
            count("<ul>\n<li><code>day</code></li>"),
            descriptions,
            "{page}"
        );
        assert_eq!(count("<li><strong>week</strong></li>"), descriptions);
    }

    #[test]
    fn html_in_a_description_is_shown_as_text() {
        let page = page_with("A <script>alert(1)</script> & <b>\n\n<script src=x></script>");
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(page.contains("A &lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;"));
        assert!(page.contains("&lt;script src=x&gt;"));
    }

    #[test]
    fn an_image_in_a_description_is_replaced_by_its_text() {
        let page = page_with("![a graph](https://example.com/graph.png)");
        assert!(page.contains("a graph") && !page.contains("<img"), "{page}");
        assert!(!page.contains("example.com"));
    }
}
