//! Conversion of errors into gRPC statuses.

use std::collections::HashMap;

use shared::error::{Error, ErrorKind};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of every `ErrorInfo`.
pub const DOMAIN: &str = "telecom";

pub fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict => Code::AlreadyExists,
        ErrorKind::PreconditionFailed => Code::Aborted,
        ErrorKind::PreconditionRequired => Code::FailedPrecondition,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Internal => Code::Internal,
    }
}

/// The status of an error. Its `ErrorInfo` has the stable code as the reason, and its `BadRequest`
/// has the field. It does not contain the source of the error.
pub fn of(error: &Error) -> Status {
    let mut details = ErrorDetails::with_error_info(error.code(), DOMAIN, HashMap::new());
    if let Some(field) = error.field() {
        details.add_bad_request_violation(field, error.message());
    }
    if let Some(wait) = error.retry_after() {
        details.set_retry_info(Some(wait));
    }
    let message = match error.field() {
        Some(field) => format!("{field}: {}", error.message()),
        None => error.message().to_owned(),
    };
    Status::with_error_details(code(error.kind()), message, details)
}

/// Beginnings of the messages with which the transport rejects a malformed request. By the rules of
/// gRPC its code is INTERNAL, like an error of the server, so only the message identifies it.
/// `tests/grpc/refusals.rs` triggers each of them.
const MALFORMED: [&str; 6] = [
    "failed to decode Protobuf message",
    "protocol error: received message with",
    "Error decompressing: ",
    "Unexpected EOF decoding stream",
    "Missing request message",
    "tonic-web: ",
];
/// The same for a request that is too large, before or after decompression.
const TOO_LARGE: [&str; 2] = [
    "Error, decoded message length too large",
    "Error decompressing: size limit",
];

/// The status for the client if the transport rejected a call before it reached a service: the
/// transport's status with an error code like those of the services. Returns an internal error if
/// the request did not cause the failure.
pub fn of_refusal(status: Status) -> Result<Status, Error> {
    if status.get_details_error_info().is_some() {
        return Ok(status);
    }
    let begins_with = |beginnings: &[&str]| {
        beginnings
            .iter()
            .any(|beginning| status.message().starts_with(beginning))
    };
    let (code, reason) = match status.code() {
        Code::OutOfRange | Code::ResourceExhausted if begins_with(&TOO_LARGE) => {
            (Code::ResourceExhausted, "message_too_large")
        }
        Code::Internal | Code::DataLoss if begins_with(&MALFORMED) => {
            (Code::InvalidArgument, "malformed_message")
        }
        Code::Unimplemented => (Code::Unimplemented, "unimplemented"),
        Code::Internal | Code::Unknown | Code::DataLoss => return Err(Error::internal(status)),
        _ => return Ok(status),
    };
    let message = match (code, status.message()) {
        (Code::Unimplemented, "") => "The method does not exist.",
        (Code::Unimplemented, text) if text.starts_with("Content is compressed") => {
            "The compression of the message is not supported. Use gzip."
        }
        (_, message) => message,
    };
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    Ok(Status::with_error_details(code, message, details))
}

#[cfg(test)]
mod tests {
    use shared::http::problem::http_status;

    use super::*;

    #[test]
    fn every_kind_has_one_code_that_agrees_with_its_http_status() {
        let pairs = [
            (ErrorKind::InvalidArgument, Code::InvalidArgument, 400),
            (ErrorKind::Unauthenticated, Code::Unauthenticated, 401),
            (ErrorKind::PermissionDenied, Code::PermissionDenied, 403),
            (ErrorKind::NotFound, Code::NotFound, 404),
            (ErrorKind::Conflict, Code::AlreadyExists, 409),
            (ErrorKind::PreconditionFailed, Code::Aborted, 412),
            (
                ErrorKind::PreconditionRequired,
                Code::FailedPrecondition,
                428,
            ),
            (ErrorKind::ResourceExhausted, Code::ResourceExhausted, 429),
            (ErrorKind::Unavailable, Code::Unavailable, 503),
            (ErrorKind::DeadlineExceeded, Code::DeadlineExceeded, 504),
            (ErrorKind::Internal, Code::Internal, 500),
        ];
        for (kind, expected, http) in pairs {
            assert_eq!((code(kind), http_status(kind).as_u16()), (expected, http));
        }
    }

    #[test]
    fn a_status_has_the_code_and_the_field_but_not_the_source() {
        let status =
            of(&Error::parameter("limit", "a whole number from 1 to 200").with_source("secret"));
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "invalid_parameter");
        assert_eq!(
            details.bad_request().unwrap().field_violations[0].field,
            "limit"
        );
        assert!(!format!("{status:?}").contains("secret"));
    }

    #[test]
    fn only_a_malformed_request_is_an_error_of_the_client() {
        let outcome = |status| match of_refusal(status) {
            Ok(status) => (
                status.code(),
                status
                    .get_details_error_info()
                    .map_or(String::new(), |info| info.reason),
            ),
            Err(error) => (of(&error).code(), error.code().to_owned()),
        };
        let internal = (Code::Internal, "internal".to_owned());
        for status in [
            Status::internal("h2 protocol error: error reading a body from connection"),
            Status::internal("Error encoding: buffer"),
            Status::internal("the failed to decode Protobuf message of another layer"),
            Status::unknown("a layer failed"),
            Status::data_loss("x"),
        ] {
            assert_eq!(outcome(status.clone()), internal, "{status}");
            let sent = of(&of_refusal(status.clone()).unwrap_err());
            assert!(!sent.message().contains(status.message()), "{sent}");
        }
        let malformed = outcome(Status::internal("Unexpected EOF decoding stream."));
        assert_eq!(
            malformed,
            (Code::InvalidArgument, "malformed_message".to_owned())
        );
        assert_eq!(
            outcome(Status::resource_exhausted("calls")),
            (Code::ResourceExhausted, String::new())
        );
        assert_eq!(
            outcome(Status::cancelled("Timeout expired")),
            (Code::Cancelled, String::new())
        );
    }
}
