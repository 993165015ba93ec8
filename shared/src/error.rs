//! One error for every service, free of transports: the edges turn its [`ErrorKind`] into an HTTP
//! status or into "retry this message" in one `match` each.

use std::fmt;

use http::StatusCode;

use crate::quote::Quoted;

/// What kind of fault happened; decides status codes and retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The caller sent something that can never be accepted.
    InvalidArgument,
    /// No valid credentials came with the request.
    Unauthenticated,
    /// The credentials are valid and do not allow this.
    PermissionDenied,
    /// What was asked for does not exist.
    NotFound,
    /// An idempotency key came again with another payload.
    Conflict,
    /// A dependency is out of reach or busy; the same request may succeed later.
    Unavailable,
    /// The time allowed ran out before the work was done.
    DeadlineExceeded,
    /// A fault of ours.
    Internal,
}

/// What a queue consumer does with a message that ended in an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The message may succeed later: receive it again.
    Retry,
    /// The message can never succeed: let it reach the dead-letter queue.
    Reject,
}

impl ErrorKind {
    /// The HTTP status that says this.
    #[must_use]
    pub fn http_status(self) -> StatusCode {
        match self {
            Self::InvalidArgument => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether a message that failed so is worth another try.
    #[must_use]
    pub fn disposition(self) -> Disposition {
        match self {
            Self::Unavailable | Self::DeadlineExceeded | Self::Internal => Disposition::Retry,
            Self::InvalidArgument
            | Self::Unauthenticated
            | Self::PermissionDenied
            | Self::NotFound
            | Self::Conflict => Disposition::Reject,
        }
    }
}

const NUMBER_OVERFLOW: &str = "number_overflow";
const LOCKED: &str = "locked";
const TRANSACTION_CONFLICT: &str = "transaction_conflict";

/// A fault with a stable `code`, a message fit for the caller, and a source fit for the log only.
///
/// No text of a caller is in the message or in the source: both are logged. The one place for such
/// text is [`Field::Quoted`], which `Display` and `Debug` leave out.
pub struct Error {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    field: Option<Field>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    concerns_all: bool,
}

/// The field at fault.
enum Field {
    /// A path that the API defines.
    Known(String),
    /// A name that the caller made up: returned to the caller, never logged.
    Quoted(Quoted),
}

impl Error {
    /// An error that names its stable code and says in a sentence what is wrong and what is
    /// accepted.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            field: None,
            source: None,
            concerns_all: false,
        }
    }

