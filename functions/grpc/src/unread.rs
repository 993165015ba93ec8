//! Limits the memory and the time for which responses wait until their clients read them.
//!
//! A response is encoded as a whole and waits in memory until the client's flow-control window has
//! room for it. Without a limit, a client that keeps the window closed would hold the response for
//! the lifetime of its connection.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tonic::Status;
use tonic::body::Body;

/// Maximum number of bytes of all waiting responses together.
const MAX_UNREAD_BYTES: usize = 64 << 20;
/// Maximum number of bytes passed to the connection at a time. The connection buffers up to this
/// amount of a response regardless of the client's window.
const CHUNK_BYTES: usize = 16 << 10;
/// Unit in which the semaphore counts memory.
const UNIT_BYTES: usize = 1 << 10;

/// Memory for waiting responses.
#[derive(Debug, Clone)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_UNREAD_BYTES / UNIT_BYTES)))
    }
}

/// The memory that a response occupies until it is read. An extension of the response, hence `Arc`.
#[derive(Debug, Clone)]
pub struct Taken {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Room {
    /// Reserves memory for a response. `None` if not enough is left.
    pub fn take(&self, bytes: usize) -> Option<Taken> {
        let units = u32::try_from(bytes / UNIT_BYTES + 1).ok()?;
        Arc::clone(&self.0)
            .try_acquire_many_owned(units)
            .ok()
            .map(|permit| Taken {
                _permit: Arc::new(permit),
            })
    }
}

/// A response that the client is reading.
#[derive(Debug)]
struct Unread {
    body: Body,
    chunk: Bytes,
    _taken: Taken,
}

/// A response that is dropped when its time is over. Nothing else can remove it from a connection
/// whose client does not read.
#[derive(Debug)]
struct Bounded {
    unread: Arc<Mutex<Option<Unread>>>,
    timer: AbortHandle,
}

/// Limits the time in which the client must read a response that occupies [`Room`].
pub fn bound(mut response: Response<Body>, time: Duration) -> Response<Body> {
    match response.extensions_mut().remove::<Taken>() {
        Some(taken) => response.map(|body| Body::new(Bounded::new(body, taken, time))),
        None => response,
    }
}

impl Bounded {
    fn new(body: Body, taken: Taken, time: Duration) -> Self {
        let unread = Arc::new(Mutex::new(Some(Unread {
            body,
            chunk: Bytes::new(),
            _taken: taken,
        })));
        let for_timer = Arc::clone(&unread);
        let timer = tokio::spawn(async move {
            tokio::time::sleep(time).await;
            drop(lock(&for_timer).take());
        });
        Self {
            unread,
            timer: timer.abort_handle(),
        }
    }
}

fn lock(unread: &Mutex<Option<Unread>>) -> MutexGuard<'_, Option<Unread>> {
    unread.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Bounded {
    fn drop(&mut self) {
        // The task of the timer shares the response and ends only some time after the abort.
        drop(lock(&self.unread).take());
        self.timer.abort();
    }
}

impl Unread {
    /// The next frame. Data is split into chunks.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.chunk.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx))
                .transpose()?
                .map(Frame::into_data)
            {
                Some(Ok(data)) => self.chunk = data,
                Some(Err(trailers)) => return Poll::Ready(Some(Ok(trailers))),
                None => return Poll::Ready(None),
            }
        }
        let length = self.chunk.len().min(CHUNK_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.chunk.split_to(length)))))
    }
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match lock(&self.unread).as_mut() {
            Some(unread) => unread.poll_next(cx),
            None => Poll::Ready(Some(Err(Status::deadline_exceeded(
                "The client did not read the response in time.",
            )))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http::HeaderMap;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn response(bytes: usize, taken: Taken) -> Response<Body> {
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let frames = [
            Frame::data(Bytes::from(vec![7; bytes])),
            Frame::trailers(trailers),
        ];
        let mut response = Response::new(Body::new(StreamBody::new(stream::iter(
            frames.map(Ok::<_, Infallible>),
        ))));
        response.extensions_mut().insert(taken);
        response
    }

    #[tokio::test]
    async fn a_response_is_read_completely_and_in_chunks() {
        let taken = Room::default().take(100_000).unwrap();
        let mut body = bound(response(100_000, taken), Duration::from_mins(1)).into_body();
        let (mut read, mut trailers) = (0, None);
        while let Some(frame) = body.frame().await {
            match frame.unwrap().into_data() {
                Ok(data) => {
                    assert!(data.len() <= CHUNK_BYTES && data.iter().all(|byte| *byte == 7));
                    read += data.len();
                }
                Err(other) => trailers = other.into_trailers().ok(),
            }
        }
        assert_eq!(
            (read, trailers.unwrap()["grpc-status"].to_str().unwrap()),
            (100_000, "0")
        );
    }

    #[tokio::test]
    async fn an_answer_that_is_not_read_is_dropped_and_makes_room() {
        let room = Room::default();
        let taken = room.take(MAX_UNREAD_BYTES - UNIT_BYTES).unwrap();
        assert!(room.take(1).is_none(), "the response occupies all the room");
        let mut unread = bound(response(1, taken), Duration::from_millis(20)).into_body();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(
            room.take(MAX_UNREAD_BYTES - UNIT_BYTES).is_some(),
            "there is room again"
        );
        assert_eq!(
            unread.frame().await.unwrap().unwrap_err().code(),
            tonic::Code::DeadlineExceeded
        );
    }

    #[tokio::test]
    async fn a_dropped_response_releases_its_room_immediately() {
        let room = Room::default();
        let taken = room.take(MAX_UNREAD_BYTES - UNIT_BYTES).unwrap();
        drop(bound(response(1, taken), Duration::from_mins(1)));
        assert!(room.take(1).is_some());
    }
}
