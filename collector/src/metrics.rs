//! Metrics in Prometheus' text format.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::config::Config;
use crate::spool::{SourceState, Spool, Summary};

const TIMEOUT: Duration = Duration::from_secs(2);
const MAX_REQUEST_BYTES: usize = 16 * 1024;

/// Serves `GET /metrics` until the process ends. `config` is read at each request, because names
/// may become known at any time.
pub fn serve(address: SocketAddr, config: PathBuf) -> Result<()> {
    let listener = TcpListener::bind(address);
    let listener = listener.with_context(|| format!("`metrics_listen`: cannot use {address}"))?;
    let serve = move || {
        for stream in listener.incoming().flatten() {
            if let Err(error) = answer(stream, &config) {
                tracing::debug!("metrics: {error:#}");
            }
        }
    };
    thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(serve)?;
    Ok(())
}

fn answer(mut stream: TcpStream, config: &Path) -> Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let request = head_of_request(&mut stream)?;
    let (status, body) = if request.starts_with(b"GET /metrics ") {
        match current(config) {
            Ok(metrics) => ("200 OK", metrics),
            Err(error) => ("500 Internal Server Error", format!("{error:#}\n")),
        }
    } else {
        ("404 Not Found", "The metrics are at /metrics.\n".to_owned())
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(stream.flush()?)
}

/// Reads to the end of the headers, so that the client has sent all of them before the response.
fn head_of_request(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") && request.len() < MAX_REQUEST_BYTES {
        let length = stream.read(&mut part)?;
        if length == 0 {
            break;
        }
        request.extend_from_slice(part.get(..length).unwrap_or_default());
    }
    Ok(request)
}

fn current(config: &Path) -> Result<String> {
    let config = Config::read(config)?;
    let spool = Spool::open_read_only(&config.spool, config.server_id)?;
    let spool = spool.context("Nothing is stored yet")?;
    text(&spool.summary(&config.names)?)
}

/// The metrics without labels, and what they mean.
const HELP: [(&str, &str); 17] = [
    ("rounds_total", "Rounds of readings."),
    ("last_read_timestamp_seconds", "Last reading."),
    ("spool_bytes", "Size of the spool."),
    ("waiting_reports", "Reports that are not accepted yet."),
    (
        "waiting_since_timestamp_seconds",
        "Since when the oldest report waits.",
    ),
    ("pending_upload_bytes", "Uploaded bytes in no report yet."),
    (
        "pending_download_bytes",
        "Downloaded bytes in no report yet.",
    ),
    ("sent_reports_total", "Accepted reports."),
    (
        "sent_upload_bytes_total",
        "Uploaded bytes in accepted reports.",
    ),
    (
        "sent_download_bytes_total",
        "Downloaded bytes in accepted reports.",
    ),
    ("last_sent_timestamp_seconds", "Last accepted report."),
    (
        "failing_since_timestamp_seconds",
        "Since when no report can be sent.",
    ),
    ("token_rejected", "Whether the receiver rejects the token."),
    ("refused_reports", "Reports that were set aside."),
    ("unknown_names", "Names that stand for no user."),
    ("unknown_upload_bytes", "Uploaded bytes of unknown names."),
    (
        "unknown_download_bytes",
        "Downloaded bytes of unknown names.",
    ),
];

/// In the order of [`HELP`]. Instants are seconds since 1970, and 0 if there is none.
fn values(summary: &Summary) -> [i64; HELP.len()] {
    let seconds = |ms: Option<i64>| ms.unwrap_or(0) / 1000;
    [
        summary.rounds,
        seconds(summary.read_at_ms),
        summary.spool_bytes,
        summary.waiting_reports,
        seconds(summary.waiting_since_ms),
        summary.pending_upload,
        summary.pending_download,
        summary.sent_reports,
        summary.sent_upload,
        summary.sent_download,
        seconds(summary.sent_at_ms),
        seconds(summary.failing_since_ms),
        i64::from(summary.token_rejected),
        summary.refused_total,
        i64::try_from(summary.unknown_names_total).unwrap_or(i64::MAX),
        summary.unknown_upload,
        summary.unknown_download,
    ]
}

pub fn text(summary: &Summary) -> Result<String> {
    let mut text = String::new();
    for ((name, help), value) in HELP.into_iter().zip(values(summary)) {
        head(&mut text, name, help)?;
        writeln!(text, "telecom_collector_{name} {value}")?;
    }
    add_sources(&mut text, summary)?;
    Ok(text)
}

fn add_sources(text: &mut String, summary: &Summary) -> Result<()> {
    type Value = fn(&SourceState) -> i64;
    let metrics: [(&str, &str, Value); 4] = [
        ("source_up", "Whether the last reading succeeded.", up),
        ("source_counters", "Counters.", |source| source.counters),
        (
            "source_restarts_total",
            "Restarts of the node software.",
            |source| source.restarts,
        ),
        (
            "source_fallen_counters_total",
            "Counters that fell without a restart.",
            |source| source.fallen_counters,
        ),
    ];
    for (name, help, value) in metrics {
        head(text, name, help)?;
        for source in &summary.sources {
            let (label, value) = (&source.name, value(source));
            writeln!(
                text,
                "telecom_collector_{name}{{source=\"{label}\"}} {value}"
            )?;
        }
    }
    Ok(())
}

fn up(source: &SourceState) -> i64 {
    i64::from(source.error.is_none() && source.read_at_ms.is_some())
}

fn head(text: &mut String, name: &str, help: &str) -> Result<()> {
    let kind = if name.ends_with("_total") {
        "counter"
    } else {
        "gauge"
    };
    writeln!(text, "# HELP telecom_collector_{name} {help}")?;
    writeln!(text, "# TYPE telecom_collector_{name} {kind}")?;
    Ok(())
}
