//! Answers: JSON or CSV, with a tag by which a polling client learns that nothing has changed.

use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lambda_http::{Body, Request, Response};
use sha2::{Digest, Sha256};

use super::{Endpoint, Output};
use crate::error::Error;

/// The load balancer answers 502 for what is larger than 1 MB, escaped and with its headers.
const MAX_BODY_BYTES: usize = 800 << 10;
const JSON: &str = "application/json";
const CSV: &str = "text/csv";

/// The answer in the form that the request asks for; 304 without a body where the caller has it already.
pub fn ok<E: Endpoint>(request: &Request, output: &Output<E>) -> Result<Response<Body>, Error> {
    let columns = E::CSV_COLUMNS.filter(|_| prefers_csv(request.headers()));
    let (content_type, body) = match columns {
        Some(columns) => ("text/csv; charset=utf-8; header=present", csv(columns, E::csv_rows(output))?),
        None => (JSON, serde_json::to_string(output).map_err(Error::internal)?),
    };
    if body.len() > MAX_BODY_BYTES {
        let message = format!("the answer would be {} bytes long; ask for fewer at a time", body.len());
        return Err(Error::invalid("answer_too_large", "limit", message));
    }
    tagged(request, content_type, body, "private, no-cache")
}

/// A body under its tag, which is what a caller may send back as `if-none-match`.
pub fn tagged(
    request: &Request,
    content_type: &'static str,
    body: String,
    cache: &'static str,
) -> Result<Response<Body>, Error> {
    let digest: [u8; 32] = Sha256::digest(body.as_bytes()).into();
    let tag = digest.first_chunk().copied().map(u128::from_be_bytes).unwrap_or_default();
    let tag = HeaderValue::try_from(format!("\"{tag:032x}\"")).map_err(Error::internal)?;
    let known = is_known(request.headers(), &tag);
    let body = if known || request.method() == Method::HEAD { Body::Empty } else { Body::Text(body) };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(VARY, HeaderValue::from_static("authorization, accept"));
    headers.insert(ETAG, tag);
    if known {
        headers.remove(CONTENT_TYPE);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    Ok(response)
}

fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let given = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = given.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|given| given == "*" || given.as_bytes() == tag.as_bytes())
}

fn csv(columns: &[&str], rows: Vec<Vec<String>>) -> Result<String, Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(columns).map_err(Error::internal)?;
    for row in rows {
        writer.write_record(row).map_err(Error::internal)?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::internal(error.to_string()))?;
    String::from_utf8(bytes).map_err(Error::internal)
}

/// CSV is for those who name it and would not rather have JSON.
fn prefers_csv(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<(&str, f32)> = accepted.flat_map(|value| value.split(',')).map(weighted).collect();
    let weight = |wanted: &str| ranges.iter().find(|(range, _)| range.eq_ignore_ascii_case(wanted)).map(|(_, q)| *q);
    match weight(CSV) {
        Some(csv) if csv > 0.0 => weight(JSON).is_none_or(|json| csv > json),
        _ => false,
    }
}

/// A media range and its weight, `q`.
fn weighted(range: &str) -> (&str, f32) {
    let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
    let q = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
    (name.trim(), q.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("text/csv", true)]
    #[case("text/csv, */*;q=0.1", true)]
    #[case("Text/CSV;q=0.9, application/json;q=0.5", true)]
    #[case("text/csv;q=0.5, application/json", false)]
    #[case("application/json, text/csv", false)]
    #[case("text/csv;q=0", false)]
    #[case("*/*", false)]
    #[case("", false)]
    fn csv_is_for_those_who_would_rather_have_it(#[case] accept: &'static str, #[case] csv: bool) {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        assert_eq!(prefers_csv(&headers), csv);
    }

    #[test]
    fn cells_with_commas_quotes_and_line_ends_are_quoted() {
        let text = csv(&["a", "b"], vec![vec!["x,\"y\"".into(), "1\n2".into()]]).unwrap();
        assert_eq!(text, "a,b\r\n\"x,\"\"y\"\"\",\"1\n2\"\r\n");
    }
}
