//! Responses: JSON or CSV, with an entity tag by which a polling client detects unchanged data.

use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lambda_http::{Body, Request, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Csv, Endpoint, Output};
use crate::error::{Error, ErrorKind};

/// Maximum size of a body. The load balancer accepts 1 MB per response of a function, headers
/// included, and returns 502 for a larger one.
const MAX_BODY_BYTES: usize = 960_000;
const JSON: (&str, &str) = ("application", "json");
const CSV: (&str, &str) = ("text", "csv");

/// The response in the format that the request accepts, or 304 without a body if the client has the
/// current version.
pub fn ok<E: Endpoint>(request: &Request, output: &Output<E>) -> Result<Response<Body>, Error> {
    let table = E::CSV.filter(|_| prefers_csv(request.headers()));
    let (content_type, body) = match table {
        Some(table) => (
            "text/csv; charset=utf-8; header=present",
            csv(table, &E::csv_items(output)?)?,
        ),
        None => (
            "application/json",
            serde_json::to_string(output).map_err(Error::internal)?,
        ),
    };
    let bytes = carried_bytes(&body);
    if bytes > MAX_BODY_BYTES {
        let message = format!(
            "The response has {bytes} bytes, but the maximum is {MAX_BODY_BYTES}. Request fewer \
             items, request a shorter range, or use gRPC."
        );
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "answer_too_large",
            message,
        ));
    }
    if E::METHOD == Method::GET {
        let revision = E::revision(output);
        tagged(request, content_type, body, revision, "private, no-cache")
    } else {
        // The result of a change is not a resource that a client could cache, so it has no tag and
        // conditional headers are ignored.
        Ok(respond(content_type, Body::Text(body), "no-store"))
    }
}

/// Size of a body as a JSON string, which is how the function returns it to the load balancer.
fn carried_bytes(body: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    body.bytes().map(escaped).sum()
}

fn respond(content_type: &'static str, body: Body, cache: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(VARY, HeaderValue::from_static("authorization, accept"));
    response
}

/// A response with an `etag`, or 304 if `if-none-match` contains that tag. The tag begins with the
/// revision of the resource, if it has one, followed by a hyphen.
pub fn tagged(
    request: &Request,
    content_type: &'static str,
    body: impl Into<Body>,
    revision: Option<i64>,
    cache: &'static str,
) -> Result<Response<Body>, Error> {
    let body = body.into();
    let digest: [u8; 32] = Sha256::digest(&body).into();
    let tag = digest
        .first_chunk()
        .copied()
        .map(u128::from_be_bytes)
        .unwrap_or_default();
    let revision = revision
        .map(|revision| format!("{revision}-"))
        .unwrap_or_default();
    let tag = format!("\"{revision}{tag:032x}\"");
    let tag = HeaderValue::try_from(tag).map_err(Error::internal)?;
    let known = is_known(request.headers(), &tag);
    let body = if known || request.method() == Method::HEAD {
        Body::Empty
    } else {
        body
    };
    let mut response = respond(content_type, body, cache);
    let headers = response.headers_mut();
    headers.insert(ETAG, tag);
    if known {
        headers.remove(CONTENT_TYPE);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    Ok(response)
}

fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let given = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tags = given
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|given| given == "*" || given.as_bytes() == tag.as_bytes())
}

fn csv(table: Csv, items: &[Value]) -> Result<String, Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer
        .write_record(table.columns())
        .map_err(Error::internal)?;
    for item in items {
        writer
            .write_record(table.row(item).map(harmless))
            .map_err(Error::internal)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| Error::internal(error.to_string()))?;
    String::from_utf8(bytes).map_err(Error::internal)
}

/// Prefixes a text that a spreadsheet would evaluate as a formula with an apostrophe. The name of a
/// node or a package must not run code on the machine of the user who opens the table.
fn harmless(cell: String) -> String {
    let begins_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if begins_formula && cell.parse::<f64>().is_err() {
        format!("'{cell}")
    } else {
        cell
    }
}

