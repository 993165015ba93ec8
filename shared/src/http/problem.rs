//! Error responses: `application/problem+json` (RFC 9457).

use http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, ErrorKind};

/// An error response (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problem<'a> {
    /// Always `about:blank`. By RFC 9457, `title` is then the phrase of the HTTP status.
    r#type: &'static str,
    /// Phrase of the HTTP status.
    title: &'static str,
    /// Equal to the status code of the HTTP response.
    status: u16,
    /// Stable name of the error, for programs.
    code: &'static str,
    /// Description of the error and of what is accepted, for people.
    detail: &'a str,
    /// The invalid parameter or field. Absent if the error concerns none.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

/// The response for an error: its stable `code` and message, without its source.
#[must_use]
pub fn response(error: &Error) -> Response<Body> {
    with_status(error, http_status(error.kind()))
}

/// The 405 response to a method that is not one of the comma-separated `allowed`.
#[must_use]
pub fn method_not_allowed(allowed: &str) -> Response<Body> {
    let message = format!("The path accepts these methods: {allowed}.");
    let error = Error::new(ErrorKind::InvalidArgument, "method_not_allowed", message);
    let mut response = with_status(&error, StatusCode::METHOD_NOT_ALLOWED);
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

fn with_status(error: &Error, status: StatusCode) -> Response<Body> {
    let problem = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        code: error.code(),
        detail: error.message(),
        field: error.field(),
    };
    let mut response = Response::new(Body::Text(
        serde_json::to_string(&problem).unwrap_or_default(),
    ));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if error.kind() == ErrorKind::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(wait) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    response
}

/// The HTTP status of an error.
#[must_use]
pub fn http_status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidArgument => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        ErrorKind::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        ErrorKind::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(ErrorKind::InvalidArgument, 400)]
    #[case(ErrorKind::Unauthenticated, 401)]
    #[case(ErrorKind::PermissionDenied, 403)]
    #[case(ErrorKind::NotFound, 404)]
    #[case(ErrorKind::Conflict, 409)]
    #[case(ErrorKind::PreconditionFailed, 412)]
    #[case(ErrorKind::PreconditionRequired, 428)]
    #[case(ErrorKind::ResourceExhausted, 429)]
    #[case(ErrorKind::Unavailable, 503)]
    #[case(ErrorKind::DeadlineExceeded, 504)]
    #[case(ErrorKind::Internal, 500)]
    fn every_kind_has_one_status(#[case] kind: ErrorKind, #[case] status: u16) {
        assert_eq!(http_status(kind).as_u16(), status);
    }
}
