//! The configuration file.

mod raw;
mod source;

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tracing::Level;

use crate::names::Names;
use raw::{Raw, RawSink};
pub use source::{Service, SourceConfig, WG_COMMAND};

/// Where the reports go.
#[derive(Debug, Clone)]
pub enum SinkConfig {
    Https {
        url: String,
        token: Token,
        /// Certificates to trust instead of those of the public authorities.
        ca_file: Option<PathBuf>,
    },
    Sqs {
        queue_url: String,
    },
}

#[derive(Clone)]
pub enum Token {
    Text(String),
    /// Read before each request, so that a token can be replaced without a restart.
    File(PathBuf),
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// The configuration, all of it validated.
#[derive(Debug)]
pub struct Config {
    pub server_id: i32,
    pub spool: PathBuf,
    pub spool_max_bytes: i64,
    pub read_every: Duration,
    pub report_every: Duration,
    pub metrics_listen: Option<SocketAddr>,
    pub log: Level,
    pub sink: SinkConfig,
    pub sources: Vec<SourceConfig>,
    pub names: Names,
}

impl Config {
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("Cannot read the configuration {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("In the configuration {}", path.display()))
    }

    pub fn parse(text: &str) -> Result<Self> {
        let raw: Raw = toml::from_str(text).map_err(|error| located(text, &error))?;
        let (read_every, report_every) = intervals(&raw)?;
        let sources = raw.source.into_iter().enumerate();
        let sources = sources.map(|(at, source)| source.validate(at + 1));
        let sources = sources.collect::<Result<Vec<_>>>()?;
        check_names(&sources)?;
        let mut names = Names::new(&raw.users, raw.users_file)?;
        for source in &sources {
            names.add_source(&source.name, source.node_client_id, &source.ignore);
        }
        let max_mib = raw.spool_max_mib;
        ensure!(
            (1..=1_048_576).contains(&max_mib),
            "`spool_max_mib` is {max_mib}; accepted: 1 to 1048576"
        );
        Ok(Self {
            server_id: raw.server_id,
            spool: absolute(raw.spool, "spool")?,
            spool_max_bytes: max_mib * 1024 * 1024,
            read_every,
            report_every,
            metrics_listen: raw.metrics_listen.as_deref().map(loopback).transpose()?,
            log: level(&raw.log)?,
            sink: sink(raw.sink)?,
            sources,
            names,
        })
    }
}

/// The error with its line and key, but without the value, which may be a token.
fn located(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let before = error.span().and_then(|span| text.get(..span.start));
    let Some(before) = before.filter(|before| !before.is_empty()) else {
        return anyhow!("{}", error.message());
    };
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let key = line.split('=').next().unwrap_or_default().trim();
    anyhow!("line {number}, `{key}`: {}", error.message())
}

fn intervals(raw: &Raw) -> Result<(Duration, Duration)> {
    let (read, report) = (raw.read_seconds, raw.report_seconds);
    ensure!(
        (0.05..=60.0).contains(&read),
        "`read_seconds` is {read}; accepted: 0.05 to 60"
    );
    ensure!(
        (read..=3600.0).contains(&report),
        "`report_seconds` is {report}; accepted: `read_seconds` ({read}) to 3600"
    );
    Ok((
        Duration::from_secs_f64(read),
        Duration::from_secs_f64(report),
    ))
}

fn check_names(sources: &[SourceConfig]) -> Result<()> {
    ensure!(
        (1..=64).contains(&sources.len()),
        "{} [[source]] sections; accepted: 1 to 64",
        sources.len()
    );
    let mut names = HashSet::new();
    for source in sources {
        let name = &source.name;
        ensure!(
            names.insert(name),
            "two sources have the `name` \"{name}\"; give each its own, and keep it: it identifies \
             the stored counters"
        );
    }
    Ok(())
}

fn absolute(path: PathBuf, key: &str) -> Result<PathBuf> {
    let shown = path.display();
    ensure!(
        path.is_absolute(),
        "`{key}` is {shown}; expected an absolute path"
    );
    Ok(path)
}

fn level(text: &str) -> Result<Level> {
    let levels = ["error", "warn", "info", "debug"];
    ensure!(
        levels.contains(&text),
        "`log` is \"{text}\"; accepted: {}",
        levels.join(", ")
    );
    text.parse().context("`log`")
}

fn loopback(text: &str) -> Result<SocketAddr> {
    let address: Option<SocketAddr> = text.parse().ok();
    let address = address.filter(|address| address.ip().is_loopback());
    address.with_context(|| {
        format!(
            "`metrics_listen` is \"{text}\"; expected a loopback address, such as 127.0.0.1:9464"
        )
    })
}

fn sink(raw: RawSink) -> Result<SinkConfig> {
    match (raw.url, raw.queue_url) {
        (Some(url), None) => Ok(SinkConfig::Https {
            url: https_url(&url)?,
            token: token(raw.token, raw.token_file)?,
            ca_file: raw.ca_file,
        }),
        (None, Some(queue_url)) => {
            let unused = raw.token.is_some() || raw.token_file.is_some() || raw.ca_file.is_some();
            ensure!(
                !unused,
                "[sink]: with `queue_url`, no other key is accepted"
            );
            ensure!(
                cfg!(feature = "sqs"),
                "`sink.queue_url`: this program was built without the feature `sqs`. Use `sink.url`"
            );
            Ok(SinkConfig::Sqs { queue_url })
        }
        _ => bail!("[sink]: expected either `url` or `queue_url`"),
    }
}

/// The token crosses the network, so only a loopback address may do without TLS.
fn https_url(url: &str) -> Result<String> {
    let parsed: Option<http::Uri> = url.parse().ok();
    let host = parsed
        .as_ref()
        .and_then(http::Uri::host)
        .unwrap_or_default();
    let local = ["127.0.0.1", "[::1]", "localhost"].contains(&host);
    let scheme = parsed.as_ref().and_then(http::Uri::scheme_str);
    let accepted = matches!((scheme, local), (Some("https"), _) | (Some("http"), true));
    let bare = parsed.as_ref().is_some_and(|url| url.query().is_none());
    ensure!(
        accepted && bare && !host.is_empty(),
        "`sink.url` is \"{url}\"; expected https://HOST[:PORT][/PATH], or http:// with a loopback \
         address"
    );
    Ok(url.trim_end_matches('/').to_owned())
}

fn token(text: Option<String>, file: Option<PathBuf>) -> Result<Token> {
    match (text, file) {
        (Some(text), None) => {
            let printable = text.chars().all(|letter| letter.is_ascii_graphic());
            ensure!(
                printable && !text.is_empty(),
                "`sink.token` is empty or contains blanks"
            );
            Ok(Token::Text(text))
        }
        (None, Some(file)) => Ok(Token::File(absolute(file, "sink.token_file")?)),
        _ => bail!("[sink]: with `url`, expected either `token_file` or `token`"),
    }
}

#[cfg(test)]
mod tests;
