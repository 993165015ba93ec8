//! A receiver of webhooks on a socket, which may misbehave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a receiver does with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It answers with a status and header lines, and closes the connection.
    Status(u16, &'static str),
    /// It keeps the connection open and never answers.
    Hang,
    /// It answers after a while.
    Slow(Duration),
    /// It sends a head that never ends, a byte at a time.
    DripHead,
    /// It sends the head at once, and a body that never ends, a byte at a time.
    DripBody,
    /// It sends the head at once, and a body without end.
    Flood,
    /// It resets the connection.
    Reset,
}

impl Answer {
    /// The answer of a receiver that accepts the fact.
    pub const ACCEPTED: Self = Self::Status(204, "");
}

/// A request that the receiver read.
#[derive(Debug, Clone)]
pub struct Received {
    /// Method, path and version.
    pub line: String,
    /// Headers by their names in lower case.
    pub headers: HashMap<String, String>,
    pub body: String,
}

/// A receiver that stops with the test.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// Starts a receiver whose answer depends on the number of requests before.
    pub async fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let kept = Arc::clone(&received);
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                tokio::spawn(async move {
                    let _ = serve(stream, &kept, &*answer).await;
                });
            }
        });
        Self { port, received }
    }

    /// The receiver's port, on which it listens on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// URL of the receiver under a name that only the test resolves.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://receiver.test:{}/hook", self.port)
    }

    /// The requests so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    kept: &Mutex<Vec<Received>>,
    answer: impl Fn(usize) -> Answer,
) -> std::io::Result<()> {
    let request = read(&mut stream).await?;
    let before = {
        let mut kept = kept.lock().unwrap();
        kept.push(request);
        kept.len() - 1
    };
    match answer(before) {
        Answer::Status(status, headers) => {
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n{headers}\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.shutdown().await
        }
        Answer::Hang => std::future::pending().await,
        Answer::Slow(time) => {
            tokio::time::sleep(time).await;
            let head = "HTTP/1.1 204 x\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(head.as_bytes()).await
        }
        Answer::DripHead => {
            stream.write_all(b"HTTP/1.1 200 x\r\nx: ").await?;
            drip(stream).await
        }
        Answer::DripBody => {
            let head = b"HTTP/1.1 200 x\r\ncontent-length: 1000000\r\n\r\n";
            stream.write_all(head).await?;
            drip(stream).await
        }
        Answer::Flood => {
            let head = b"HTTP/1.1 200 x\r\ncontent-length: 1000000000000\r\n\r\n";
            stream.write_all(head).await?;
            let part = vec![b'x'; 65_536];
            loop {
                stream.write_all(&part).await?;
            }
        }
        Answer::Reset => {
            // Without waiting for unsent bytes, closing sends a reset.
            stream.set_zero_linger()
        }
    }
}

async fn drip(mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(b"x").await?;
    }
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Received> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let line = lines.next().unwrap_or_default().to_owned();
            let headers: HashMap<String, String> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let length = headers.get("content-length").map(|length| length.parse());
            if body.len() >= length.and_then(Result::ok).unwrap_or(0) {
                return Ok(Received {
                    line,
                    headers,
                    body: body.to_owned(),
                });
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&part[..read]),
        }
    }
}