/// Whether the client prefers CSV to JSON. At equal weights, the more specific media range wins.
fn prefers_csv(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let ranges: Vec<(&str, f32)> = accepted
        .flat_map(|value| value.split(','))
        .map(weighted)
        .collect();
    let (csv, json) = (preference(&ranges, CSV), preference(&ranges, JSON));
    csv.0 > 0.0 && csv > json
}

/// The weight of the most specific media range that matches a format, and how specific it is
/// (RFC 9110, 12.5.1).
fn preference(ranges: &[(&str, f32)], (kind, format): (&str, &str)) -> (f32, u8) {
    let specificity = |range: &str| match range.split_once('/') {
        Some(("*", "*")) => Some(0),
        Some((k, "*")) if k.eq_ignore_ascii_case(kind) => Some(1),
        Some((k, f)) if k.eq_ignore_ascii_case(kind) && f.eq_ignore_ascii_case(format) => Some(2),
        _ => None,
    };
    let matching = ranges
        .iter()
        .filter_map(|(range, weight)| Some((specificity(range)?, *weight)));
    matching
        .max_by_key(|(specificity, _)| *specificity)
        .map_or((0.0, 0), |(specificity, weight)| (weight, specificity))
}

/// Parses a media range and its weight, `q`.
fn weighted(range: &str) -> (&str, f32) {
    let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
    let q = parameters
        .split(';')
        .find_map(|parameter| parameter.trim().strip_prefix("q="));
    (
        name.trim(),
        q.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0)),
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("text/csv", true)]
    #[case("text/csv, */*;q=0.1", true)]
    #[case("Text/CSV;q=0.9, application/json;q=0.5", true)]
    #[case("text/csv;q=0.5, application/json", false)]
    #[case("application/json, text/csv", false)]
    #[case("text/csv;q=0", false)]
    #[case("*/*", false)]
    #[case("text/csv;q=0.5, */*", false)]
    #[case("text/csv;q=0.5, application/*;q=0.4, */*", true)]
    #[case("text/csv, */*", true)]
    #[case("text/*", true)]
    #[case("text/*, */*;q=0.1", true)]
    #[case("text/*;q=0.9, text/csv;q=0.1, */*;q=0.5", false)]
    #[case("application/json, text/plain, */*", false)]
    #[case("text/html, application/xhtml+xml, */*;q=0.8", false)]
    #[case("", false)]
    fn csv_is_returned_if_the_client_prefers_it(#[case] accept: &'static str, #[case] csv: bool) {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        assert_eq!(prefers_csv(&headers), csv);
    }

    #[test]
    fn cells_are_quoted_and_found_in_the_item_or_an_object_of_it() {
        let table = Csv {
            list: "items",
            header: "a,b,c,d",
        };
        let item = json!({ "a": "x,\"y\"", "b": "1\n2", "c": null, "of": { "d": [1, 2.5] } });
        let text = csv(table, &[item]).unwrap();
        assert_eq!(text, "a,b,c,d\r\n\"x,\"\"y\"\"\",\"1\n2\",,1 2.5\r\n");
    }

    #[rstest]
    #[case("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")")]
    #[case("+cmd", "'+cmd")]
    #[case("-cmd", "'-cmd")]
    #[case("@SUM(A1)", "'@SUM(A1)")]
    #[case("\t=1", "'\t=1")]
    #[case("\r=1", "'\r=1")]
    #[case("-5", "-5")]
    #[case("+1.5", "+1.5")]
    #[case("a=b", "a=b")]
    #[case("", "")]
    fn only_formulas_are_escaped(#[case] cell: &str, #[case] shown: &str) {
        assert_eq!(harmless(cell.to_owned()), shown);
    }

    #[test]
    fn the_size_of_a_body_is_that_of_its_json_string() {
        for body in [
            "",
            "plain",
            "{\"a\":\"\\n\"}",
            "a,b\r\n\t\u{8}\u{c}\u{1}\u{1f}",
            "ü€😀\u{7f}",
        ] {
            assert_eq!(
                carried_bytes(body),
                serde_json::to_string(body).unwrap().len() - 2,
                "{body:?}"
            );
        }
    }
}
