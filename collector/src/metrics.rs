//! Metrics in Prometheus' text format.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::config::Config;
use crate::spool::{Spool, Summary};

const TIMEOUT: Duration = Duration::from_secs(2);

/// Serves `GET /metrics` until the process ends. `config` is read at each request, because names may
/// become known at any time.
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
    let mut request = [0; 1024];
    let length = stream.read(&mut request)?;
    let request = request.get(..length).unwrap_or_default();
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

fn current(config: &Path) -> Result<String> {
    let config = Config::read(config)?;
    let spool = Spool::open_read_only(&config.spool, config.server_id)?;
    let spool = spool.context("Nothing is stored yet")?;
    text(&spool.summary(&config.names)?)
}

/// Instants are seconds since 1970, and 0 if there is none.
pub fn text(summary: &Summary) -> Result<String> {
    let mut text = String::new();
    let seconds = |ms: Option<i64>| ms.unwrap_or(0) / 1000;
    let unknown = i64::try_from(summary.unknown_names_total)?;
    let metrics = [
        ("rounds_total", "Rounds of readings.", summary.rounds),
        (
            "last_read_timestamp_seconds",
            "Last reading.",
            seconds(summary.read_at_ms),
        ),
        ("spool_bytes", "Size of the spool.", summary.spool_bytes),
        (
            "waiting_reports",
            "Reports that are not accepted yet.",
            summary.waiting_reports,
        ),
        (
            "waiting_since_timestamp_seconds",
            "Since when the oldest report waits.",
            seconds(summary.waiting_since_ms),
        ),
        (
            "pending_upload_bytes",
            "Uploaded bytes in no report yet.",
            summary.pending_upload,
        ),
        (
            "pending_download_bytes",
            "Downloaded bytes in no report yet.",
            summary.pending_download,
        ),
        (
            "sent_reports_total",
            "Accepted reports.",
            summary.sent_reports,
        ),
        (
            "sent_upload_bytes_total",
            "Uploaded bytes in accepted reports.",
            summary.sent_upload,
        ),
        (
            "sent_download_bytes_total",
            "Downloaded bytes in accepted reports.",
            summary.sent_download,
        ),
        (
            "last_sent_timestamp_seconds",
            "Last accepted report.",
            seconds(summary.sent_at_ms),
        ),
        (
            "failing_since_timestamp_seconds",
            "Since when no report can be sent.",
            seconds(summary.failing_since_ms),
        ),
        (
            "token_rejected",
            "Whether the receiver rejects the token.",
            i64::from(summary.token_rejected),
        ),
        (
            "refused_reports",
            "Reports that were set aside.",
            summary.refused_total,
        ),
        ("unknown_names", "Names that stand for no user.", unknown),
        (
            "unknown_upload_bytes",
            "Uploaded bytes of unknown names.",
            summary.unknown_upload,
        ),
        (
            "unknown_download_bytes",
            "Downloaded bytes of unknown names.",
            summary.unknown_download,
        ),
    ];
    for (name, help, value) in metrics {
        head(&mut text, name, help)?;
        writeln!(text, "telecom_collector_{name} {value}")?;
    }
    add_sources(&mut text, summary)?;
    Ok(text)
}

fn add_sources(text: &mut String, summary: &Summary) -> Result<()> {
    head(
        text,
        "source_up",
        "Whether the last reading of the source succeeded.",
    )?;
    for source in &summary.sources {
        let up = i32::from(source.error.is_none() && source.read_at_ms.is_some());
        writeln!(
            text,
            "telecom_collector_source_up{{source=\"{}\"}} {up}",
            source.name
        )?;
    }
    let metrics = [
        "source_counters",
        "source_restarts_total",
        "source_fallen_counters_total",
    ];
    let help = [
        "Counters.",
        "Restarts of the node software.",
        "Counters that another program reset.",
    ];
    for (at, (name, help)) in metrics.into_iter().zip(help).enumerate() {
        head(text, name, help)?;
        for source in &summary.sources {
            let values = [source.counters, source.restarts, source.fallen_counters];
            let value = values.get(at).copied().unwrap_or_default();
            writeln!(
                text,
                "telecom_collector_{name}{{source=\"{}\"}} {value}",
                source.name
            )?;
        }
    }
    Ok(())
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
