//! A stand-in for `POST /v1/usage-reports`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::json_of;

pub const TOKEN: &str = "the-token";

/// The response to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Accept,
    /// The connection ends before the report is read.
    Cut,
    /// The report is accepted, and the connection ends without an answer.
    Mute,
    /// The report is accepted, and the answer comes late.
    Late,
    /// Any status, with a problem as the body.
    Status(u16),
}

#[derive(Default)]
struct State {
    /// The answers to the next requests, before `then`.
    next: Vec<Mode>,
    then: Option<Mode>,
    reports: HashMap<String, Value>,
    requests: usize,
    repeats: usize,
    compressed: usize,
}

#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let served = receiver.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, served) = (stream.unwrap(), served.clone());
                thread::spawn(move || while served.answer(&stream).is_some() {});
            }
        });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The answers to the next requests, and to all after them.
    pub fn set(&self, next: &[Mode], then: Mode) {
        let mut state = self.state.0.lock().unwrap();
        state.next = next.iter().rev().copied().collect();
        state.then = Some(then);
    }

    /// `None` at the end of the connection.
    fn answer(&self, stream: &TcpStream) -> Option<()> {
        let request = Request::read(stream)?;
        let mode = {
            let mut state = self.state.0.lock().unwrap();
            self.state.1.notify_all();
            if request.method == "HEAD" {
                Mode::Status(405)
            } else {
                state.requests += 1;
                let next = state.next.pop();
                next.or(state.then).unwrap_or(Mode::Accept)
            }
        };
        match mode {
            Mode::Cut => None,
            Mode::Accept => write(stream, self.accept(&request), ""),
            Mode::Mute => {
                self.accept(&request);
                None
            }
            Mode::Late => {
                let status = self.accept(&request);
                thread::park_timeout(Duration::from_millis(150));
                write(stream, status, "")
            }
            Mode::Status(status) => write(
                stream,
                status,
                r#"{"code":"test","field":"usage","detail":"A test."}"#,
            ),
        }
    }

    fn accept(&self, request: &Request) -> u16 {
        assert_eq!(request.path, "/v1/usage-reports");
        if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return 401;
        }
        let compressed = request.header("content-encoding") == Some("gzip");
        let report = json_of(compressed, &request.body);
        let id = report["report_id"].as_str().unwrap().to_owned();
        let mut state = self.state.0.lock().unwrap();
        state.compressed += usize::from(compressed);
        let repeat = state.reports.get(&id).inspect(|known| {
            assert_eq!(**known, report, "an id was reused for another report");
        });
        let status = if repeat.is_some() { 200 } else { 202 };
        state.repeats += usize::from(status == 200);
        state.reports.insert(id, report);
        self.state.1.notify_all();
        status
    }

    /// Waits until the accepted reports fulfil a condition.
    pub fn wait(&self, what: &str, condition: impl Fn(&[Value]) -> bool) {
        let state = self.state.0.lock().unwrap();
        let reports = |state: &State| state.reports.values().cloned().collect::<Vec<_>>();
        let wait = Duration::from_mins(1);
        let waited = self
            .state
            .1
            .wait_timeout_while(state, wait, |state| !condition(&reports(state)));
        assert!(!waited.unwrap().1.timed_out(), "{what}");
    }

    /// Waits until `more` requests have come, or for the time.
    pub fn wait_requests(&self, more: usize, at_most: Duration) {
        let state = self.state.0.lock().unwrap();
        let until = state.requests + more;
        let waiting = |state: &mut State| state.requests < until;
        drop(
            self.state
                .1
                .wait_timeout_while(state, at_most, waiting)
                .unwrap(),
        );
    }

    pub fn reports(&self) -> Vec<Value> {
        self.state
            .0
            .lock()
            .unwrap()
            .reports
            .values()
            .cloned()
            .collect()
    }

    /// Repeated and compressed requests.
    pub fn figures(&self) -> (usize, usize) {
        let state = self.state.0.lock().unwrap();
        (state.repeats, state.compressed)
    }
}

/// The sum of the lines by user and client, as `UUID|CLIENT`.
pub fn delivered(reports: &[Value]) -> HashMap<String, (i64, i64)> {
    let mut sums: HashMap<String, (i64, i64)> = HashMap::new();
    for line in reports
        .iter()
        .flat_map(|report| report["usage"].as_array().unwrap())
    {
        let mut name = line["user"].as_str().unwrap().to_owned();
        if let Some(client) = line["node_client_id"].as_i64() {
            name = format!("{name}|{client}");
        }
        let sum = sums.entry(name).or_default();
        sum.0 += line["upload"].as_i64().unwrap();
        sum.1 += line["download"].as_i64().unwrap();
    }
    sums
}

struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut stream = BufReader::new(stream);
        let mut line = || {
            let mut line = String::new();
            let read = stream.read_line(&mut line).ok()?;
            (read > 0).then(|| line.trim_end().to_owned())
        };
        let first = line()?;
        let mut headers = Vec::new();
        while let Some((name, value)) = line()?.split_once(": ") {
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let mut parts = first.split(' ').map(str::to_owned);
        let mut request = Self {
            method: parts.next()?,
            path: parts.next()?,
            headers,
            body: Vec::new(),
        };
        let length = request.header("content-length").unwrap_or("0");
        request.body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(header, _)| header == name);
        header.map(|(_, value)| value.as_str())
    }
}

fn write(mut stream: &TcpStream, status: u16, body: &str) -> Option<()> {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} Test\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).ok()
}
