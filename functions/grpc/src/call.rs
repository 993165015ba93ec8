//! One call, whichever: who asks, whether they may, the work within its deadline, the answer, one line in the log.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use http::HeaderMap;
use shared::auth::{Authenticator, Principal};
use shared::deadline;
use shared::error::{Error, ErrorKind};
use shared::services::{Operation, Processor};
use tokio::sync::Semaphore;
use tonic::{Code, Request, Response, Status};

use crate::message::Message;
use crate::status;

/// What all calls share.
#[derive(Debug, Clone)]
pub struct Edge {
    authenticator: Authenticator,
    slots: Arc<Semaphore>,
    longest: Duration,
}

impl Edge {
    /// At most `max_calls` at once, each at most `longest`.
    pub fn new(authenticator: Authenticator, max_calls: usize, longest: Duration) -> Self {
        Self { authenticator, slots: Arc::new(Semaphore::new(max_calls.min(Semaphore::MAX_PERMITS))), longest }
    }

    /// Answers a call: `read` turns the request into the processor's input.
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
        R: Message<S::Output>,
    {
        let mut line = CallLine::begin(I::NAME);
        let work = AssertUnwindSafe(self.answer(service, request, read)).catch_unwind();
        let outcome = work.await.unwrap_or_else(|_| Err(Error::internal("the call panicked")));
        line.end(outcome.as_ref().err());
        outcome.map(|output| Response::new(R::of(output))).map_err(|error| status::of(&error))
    }

    async fn answer<I, S, M>(
        &self,
        service: &S,
        request: Request<M>,
        read: impl FnOnce(&Principal, M) -> Result<I, Error> + Send,
    ) -> Result<S::Output, Error>
    where
        I: Operation + Send,
        S: Processor<I> + Sync,
        M: Send,
    {
        let _slot = self.slots.try_acquire().map_err(|_| overloaded())?;
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let time = client_timeout(&headers).map_or(self.longest, |asked| asked.min(self.longest));
        deadline::within(Some(time), async {
            let principal = self.authenticator.authenticate(&headers).await?;
            principal.authorize(I::ACCESS)?;
            let input = read(&principal, message)?;
            principal.authorize(input.access())?;
            service.process(input).await
        })
        .await
    }
}

fn overloaded() -> Error {
    Error::new(ErrorKind::Unavailable, "overloaded", "too many calls are under way; try again later")
}

/// The time that the client allows (`grpc-timeout`: up to 8 digits and a unit), less a little for the way back: it should
/// hear from us what happened.
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

/// The call's line in the log; one that the client gave up is logged as well.
struct CallLine {
    operation: &'static str,
    began: Instant,
    ended: bool,
}

impl CallLine {
    fn begin(operation: &'static str) -> Self {
        Self { operation, began: Instant::now(), ended: false }
    }

    fn end(&mut self, error: Option<&Error>) {
        self.ended = true;
        let code = error.map_or(Code::Ok, |error| status::code(error.kind()));
        let (error_code, said) = (error.map(Error::code), error.map(ToString::to_string));
        let cause = error.map(Error::cause);
        let (operation, took_ms) = (self.operation, self.took_ms());
        match error.map(Error::kind) {
            Some(ErrorKind::Internal) => {
                tracing::error!(operation, ?code, took_ms, error_code, error = said, cause, "call answered");
            }
            Some(ErrorKind::Unavailable | ErrorKind::DeadlineExceeded) => {
                tracing::warn!(operation, ?code, took_ms, error_code, error = said, cause, "call answered");
            }
            _ => tracing::info!(operation, ?code, took_ms, error_code, error = said, "call answered"),
        }
    }

    fn took_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for CallLine {
    fn drop(&mut self) {
        if !self.ended {
            tracing::info!(operation = self.operation, code = ?Code::Cancelled, took_ms = self.took_ms(), "call given up");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_timeout_is_read_in_every_unit_and_nonsense_is_none() {
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), text.parse().unwrap())]);
            client_timeout(&headers).map(|time| time.as_micros())
        };
        assert_eq!(read("1S"), Some(980_000));
        assert_eq!(read("100m"), Some(90_000));
        assert_eq!(read("1000u"), Some(900));
        assert_eq!(read("99999999H"), Some((99_999_999 * 3_600_000_000_u128) - 20_000));
        for nonsense in ["", "S", "1", "1X", "-1S", "123456789S", "1.5S"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
