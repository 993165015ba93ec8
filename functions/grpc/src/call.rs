//! Handling of a call: authentication, authorization, processing within the deadline, response.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use http::HeaderMap;
use shared::auth::{Admission, Principal};
use shared::deadline;
use shared::error::{Error, ErrorKind};
use shared::services::{Operation, Processor, dispatch};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::call_log::CallError;
use crate::message::FromDomain;
use crate::unread::{Room, Taken};

/// Maximum size of a response message.
pub const MAX_RESPONSE_BYTES: usize = 4 << 20;

/// State shared by all calls.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    admission: Admission,
    slots: Arc<Semaphore>,
    room: Room,
    max_time: Duration,
}

impl Dispatcher {
    /// Allows `max_calls` concurrent calls, each of which may take at most `max_time`.
    pub fn new(admission: Admission, max_calls: usize, max_time: Duration) -> Self {
        let slots = Arc::new(Semaphore::new(max_calls.min(Semaphore::MAX_PERMITS)));
        Self {
            admission,
            slots,
            room: Room::default(),
            max_time,
        }
    }

    /// Handles a call. `read` converts the request into the processor's input.
    pub async fn call<I, S, M, R>(
        &self,
        service: &S,
        request: Request<M>,
        read: impl FnOnce(&Principal, M) -> Result<I, Error> + Send,
    ) -> Result<Response<R>, Status>
    where
        I: Operation + Send,
        S: Processor<I> + Sync,
        M: Send,
        R: FromDomain<S::Output> + prost::Message,
    {
        let call_error = request
            .extensions()
            .get::<CallError>()
            .cloned()
            .unwrap_or_default();
        let work = AssertUnwindSafe(self.process(service, request, read)).catch_unwind();
        let outcome = work
            .await
            .unwrap_or_else(|_| Err(Error::internal("the call panicked")));
        outcome
            .map_err(|error| call_error.keep(error))
            .map(|(message, taken)| {
                let mut response = Response::new(message);
                response.extensions_mut().insert(taken);
                response
            })
    }

    async fn process<I, S, M, R>(
        &self,
        service: &S,
        request: Request<M>,
        read: impl FnOnce(&Principal, M) -> Result<I, Error> + Send,
    ) -> Result<(R, Taken), Error>
    where
        I: Operation + Send,
        S: Processor<I> + Sync,
        M: Send,
        R: FromDomain<S::Output> + prost::Message,
    {
        let _slot = self.slots.try_acquire().map_err(|_| overloaded())?;
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let time = client_timeout(&headers).map_or(self.max_time, |asked| asked.min(self.max_time));
        let read = |principal: &Principal| read(principal, message);
        let output = deadline::within(
            Some(time),
            dispatch(&self.admission, &headers, service, read),
        );
        let response = R::from_domain(output.await?);
        let bytes = checked_len(&response)?;
        let taken = self.room.take(bytes).ok_or_else(overloaded)?;
        Ok((response, taken))
    }
}

/// Returns the encoded length of a response, or an error if it is too long. The transport would
/// reject it only after it has sent the status OK.
fn checked_len<R: prost::Message>(response: &R) -> Result<usize, Error> {
    let bytes = response.encoded_len();
    if bytes <= MAX_RESPONSE_BYTES {
        return Ok(bytes);
    }
    let message = format!(
        "The response has {bytes} bytes, but the maximum is {MAX_RESPONSE_BYTES}. Request fewer \
         items."
    );
    Err(Error::new(
        ErrorKind::InvalidArgument,
        "answer_too_large",
        message,
    ))
}

fn overloaded() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "overloaded",
        "Too many calls are in progress. Try again later.",
    )
}

/// The timeout set by the client (`grpc-timeout`: up to 8 digits and a unit), minus a margin in
/// which our status can still reach the client.
fn client_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    let time = match unit {
        "H" => Duration::from_secs(amount.checked_mul(3_600)?),
        "M" => Duration::from_secs(amount.checked_mul(60)?),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    };
    Some(time.saturating_sub((time / 10).min(Duration::from_millis(20))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_parsed_in_every_unit_and_ignored_if_malformed() {
        let read = |text: &str| {
            let headers =
                HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), text.parse().unwrap())]);
            client_timeout(&headers).map(|time| time.as_micros())
        };
        assert_eq!(read("1S"), Some(980_000));
        assert_eq!(read("100m"), Some(90_000));
        assert_eq!(read("1000u"), Some(900));
        assert_eq!(
            read("99999999H"),
            Some((99_999_999 * 3_600_000_000_u128) - 20_000)
        );
        for malformed in ["", "S", "1", "1X", "-1S", "123456789S", "1.5S"] {
            assert_eq!(read(malformed), None, "{malformed}");
        }
    }
}
