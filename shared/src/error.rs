//! The error type of every service. Each transport maps its [`ErrorKind`] with one `match`: to an
//! HTTP status, to a gRPC code, or to "retry" or "reject" for a queue message.

use std::fmt;
use std::time::Duration;

use crate::quote::Quoted;

/// Category of an error. It decides the status code and whether a message is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is invalid and will never be accepted.
    InvalidArgument,
    /// The request has no valid credentials.
    Unauthenticated,
    /// The credentials are valid but do not permit the operation.
    PermissionDenied,
    /// The requested resource does not exist.
    NotFound,
    /// The request contradicts what is stored: its id or key belongs to another request, or the
    /// state of the resource does not permit it.
    Conflict,
    /// The caller has read an older revision of the resource.
    PreconditionFailed,
    /// The request must state the revision that it changes.
    PreconditionRequired,
    /// The caller sends too many requests.
    ResourceExhausted,
    /// A dependency is unreachable or busy. The same request may succeed later.
    Unavailable,
    /// The deadline passed before the work was complete.
    DeadlineExceeded,
    /// An error in this system, not in the request.
    Internal,
}

/// What a queue consumer does with a message whose processing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The message may succeed later. It is received again.
    Retry,
    /// The message can never succeed. It ends in the dead-letter queue.
    Reject,
}

impl ErrorKind {
    /// Whether a message that failed with this kind is retried or rejected.
    #[must_use]
    pub fn disposition(self) -> Disposition {
        match self {
            Self::Unavailable
            | Self::DeadlineExceeded
            | Self::ResourceExhausted
            | Self::Internal => Disposition::Retry,
            Self::InvalidArgument
            | Self::Unauthenticated
            | Self::PermissionDenied
            | Self::NotFound
            | Self::Conflict
            | Self::PreconditionFailed
            | Self::PreconditionRequired => Disposition::Reject,
        }
    }
}

/// Time after which a caller may try again, if nothing else is known.
const LEAST_WAIT: Duration = Duration::from_secs(1);
const NUMBER_OVERFLOW: &str = "number_overflow";
const LOCKED: &str = "locked";
const TRANSACTION_CONFLICT: &str = "transaction_conflict";

/// An error with a stable `code`, a message for the caller, and a source for the log only.
///
/// The message and the source are logged, so neither may contain text from the caller. Such text is
/// stored only in `Field::Quoted`, which `Display` and `Debug` omit.
///
/// A message about a field is a fragment that follows the field's name (`limit: invalid value`).
/// Any other message is a sentence.
pub struct Error {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    field: Option<Field>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    concerns_all: bool,
    /// What [`Self::retry_after`] returns, if it returns a time.
    wait: Duration,
}

/// The invalid field of a request.
enum Field {
    /// A path that the API defines, such as `usage[3].upload`.
    Known(String),
    /// A name chosen by the caller. It is returned to the caller but never logged.
    Quoted(Quoted),
}

