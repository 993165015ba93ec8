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

/// The status of an error: the stable code as the reason of an `ErrorInfo`, the field in a
/// `BadRequest`, and nothing of the inside.
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

/// What the transport says, in its own words, of a request that cannot be read: by gRPC's rules
/// INTERNAL, as if it were a fault of the server, though it is the client that sent it. It has no
/// other mark. `tests/grpc/refusals.rs` meets each.
const MALFORMED: [&str; 6] = [
    "failed to decode Protobuf message",
    "protocol error: received message with",
    "Error decompressing: ",
    "Unexpected EOF decoding stream",
    "Missing request message",
    "tonic-web: ",
];
/// The same of one that is too large, as it came or unpacked.
const TOO_LARGE: [&str; 2] = [
    "Error, decoded message length too large",
    "Error decompressing: size limit",
];

/// What is told of a call that ended without a code of ours, before any service saw it: with a code
/// of its own, as those of the services have. An error: it is a fault of ours, of which the client
/// learns no more.
pub fn of_refusal(status: Status) -> Result<Status, Error> {
    if status.get_details_error_info().is_some() {
        return Ok(status);
    }
    let says = |beginnings: &[&str]| {
        beginnings
            .iter()
            .any(|beginning| status.message().starts_with(beginning))
    };
    let (code, reason) = match status.code() {
        Code::OutOfRange | Code::ResourceExhausted if says(&TOO_LARGE) => {
            (Code::ResourceExhausted, "message_too_large")
        }
        Code::Internal | Code::DataLoss if says(&MALFORMED) => {
            (Code::InvalidArgument, "malformed_message")
        }
        Code::Unimplemented => (Code::Unimplemented, "unimplemented"),
        Code::Internal | Code::Unknown | Code::DataLoss => return Err(Error::internal(status)),
        _ => return Ok(status),
    };
    let message = match (code, status.message()) {
        (Code::Unimplemented, "") => "The method does not exist.",
        (Code::Unimplemented, said) if said.starts_with("Content is compressed") => {
            "The compression of the message is not supported. Use gzip."
        }
        (_, message) => message,
    };
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    Ok(Status::with_error_details(code, message, details))
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
    fn only_what_the_client_sent_is_the_clients_fault() {
        let judge = |status| match of_refusal(status) {
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
            Status::internal("the failed to decode Protobuf message of somebody else"),
            Status::unknown("a layer failed"),
            Status::data_loss("x"),
        ] {
            assert_eq!(judge(status.clone()), internal, "{status}");
            let told = of(&of_refusal(status.clone()).unwrap_err());
            assert!(!told.message().contains(status.message()), "{told}");
        }
        let malformed = judge(Status::internal("Unexpected EOF decoding stream."));
        assert_eq!(
            malformed,
            (Code::InvalidArgument, "malformed_message".to_owned())
        );
        assert_eq!(
            judge(Status::resource_exhausted("calls")),
            (Code::ResourceExhausted, String::new())
        );
        assert_eq!(
            judge(Status::cancelled("Timeout expired")),
            (Code::Cancelled, String::new())
        );
    }
}
