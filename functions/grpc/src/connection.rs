//! Limits the number of connections and the time for which one may be idle.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

/// Time within which a new connection must send something. No client has a reason to wait.
const FIRST_BYTES: Duration = Duration::from_secs(10);

/// A connection that ends when the client has sent nothing for too long. A live client responds to
/// HTTP/2 pings.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    idle: Duration,
    timeout: Pin<Box<Sleep>>,
    _slot: OwnedSemaphorePermit,
}

/// Accepts at most `max` connections at a time, each of which may be idle for at most `idle`.
/// Further connections are closed immediately.
pub fn bounded(
    incoming: TcpIncoming,
    max: usize,
    idle: Duration,
) -> impl Stream<Item = io::Result<Connection>> {
    let free = Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
    incoming.filter_map(move |accepted| {
        let slot = Arc::clone(&free).try_acquire_owned().ok();
        if slot.is_none() {
            tracing::warn!(max, "too many connections; closing a new one");
        }
        let connection = slot.map(|slot| {
            let timeout = Box::pin(sleep(idle.min(FIRST_BYTES)));
            accepted.map(|stream| Connection {
                stream,
                idle,
                timeout,
                _slot: slot,
            })
        });
        std::future::ready(connection)
    })
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if Pin::new(&mut self.stream)
            .poll_read(cx, buffer)?
            .is_pending()
        {
            ready!(self.timeout.as_mut().poll(cx));
            return Poll::Ready(Err(io::Error::new(
                ErrorKind::TimedOut,
                "the client sent nothing within the idle timeout",
            )));
        }
        if buffer.filled().len() > before {
            let until = Instant::now() + self.idle;
            self.timeout.as_mut().reset(until);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}