    /// A permanent fault in the caller's input.
    pub fn invalid(
        code: &'static str,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            field: Some(Field::Known(field.into())),
            ..Self::new(ErrorKind::InvalidArgument, code, message)
        }
    }

    /// A parameter that the operation does not have; `name` is the caller's text.
    #[must_use]
    pub fn unknown_parameter(name: &str, known: &[&str]) -> Self {
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        let message = format!("unknown parameter; expected one of: {known}");
        let field = Some(Field::Quoted(Quoted::of(name)));
        Self {
            field,
            ..Self::new(ErrorKind::InvalidArgument, "unknown_parameter", message)
        }
    }

    /// A parameter of a request that is not what is `accepted`.
    #[must_use]
    pub fn parameter(field: &str, accepted: &str) -> Self {
        Self::invalid(
            "invalid_parameter",
            field,
            format!("accepted are {accepted}"),
        )
    }

    /// What was asked for does not exist.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(
            ErrorKind::NotFound,
            "not_found",
            format!("there is no {what}"),
        )
    }

    /// A fault of ours: the caller learns nothing but that it happened.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            ErrorKind::Internal,
            "internal",
            "an internal error occurred",
        )
        .with_source(source)
    }

    /// A dependency that is out of reach for now.
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            ErrorKind::Unavailable,
            "unavailable",
            "the service is busy; try again later",
        )
        .with_source(source)
    }

    /// A sum of bytes that an `i64` cannot hold.
    #[must_use]
    pub fn overflow() -> Self {
        Self::new(
            ErrorKind::InvalidArgument,
            NUMBER_OVERFLOW,
            "a sum of bytes exceeds what can be counted",
        )
    }

    /// Whether it is [`Error::overflow`].
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.code == NUMBER_OVERFLOW
    }

    /// A row was locked by another transaction for longer than is waited.
    #[must_use]
    pub fn locked() -> Self {
        Self::new(
            ErrorKind::Unavailable,
            LOCKED,
            "a row is locked; try again later",
        )
    }

    /// Whether a transaction met another one and must run again.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code == TRANSACTION_CONFLICT
    }

    /// The transaction met another one and must run again, from its beginning.
    #[must_use]
    pub fn conflict() -> Self {
        Self::new(
            ErrorKind::Unavailable,
            TRANSACTION_CONFLICT,
            "the service is busy; try again later",
        )
    }

    /// Whether the cause may lie in one of several messages or rows that were processed together,
    /// so that the others may succeed without it: a fault in the data, a fault of ours, a locked
    /// row. An outage is none, nor is a schema that this code does not fit.
    #[must_use]
    pub fn may_lie_in_one_of_several(&self) -> bool {
        let of_one = self.kind == ErrorKind::Internal
            || self.disposition() == Disposition::Reject
            || self.code == LOCKED;
        of_one && !self.concerns_all
    }

    /// Says that every message and row would fail in the same way.
    #[must_use]
    pub fn that_concerns_all(self) -> Self {
        Self {
            concerns_all: true,
            ..self
        }
    }

    /// The invocation's time ran out.
    #[must_use]
    pub fn deadline_exceeded() -> Self {
        Self::new(
            ErrorKind::DeadlineExceeded,
            "deadline_exceeded",
            "the request took too long; try again later",
        )
    }

    /// Adds the cause, for the log.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of fault.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Stable name of the fault, in `snake_case`; clients may match on it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What the caller may read.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The offending field, as a path such as `usage[3].upload`. May hold text of the caller: not
    /// for the log.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self.field.as_ref()? {
            Field::Known(path) => Some(path),
            Field::Quoted(name) => Some(name.as_str()),
        }
    }

    /// Retry or reject, see [`ErrorKind::disposition`].
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        self.kind.disposition()
    }

    /// The chain of causes in one line, for the log.
    #[must_use]
    pub fn cause(&self) -> String {
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes.join(": ")
    }
}

/// What the log may hold.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(Field::Known(field)) => write!(f, "{}: {field}: {}", self.code, self.message),
            Some(Field::Quoted(_)) | None => write!(f, "{}: {}", self.code, self.message),
        }
    }
}

/// As `Display`, with the causes: the `Debug` of a database's error would print the row at fault.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}; cause: {}", self.cause())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(ErrorKind::InvalidArgument, 400, Disposition::Reject)]
    #[case(ErrorKind::Unauthenticated, 401, Disposition::Reject)]
    #[case(ErrorKind::PermissionDenied, 403, Disposition::Reject)]
    #[case(ErrorKind::NotFound, 404, Disposition::Reject)]
    #[case(ErrorKind::Conflict, 409, Disposition::Reject)]
    #[case(ErrorKind::Unavailable, 503, Disposition::Retry)]
    #[case(ErrorKind::DeadlineExceeded, 504, Disposition::Retry)]
    #[case(ErrorKind::Internal, 500, Disposition::Retry)]
    fn every_kind_has_one_status_and_one_disposition(
        #[case] kind: ErrorKind,
        #[case] status: u16,
        #[case] disposition: Disposition,
    ) {
        assert_eq!(
            (kind.http_status().as_u16(), kind.disposition()),
            (status, disposition)
        );
    }

    #[test]
    fn a_name_that_the_caller_made_up_is_returned_and_never_logged() {
        let error = Error::unknown_parameter("canary\n", &["limit"]).with_source("cause");
        assert_eq!(error.field(), Some("canary\\n"));
        for logged in [error.to_string(), format!("{error:?}"), error.cause()] {
            assert!(!logged.contains("canary"), "{logged}");
        }
    }

    #[test]
    fn an_internal_error_tells_the_caller_nothing_of_its_cause() {
        let error = Error::internal("password authentication failed for user telecom");
        assert!(!error.to_string().contains("password"));
        assert!(error.cause().contains("password"));
    }
}
