//! Errors as gRPC says them.

use std::collections::HashMap;
use std::time::Duration;

use shared::error::{Error, ErrorKind};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of every `ErrorInfo`.
pub const DOMAIN: &str = "telecom";

/// The code that says this kind of fault.
pub fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict => Code::AlreadyExists,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Internal => Code::Internal,
    }
}

/// The status of an error: the stable code as the reason of an `ErrorInfo`, the field in a `BadRequest`, and nothing of
/// the inside.
pub fn of(error: &Error) -> Status {
    let mut details = ErrorDetails::with_error_info(error.code(), DOMAIN, HashMap::new());
    if let Some(field) = error.field() {
        details.add_bad_request_violation(field, error.message());
    }
    if error.kind() == ErrorKind::Unavailable {
        details.set_retry_info(Some(Duration::from_secs(1)));
    }
    let message = match error.field() {
        Some(field) => format!("{field}: {}", error.message()),
        None => error.message().to_owned(),
    };
    Status::with_error_details(code(error.kind()), message, details)
}

/// The status of a call that the transport refused by itself, before any service saw it: with a code of its own, as those
/// of the services have.
pub fn of_refusal(status: Status) -> Status {
    let (code, reason) = match status.code() {
        _ if status.get_details_error_info().is_some() => return status,
        // By gRPC's own rules this would be a fault of the server. It is the client that sent it.
        Code::Internal => (Code::InvalidArgument, "malformed_message"),
        Code::OutOfRange | Code::ResourceExhausted => (Code::ResourceExhausted, "message_too_large"),
        Code::Unimplemented => (Code::Unimplemented, "unimplemented"),
        _ => return status,
    };
    let message = match (code, status.message()) {
        (Code::Unimplemented, "") => "there is no such method",
        (_, message) => message,
    };
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_code_that_agrees_with_its_http_status() {
        let pairs = [
            (ErrorKind::InvalidArgument, Code::InvalidArgument, 400),
            (ErrorKind::Unauthenticated, Code::Unauthenticated, 401),
            (ErrorKind::PermissionDenied, Code::PermissionDenied, 403),
            (ErrorKind::NotFound, Code::NotFound, 404),
            (ErrorKind::Conflict, Code::AlreadyExists, 409),
            (ErrorKind::Unavailable, Code::Unavailable, 503),
            (ErrorKind::DeadlineExceeded, Code::DeadlineExceeded, 504),
            (ErrorKind::Internal, Code::Internal, 500),
        ];
        for (kind, expected, http) in pairs {
            assert_eq!((code(kind), kind.http_status().as_u16()), (expected, http));
        }
    }

    #[test]
    fn a_status_carries_the_code_and_the_field_and_nothing_of_the_inside() {
        let status = of(&Error::parameter("limit", "whole numbers from 1 to 200").with_source("secret"));
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "invalid_parameter");
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "limit");
        assert!(!format!("{status:?}").contains("secret"));
    }
}
