//! Compares CSV responses with the documented columns and the oracle's rows.

use serde_json::{Map, Value, json};
use telecom_tests::api::{Api, event};
use telecom_tests::plain::{plain, plain_text};

use super::generated::Call;

/// Requests a list or a series as CSV and compares each cell with the expected response.
pub async fn compare(api: &Api, token: &str, call: &Call, expected: &Value) {
    let question = &call.question;
    let Some(expected) = rows(question.oracle, expected) else {
        return;
    };
    let response = api
        .send(event(
            "GET",
            &question.path,
            &question.query,
            Some(token),
            &[("accept", "text/csv")],
        ))
        .await;
    let body = std::str::from_utf8(response.body()).unwrap();
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/csv"),
        "{body}, {call:#?}"
    );
    let mut reader = csv::Reader::from_reader(body.as_bytes());
    let header = reader.headers().unwrap().clone();
    assert_eq!(
        header.iter().collect::<Vec<_>>().join(","),
        columns(&question.path),
        "{call:#?}"
    );
    let found: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(found.len(), expected.len(), "rows, {call:#?}");
    for (cells, row) in found.iter().zip(&expected) {
        for (column, cell) in header.iter().zip(cells) {
            assert!(
                represents(cell, &row[column]),
                "{column}: {cell:?} is not {}, {call:#?}",
                row[column]
            );
        }
    }
}

/// The rows of a response; `None` if the operation has no CSV form.
fn rows(oracle: &str, answer: &Value) -> Option<Vec<Value>> {
    let list = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
    match oracle {
        "server" | "client" => None,
        "traffic" => Some(
            list("raw")
                .iter()
                .zip(list("actually_billed"))
                .map(|(raw, billed)| bucket(raw, &billed))
                .collect(),
        ),
        "history" => Some(list("hours")),
        "explained" => Some(list("parts")),
        "used" => Some(list("nodes")),
        "online" => Some(list("users")),
        "runs" => Some(list("runs")),
        "dead" => Some(list("queues").iter().flat_map(failures).collect()),
        "counts" => Some(list("series").iter().map(series).collect()),
        _ => answer
            .as_object()?
            .values()
            .find_map(Value::as_array)
            .cloned(),
    }
}

fn bucket(raw: &Value, billed: &Value) -> Value {
    json!({
        "start": raw["start"], "end": raw["end"], "raw_upload": raw["upload"],
            "raw_download": raw["download"],
        "billed_upload": billed["upload"], "billed_download": billed["download"]
    })
}

/// One row per error code of a queue, and one of a queue without failures.
fn failures(queue: &Value) -> Vec<Value> {
    let reasons = queue["reasons"].as_array().cloned().unwrap_or_default();
    let reasons = if reasons.is_empty() {
        vec![json!({})]
    } else {
        reasons
    };
    let row = |reason: Value| {
        let mut row = queue.as_object().unwrap().clone();
        row.extend(reason.as_object().unwrap().clone());
        Value::Object(row)
    };
    reasons.into_iter().map(row).collect()
}

fn series(series: &Value) -> Value {
    let fields = [series, &series["counts"]]
        .into_iter()
        .filter_map(Value::as_object)
        .flatten();
    let fields: Map<_, _> = fields
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Value::Object(fields)
}

/// The columns that the committed document lists for a path.
fn columns(path: &str) -> String {
    const DOCUMENT: &str = include_str!("../../../docs/openapi.json");
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let is_id =
        |segment: &str| segment.parse::<i64>().is_ok() || segment.parse::<uuid::Uuid>().is_ok();
    let segments = path.split('/');
    let segments = segments.map(|segment| if is_id(segment) { "{id}" } else { segment });
    let path = segments.collect::<Vec<_>>().join("/");
    let csv = &document["paths"][&path]["get"]["responses"]["200"]["content"]["text/csv"]["schema"]
        ["description"];
    csv.as_str()
        .unwrap()
        .rsplit_once("with the header ")
        .unwrap()
        .1
        .to_owned()
}

/// Whether a cell represents a value. Null is an empty cell, integers and times may be written in
/// any form, and an apostrophe precedes what a spreadsheet would evaluate.
fn represents(cell: &str, value: &Value) -> bool {
    match value {
        Value::Null => cell.is_empty(),
        Value::String(text) => {
            let formula =
                text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
            let shown = if formula {
                format!("'{text}")
            } else {
                text.clone()
            };
            plain_text(cell) == shown
        }
        Value::Array(values) => {
            cell == values
                .iter()
                .map(|value| {
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                })
                .collect::<Vec<_>>()
                .join(" ")
        }
        _ => serde_json::from_str(cell).is_ok_and(|cell: Value| plain(cell) == *value),
    }
}
