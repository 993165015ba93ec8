//! Reads the metrics of the gRPC server as Prometheus does.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A response over HTTP/1.1.
#[derive(Debug)]
pub struct Scrape {
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// One line of the metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Sends a request without a body on a new connection, and reads until the server closes it.
pub async fn request(address: SocketAddr, line: &str, headers: &str) -> Scrape {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nhost: metrics\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase(), value.to_owned())
    });
    Scrape {
        status: status.parse().unwrap(),
        headers: headers.collect(),
        body: body.to_owned(),
    }
}

/// The metrics of the server at `address`.
pub async fn scrape(address: SocketAddr) -> Vec<Sample> {
    let accept = "accept: application/openmetrics-text\r\n";
    let scrape = request(address, "GET /metrics", accept).await;
    assert_eq!(scrape.status, 200, "{}", scrape.body);
    assert!(scrape.body.ends_with("# EOF\n"));
    samples(&scrape.body)
}

/// Parses the text format. Every sample must have a type.
#[must_use]
pub fn samples(text: &str) -> Vec<Sample> {
    let typed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples: Vec<Sample> = samples.map(sample).collect();
    for Sample { name, .. } in &samples {
        let family = ["_total", "_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        let family = family.unwrap_or(name);
        assert!(typed.contains(&family), "{name} has no type");
    }
    samples
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series
        .split_once('{')
        .map_or((series, ""), |(name, labels)| {
            (name, labels.strip_suffix('}').unwrap())
        });
    Sample {
        name: name.to_owned(),
        labels: pairs(labels),
        value: value.parse().unwrap(),
    }
}

/// The labels in `a="1",b="2"`, by name.
fn pairs(mut text: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let (mut value, mut characters) = (String::new(), rest.char_indices());
        let end = loop {
            match characters.next().expect("the value ends") {
                (end, '"') => break end,
                (_, '\\') => match characters.next().unwrap().1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        pairs.insert(name.to_owned(), value);
        text = rest[end + 1..].trim_start_matches(',');
    }
    pairs
}

/// The value of the only sample with this name and these labels. `None` if there is none.
#[must_use]
pub fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let matches = |sample: &&Sample| {
        let has = |(label, value): &(&str, &str)| {
            sample
                .labels
                .get(*label)
                .is_some_and(|found| found == value)
        };
        sample.name == name && labels.iter().all(has)
    };
    let found: Vec<&Sample> = samples.iter().filter(matches).collect();
    assert!(found.len() <= 1, "{name} {labels:?}: {found:?}");
    found.first().map(|sample| sample.value)
}