impl Error {
    /// An error with its stable code and a message that states the problem and what is accepted.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            field: None,
            source: None,
            concerns_all: false,
            wait: LEAST_WAIT,
        }
    }

    /// An [`ErrorKind::InvalidArgument`] error about one field of the input.
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

    /// The operation has no parameter called `name`, which is text from the caller.
    #[must_use]
    pub fn unknown_parameter(name: &str, known: &[&str]) -> Self {
        let message = if known.is_empty() {
            "unknown parameter; expected none".to_owned()
        } else {
            format!("unknown parameter; expected one of: {}", known.join(", "))
        };
        let field = Some(Field::Quoted(Quoted::of(name)));
        Self {
            field,
            ..Self::new(ErrorKind::InvalidArgument, "unknown_parameter", message)
        }
    }

    /// A parameter has an invalid value. `accepted` completes "expected ...".
    #[must_use]
    pub fn parameter(field: &str, accepted: &str) -> Self {
        Self::invalid(
            "invalid_parameter",
            field,
            format!("invalid value; expected {accepted}"),
        )
    }

    /// The requested resource does not exist. `what` begins the sentence, such as "Node server 7".
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(
            ErrorKind::NotFound,
            "not_found",
            format!("{what} does not exist."),
        )
    }

    /// An error in this system. The caller does not see the source.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            ErrorKind::Internal,
            "internal",
            "An internal error occurred.",
        )
        .with_source(source)
    }

    /// Another user has the secret for nodes.
    #[must_use]
    pub fn secret_in_use() -> Self {
        Self::new(
            ErrorKind::Conflict,
            "secret_in_use",
            "Another user has this secret.",
        )
    }

    /// A dependency is temporarily unreachable.
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            ErrorKind::Unavailable,
            "unavailable",
            "The service is temporarily unavailable. Try again later.",
        )
        .with_source(source)
    }

    /// A sum of bytes does not fit an `i64`.
    #[must_use]
    pub fn overflow() -> Self {
        Self::new(
            ErrorKind::InvalidArgument,
            NUMBER_OVERFLOW,
            "The sum of bytes is too large.",
        )
    }

    /// Whether this is an [`Error::overflow`].
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.code == NUMBER_OVERFLOW
    }

    /// Another transaction held a row lock for longer than the lock timeout.
    #[must_use]
    pub fn locked() -> Self {
        Self::new(
            ErrorKind::Unavailable,
            LOCKED,
            "A row is locked. Try again later.",
        )
    }

    /// Whether this is an [`Error::locked`].
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.code == LOCKED
    }

    /// Whether this is an [`Error::conflict`].
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code == TRANSACTION_CONFLICT
    }

    /// The transaction conflicted with another one and must be retried from its beginning.
    #[must_use]
    pub fn conflict() -> Self {
        Self::new(
            ErrorKind::Unavailable,
            TRANSACTION_CONFLICT,
            "The service is temporarily unavailable. Try again later.",
        )
    }

    /// Whether a single message or row of those processed together may have caused the error, so
    /// that the others may succeed without it. True for invalid data, an internal error and a
    /// locked row. False for an outage and for a schema that does not match this code.
    #[must_use]
    pub fn may_come_from_one_item(&self) -> bool {
        let of_one = self.kind == ErrorKind::Internal
            || self.disposition() == Disposition::Reject
            || self.code == LOCKED;
        of_one && !self.concerns_all
    }

    /// Marks the error as one that every message and row would run into.
    #[must_use]
    pub fn for_the_whole_batch(self) -> Self {
        Self {
            concerns_all: true,
            ..self
        }
    }

    /// The caller calls too often, and may call again after `wait`.
    #[must_use]
    pub fn rate_limited(wait: Duration) -> Self {
        let begun_seconds =
            Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        Self {
            wait: begun_seconds.max(LEAST_WAIT),
            ..Self::new(
                ErrorKind::ResourceExhausted,
                "rate_limited",
                "The user has sent too many requests. Try again later.",
            )
        }
    }

    /// The deadline of the invocation or call passed.
    #[must_use]
    pub fn deadline_exceeded() -> Self {
        Self::new(
            ErrorKind::DeadlineExceeded,
            "deadline_exceeded",
            "The request took too long. Try again later.",
        )
    }

    /// Adds the cause, which is logged and never returned to the caller.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The category of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Stable name of the error in `snake_case`. Clients may match on it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Time after which the same request may succeed, in whole seconds, at least one. `None` if
    /// waiting does not help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        matches!(
            self.kind,
            ErrorKind::Unavailable | ErrorKind::ResourceExhausted
        )
        .then_some(self.wait)
    }

    /// The text that is returned to the caller.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The path of the invalid field, such as `usage[3].upload`. It may contain text from the
    /// caller and must not be logged.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self.field.as_ref()? {
            Field::Known(path) => Some(path),
            Field::Quoted(name) => Some(name.as_str()),
        }
    }

    /// Whether to retry or reject a message, see [`ErrorKind::disposition`].
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        self.kind.disposition()
    }

    /// The chain of sources in one line, for the log.
    #[must_use]
    pub fn cause(&self) -> String {
        std::error::Error::source(self)
            .map(chain)
            .unwrap_or_default()
    }
}

/// An error and its sources in one line. Errors of the AWS SDK and of reqwest state the reason only
/// in their sources.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let errors = std::iter::successors(Some(error), |error| error.source());
    errors
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Contains no text from the caller, so that it can be logged.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(Field::Known(field)) => write!(f, "{}: {field}: {}", self.code, self.message),
            Some(Field::Quoted(_)) | None => write!(f, "{}: {}", self.code, self.message),
        }
    }
}

/// Like `Display`, plus the causes. A derived `Debug` would print the database error's row.
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
    #[case(ErrorKind::InvalidArgument, Disposition::Reject)]
    #[case(ErrorKind::Unauthenticated, Disposition::Reject)]
    #[case(ErrorKind::PermissionDenied, Disposition::Reject)]
    #[case(ErrorKind::NotFound, Disposition::Reject)]
    #[case(ErrorKind::Conflict, Disposition::Reject)]
    #[case(ErrorKind::ResourceExhausted, Disposition::Retry)]
    #[case(ErrorKind::Unavailable, Disposition::Retry)]
    #[case(ErrorKind::DeadlineExceeded, Disposition::Retry)]
    #[case(ErrorKind::Internal, Disposition::Retry)]
    fn every_kind_has_one_disposition(#[case] kind: ErrorKind, #[case] disposition: Disposition) {
        assert_eq!(kind.disposition(), disposition);
    }

    #[rstest]
    #[case::at_once(0, 1)]
    #[case::less_than_a_second(1, 1)]
    #[case::a_second(1_000, 1)]
    #[case::more_than_a_second(1_001, 2)]
    fn waits_are_rounded_up_to_whole_seconds(#[case] millis: u64, #[case] seconds: u64) {
        let error = Error::rate_limited(Duration::from_millis(millis));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)));
    }

    #[test]
    fn only_errors_that_pass_with_time_have_a_wait() {
        assert_eq!(Error::conflict().retry_after(), Some(LEAST_WAIT));
        for lasting in [Error::overflow(), Error::internal("x")] {
            assert_eq!(lasting.retry_after(), None, "{lasting}");
        }
    }

    #[test]
    fn a_name_from_the_caller_is_returned_and_never_logged() {
        let error = Error::unknown_parameter("canary\n", &["limit"]).with_source("cause");
        assert_eq!(error.field(), Some("canary\\n"));
        for logged in [error.to_string(), format!("{error:?}"), error.cause()] {
            assert!(!logged.contains("canary"), "{logged}");
        }
    }

    #[test]
    fn the_message_of_an_internal_error_hides_its_cause() {
        let error = Error::internal("password authentication failed for user telecom");
        assert!(!error.to_string().contains("password"));
        assert!(error.cause().contains("password"));
    }
}
