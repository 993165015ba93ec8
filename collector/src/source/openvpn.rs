//! OpenVPN's status file, version 2 (commas) or 3 (tabs).

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::counters::{Absent, Bytes, Counter, Reading};
use crate::start::Start;

const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// How often the file is read until two contents are equal.
const MAX_READS: usize = 5;

/// The counters are those of connections, which begin at zero.
pub fn read(path: &Path) -> Result<Reading> {
    let (counters, unreadable) = parse(&stable(path)?)?;
    let warning = (unreadable > 0).then(|| {
        format!(
            "{unreadable} connections have another number of columns than the header. If a common \
             name contains a comma, use `status-version 3`"
        )
    });
    Ok(Reading {
        start: Start::Unknown,
        absent: Absent::Ended,
        counters,
        warning,
    })
}

/// OpenVPN overwrites the file in place, so a single reading may mix two states.
fn stable(path: &Path) -> Result<String> {
    let read = || {
        let size = fs::metadata(path)?.len();
        ensure!(size <= MAX_FILE_BYTES, "the file has {size} bytes");
        let content = fs::read(path)?;
        Ok(String::from_utf8_lossy(&content).into_owned())
    };
    let mut content = read().with_context(|| format!("cannot read {}", path.display()))?;
    for _ in 1..MAX_READS {
        let again = read()?;
        if again == content {
            return Ok(content);
        }
        content = again;
    }
    bail!("{} changes at each reading", path.display())
}

/// The counters, and the number of connections that cannot be read.
fn parse(text: &str) -> Result<(Vec<Counter>, usize)> {
    let separator = match text.chars().find(|letter| matches!(letter, ',' | '\t')) {
        Some(separator) if text.starts_with("TITLE") => separator,
        _ => bail!("no status file of version 2 or 3; set `status-version 2` or 3 in OpenVPN"),
    };
    // A file without its end is being written.
    ensure!(
        text.lines().next_back() == Some("END"),
        "the file is incomplete"
    );
    let mut columns = None;
    let (mut counters, mut unreadable) = (Vec::new(), 0);
    for line in text.lines() {
        let mut fields: Vec<_> = line.split(separator).collect();
        match fields[..] {
            ["HEADER", "CLIENT_LIST", ..] => {
                fields.remove(0);
                columns = Some(Columns::of(&fields)?);
            }
            ["CLIENT_LIST", ..] => {
                let columns = columns.as_ref().context("a client before the header")?;
                match columns.counter(&fields)? {
                    Some(counter) => counters.push(counter),
                    None => unreadable += 1,
                }
            }
            _ => {}
        }
    }
    // A client that is not yet authenticated has no name. Its bytes are counted once it has one.
    counters.retain(|counter| counter.name != "UNDEF");
    ensure!(columns.is_some(), "the file has no header of clients");
    Ok((counters, unreadable))
}

/// Where the columns are, which differs between versions of OpenVPN.
struct Columns {
    count: usize,
    name: usize,
    received: usize,
    sent: usize,
    since: usize,
    client: usize,
}

impl Columns {
    fn of(header: &[&str]) -> Result<Self> {
        let at: HashMap<_, _> = header
            .iter()
            .zip(0..)
            .map(|(name, at)| (*name, at))
            .collect();
        let column = |name: &str| {
            let at = at.get(name).copied();
            at.with_context(|| format!("the header has no column \"{name}\""))
        };
        Ok(Self {
            count: header.len(),
            name: column("Common Name")?,
            received: column("Bytes Received")?,
            sent: column("Bytes Sent")?,
            since: column("Connected Since (time_t)")?,
            client: column("Client ID")?,
        })
    }

    fn counter(&self, fields: &[&str]) -> Result<Option<Counter>> {
        if fields.len() != self.count {
            return Ok(None);
        }
        let text = |at: usize| fields.get(at).copied().unwrap_or_default();
        let number = |at: usize| {
            let number: Result<u64, _> = text(at).parse();
            number.with_context(|| format!("\"{}\" is not a number", text(at)))
        };
        let since: i64 = text(self.since)
            .parse()
            .context("the time of a connection")?;
        Ok(Some(Counter {
            key: format!("{}:{since}", text(self.client)),
            name: text(self.name).to_owned(),
            bytes: Bytes::counted(number(self.received)?, number(self.sent)?)?,
            since_ms: Some(since.saturating_mul(1000)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION_2: &str = "TITLE,OpenVPN 2.6.14 x86_64-pc-linux-gnu\n\
        TIME,2026-11-20 10:00:10,1795168810\n\
        HEADER,CLIENT_LIST,Common Name,Real Address,Virtual Address,Virtual IPv6 Address,\
        Bytes Received,Bytes Sent,Connected Since,Connected Since (time_t),Username,Client ID,\
        Peer ID,Data Channel Cipher\n\
        CLIENT_LIST,alice,203.0.113.7:5555,10.8.0.2,,6592599,1234,2026-11-20 10:00:00,1795168800,\
        UNDEF,0,0,AES-256-GCM\n\
        CLIENT_LIST,UNDEF,203.0.113.8:5555,,,99,98,2026-11-20 10:00:09,1795168809,UNDEF,1,1,\n\
        HEADER,ROUTING_TABLE,Virtual Address,Common Name,Real Address,Last Ref,Last Ref (time_t)\n\
        ROUTING_TABLE,10.8.0.2,alice,203.0.113.7:5555,2026-11-20 10:00:09,1795168809\n\
        GLOBAL_STATS,Max bcast/mcast queue length,0\n\
        END\n";

    #[test]
    fn received_bytes_are_the_users_upload_in_both_versions() {
        for text in [VERSION_2.to_owned(), VERSION_2.replace(',', "\t")] {
            let (counters, unreadable) = parse(&text).unwrap();
            assert_eq!(unreadable, 0);
            let expected = Counter {
                key: "0:1795168800".to_owned(),
                name: "alice".to_owned(),
                bytes: Bytes {
                    upload: 6_592_599,
                    download: 1234,
                },
                since_ms: Some(1_795_168_800_000),
            };
            assert_eq!(counters, [expected]);
        }
    }

    #[test]
    fn a_comma_in_a_name_is_readable_in_version_3_only() {
        let text = VERSION_2.replace("alice", "a, b");
        assert_eq!(parse(&text).unwrap().1, 1);
        let text = VERSION_2.replace(',', "\t").replace("alice", "a, b");
        let (counters, unreadable) = parse(&text).unwrap();
        assert_eq!((counters[0].name.as_str(), unreadable), ("a, b", 0));
    }

    #[test]
    fn a_file_that_is_being_written_is_not_used() {
        let whole = VERSION_2.trim_end();
        for end in [0, 5, 300, whole.len() - 1] {
            assert!(parse(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_file_of_version_1_is_rejected_with_the_remedy() {
        let text = "OpenVPN CLIENT LIST\nUpdated,2026-11-20 10:00:10\nEND\n";
        let error = parse(text).unwrap_err();
        assert!(error.to_string().contains("status-version"), "{error}");
    }

    #[test]
    fn columns_are_found_by_their_names() {
        let text = VERSION_2.replace("Client ID", "Other");
        let error = parse(&text).unwrap_err();
        assert!(error.to_string().contains("\"Client ID\""), "{error}");
    }
}
