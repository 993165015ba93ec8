//! WireGuard's transfer counters, as `wg show all transfer` prints them. Its other outputs carry
//! private keys.

use std::collections::HashMap;
use std::fs;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use super::TIMEOUT;
use crate::clock::Now;
use crate::config::WG_COMMAND;
use crate::counters::{Absent, Bytes, Counter, Reading};
use crate::start::Start;

pub async fn read(command: &[String], interface: Option<&str>) -> Result<Reading> {
    // Another command may show interfaces of another namespace, whose indexes cannot be read.
    let indexed = command == WG_COMMAND;
    let before = indexed.then(indexes);
    let output = run(command).await?;
    let after = indexed.then(indexes);
    let text = String::from_utf8(output.stdout).context("the output is no text")?;
    let boot = Now::read().boot;
    let boot = boot.get(..8).unwrap_or(&boot);
    let epoch = |device: &str| match (&before, &after) {
        (Some(before), Some(after)) => {
            let index = before
                .get(device)
                .filter(|index| after.get(device) == Some(*index));
            let index =
                index.with_context(|| format!("{device} was changed during the reading"))?;
            Ok(format!("{boot}/{index}"))
        }
        _ => Ok(boot.to_owned()),
    };
    Ok(Reading {
        start: Start::Unknown,
        absent: Absent::Ended,
        counters: parse(&text, interface, epoch)?,
        warning: None,
    })
}

/// The indexes of the interfaces. An interface that is created again gets another one.
fn indexes() -> HashMap<String, String> {
    let devices = fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten();
    let index = |device: fs::DirEntry| {
        let index = fs::read_to_string(device.path().join("ifindex")).ok()?;
        let name = device.file_name().into_string().ok()?;
        Some((name, index.trim().to_owned()))
    };
    devices.filter_map(index).collect()
}

async fn run(command: &[String]) -> Result<Output> {
    let (program, arguments) = command.split_first().context("the command is empty")?;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null());
    let output = timeout(TIMEOUT, command.output()).await;
    let output = output.map_err(|_| anyhow!("`{program}` did not end in time"))?;
    let output = output.with_context(|| format!("cannot run `{program}`"))?;
    // `wg` skips an interface that it cannot read, and ends with success. Its peers would seem
    // gone.
    ensure!(
        output.status.success() && output.stderr.is_empty(),
        "`{program}`: {}, {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output)
}

/// Parses lines of interface, public key, received and sent bytes. The users' upload is received.
fn parse(
    text: &str,
    interface: Option<&str>,
    epoch: impl Fn(&str) -> Result<String>,
) -> Result<Vec<Counter>> {
    let mut counters = Vec::new();
    for line in text.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [device, peer, received, sent] = fields[..] else {
            bail!("expected interface, peer, received and sent bytes in each line");
        };
        if interface.is_some_and(|interface| interface != device) {
            continue;
        }
        let bytes = Bytes::counted(
            received.parse().context("received bytes")?,
            sent.parse().context("sent bytes")?,
        )?;
        counters.push(Counter {
            key: format!("{}/{device}/{peer}", epoch(device)?),
            name: peer.to_owned(),
            bytes,
            since_ms: None,
        });
    }
    Ok(counters)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "wg0\tkeyA=\t5307816\t6164496\nwg0\tkeyB=\t0\t0\nwg1\tkeyA=\t7\t8\n";

    #[test]
    fn received_bytes_are_the_users_upload() {
        let counters = parse(OUTPUT, None, |device| Ok(format!("boot/{device}"))).unwrap();
        let bytes = |upload, download| Bytes { upload, download };
        assert_eq!(counters.len(), 3);
        assert_eq!(counters[0].name, "keyA=");
        assert_eq!(counters[0].bytes, bytes(5_307_816, 6_164_496));
        assert_eq!(counters[2].bytes, bytes(7, 8));
    }

    #[test]
    fn a_peer_of_another_interface_or_of_a_new_one_is_another_counter() {
        let key = |epoch: &str, at: usize| {
            let counters = parse(OUTPUT, None, |_| Ok(epoch.to_owned())).unwrap();
            counters[at].key.clone()
        };
        assert_ne!(key("boot/3", 0), key("boot/3", 2));
        assert_ne!(key("boot/3", 0), key("boot/4", 0));
        assert_eq!(key("boot/3", 0), key("boot/3", 0));
    }

    #[test]
    fn an_interface_can_be_chosen() {
        let counters = parse(OUTPUT, Some("wg1"), |_| Ok(String::new())).unwrap();
        assert_eq!(counters.len(), 1);
        assert!(parse("", None, |_| Ok(String::new())).unwrap().is_empty());
    }

    #[test]
    fn other_output_is_an_error() {
        for text in [
            "wg0 key 1 2",
            "wg0\tkey\t1",
            "wg0\tkey\t1\tx",
            "wg0\tkey\t-1\t2",
        ] {
            assert!(parse(text, None, |_| Ok(String::new())).is_err(), "{text}");
        }
    }

    fn run_now(command: &[&str]) -> Result<Reading> {
        let command: Vec<_> = command.iter().map(|part| (*part).to_owned()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(read(&command, None))
    }

    #[test]
    fn an_interface_that_vanished_during_the_reading_fails_it() {
        assert!(parse(OUTPUT, None, |_| Err(anyhow!("changed"))).is_err());
        assert!(indexes().contains_key("lo"));
    }

    #[test]
    fn a_program_that_reports_an_error_but_succeeds_is_not_believed() {
        assert!(run_now(&["sh", "-c", "printf 'wg0\\tk\\t1\\t2\\n'"]).is_ok());
        let error = run_now(&["sh", "-c", "echo Unable to access wg1 >&2"]).unwrap_err();
        assert!(
            format!("{error:#}").contains("Unable to access"),
            "{error:#}"
        );
        assert!(run_now(&["sh", "-c", "exit 3"]).is_err());
        assert!(run_now(&["no-such-program"]).is_err());
    }
}
