//! The commands, and what `run` does in unusual situations.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::collector::{Place, free_address, get};
use crate::support::receiver::{Mode, Receiver, delivered};
use crate::support::stats::Node;
use crate::support::user;

fn source(node: &Node) -> String {
    let address = node.address;
    format!("[[source]]\nkind = \"v2ray\"\naddress = \"{address}\"\n")
}

/// A node and a collector that has read its baseline.
fn installed(rest: &str) -> (Node, Receiver, Place) {
    let (node, receiver) = (Node::start(), Receiver::start());
    let place = Place::new(&receiver.url(), &format!("{rest}\n{}", source(&node)));
    let running = place.start();
    receiver.wait("no heartbeat", |reports| !reports.is_empty());
    assert!(running.stop());
    (node, receiver, place)
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = entries.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    });
    // SQLite creates and removes its index of the log while it reads.
    files.filter(|(name, _)| !name.ends_with("-shm")).collect()
}

#[test]
fn check_says_what_would_be_sent_and_changes_nothing() {
    let (node, receiver, place) = installed("");
    node.carry(&user(1).to_string(), 17, 4);
    node.carry("stranger", 5, 5);
    let (before, sent) = (files(&place.spool()), receiver.reports().len());
    for _ in 0..2 {
        let (text, code) = place.run_to_end(&["check"]);
        let line = format!(
            "would report {}, lowest client: upload 17, download 4",
            user(1)
        );
        assert!(text.contains(&line), "{text}");
        assert!(text.contains("UNKNOWN NAME \"stranger\""), "{text}");
        assert_eq!(code, 3, "{text}");
    }
    let changed: Vec<_> = files(&place.spool())
        .into_iter()
        .filter(|(name, content)| before.get(name) != Some(content) && !content.is_empty())
        .map(|(name, _)| name)
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
    assert_eq!(receiver.reports().len(), sent);
}

#[test]
fn check_works_before_the_first_start() {
    let (node, receiver) = (Node::start(), Receiver::start());
    let place = Place::new(&receiver.url(), &source(&node));
    let (text, code) = place.run_to_end(&["check"]);
    assert!(text.contains("a first reading"), "{text}");
    assert_eq!(code, 0, "{text}");
    assert!(!place.spool().exists());
}

#[test]
fn bytes_of_an_unknown_name_wait_until_it_is_mapped() {
    let (node, receiver, place) = installed("");
    node.carry("stranger", 5, 6);
    node.carry(&user(1).to_string(), 1, 1);
    let running = place.start();
    let user_1 = user(1).to_string();
    receiver.wait("the known user", |reports| {
        delivered(reports).contains_key(&user_1)
    });
    assert!(running.stop());
    let status = place.status();
    assert_eq!(status["unknown_names"][0]["name"], "stranger");
    assert_eq!(status["unknown_names"][0]["download"], 6);

    // Another table, because keys of the file must come before sections.
    let mapped = format!(
        "{}[users]\n\"stranger\" = \"{}|3\"\n",
        source(&node),
        user(2)
    );
    place.configure(7, &receiver.url(), &mapped);
    let running = place.start();
    let user_2 = format!("{}|3", user(2));
    receiver.wait("the mapped user", |reports| {
        delivered(reports).get(&user_2) == Some(&(5, 6))
    });
    assert!(running.stop());
    assert_eq!(place.status()["unknown_names_total"], 0);
}

#[test]
fn sigterm_reads_and_sends_once_more() {
    let (node, receiver, place) = installed("read_seconds = 60\nreport_seconds = 3600");
    let running = place.start();
    node.wait_queries(1);
    node.carry(&user(1).to_string(), 123, 456);
    assert!(running.stop());
    let name = user(1).to_string();
    assert_eq!(delivered(&receiver.reports())[&name], (123, 456));
}

#[test]
fn read_returns_when_the_counters_are_stored() {
    let (node, receiver, place) = installed("read_seconds = 60\nreport_seconds = 3600");
    assert_ne!(place.run_to_end(&["read"]).1, 0, "no collector runs");
    let mut running = place.start();
    node.wait_queries(1);
    node.carry(&user(1).to_string(), 7, 8);
    let (text, code) = place.run_to_end(&["read"]);
    assert_eq!(code, 0, "{text}");
    running.kill();
    let status = place.status();
    let stored = [&status["pending_upload"], &status["pending_download"]];
    assert_eq!(stored, [7, 8]);
    assert!(!delivered(&receiver.reports()).contains_key(&user(1).to_string()));
}

#[test]
fn a_second_collector_does_not_start() {
    let (node, _receiver, place) = installed("");
    let running = place.start();
    node.wait_queries(1);
    let (text, code) = place.run_to_end(&["run"]);
    assert!(text.contains("Another collector"), "{text}");
    assert_eq!(code, 1);
    assert!(running.stop());
}

#[test]
fn the_spool_of_another_server_is_not_used() {
    let (node, receiver, place) = installed("");
    place.configure(8, &receiver.url(), &source(&node));
    for command in ["run", "check", "status"] {
        let (text, code) = place.run_to_end(&[command]);
        assert!(text.contains("belongs to server 7"), "{text}");
        assert_eq!(code, 1);
    }
}

#[test]
fn a_refused_report_is_set_aside_and_the_next_one_is_sent() {
    let (node, receiver, place) = installed("");
    receiver.set(&[Mode::Status(422)], Mode::Accept);
    node.carry(&user(1).to_string(), 1, 2);
    let running = place.start();
    receiver.wait_requests(2, std::time::Duration::from_mins(1));
    node.carry(&user(2).to_string(), 3, 4);
    let other = user(2).to_string();
    receiver.wait("the next report", |reports| {
        delivered(reports).contains_key(&other)
    });
    assert!(running.stop());

    let status = place.status();
    assert_eq!(
        status["refused"][0]["reason"],
        "status 422: test, usage, A test."
    );
    assert_eq!(place.output(&["status"]).status.code(), Some(3));
    let (text, _) = place.run_to_end(&["requeue"]);
    assert!(text.contains("1 reports are queued again"), "{text}");
    let running = place.start();
    let name = user(1).to_string();
    receiver.wait("the report that was queued again", |reports| {
        delivered(reports).get(&name) == Some(&(1, 2))
    });
    assert!(running.stop());
    assert_eq!(place.status()["refused_total"], 0);
}

#[test]
fn a_rejected_token_keeps_the_reports_and_is_shown() {
    let (node, receiver, place) = installed("");
    receiver.set(&[], Mode::Status(401));
    node.carry(&user(1).to_string(), 1, 2);
    let running = place.start();
    receiver.wait_requests(2, std::time::Duration::from_mins(1));
    assert!(running.stop());
    let status = place.status();
    assert_eq!(status["token_rejected"], true);
    assert!(status["waiting_reports"].as_i64().unwrap() > 0);
    assert!(place.log().contains("rejects the token"));
    assert!(place.run_to_end(&["status"]).0.contains("TOKEN REJECTED"));
}

#[test]
fn a_source_that_fails_does_not_stop_the_others() {
    let (node, receiver) = (Node::start(), Receiver::start());
    let broken = "[[source]]\nkind = \"hysteria2\"\naddress = \"127.0.0.1:1\"\n";
    let place = Place::new(&receiver.url(), &format!("{broken}{}", source(&node)));
    let running = place.start();
    receiver.wait("no heartbeat", |reports| !reports.is_empty());
    node.carry(&user(1).to_string(), 1, 2);
    let name = user(1).to_string();
    receiver.wait("the other source", |reports| {
        delivered(reports).contains_key(&name)
    });
    assert!(running.stop());
    let status = place.status();
    let failing: Vec<&Value> = status["sources"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|source| !source["error"].is_null())
        .collect();
    assert_eq!(failing.len(), 1);
    assert_eq!(failing[0]["name"], "hysteria2");
}

#[test]
fn a_node_that_cannot_be_read_sends_no_heartbeat() {
    let receiver = Receiver::start();
    let broken = "[[source]]\nkind = \"hysteria2\"\naddress = \"127.0.0.1:1\"\n";
    let place = Place::new(&receiver.url(), broken);
    let running = place.start();
    while !place.spool().exists()
        || place.run_to_end(&["status", "--json"]).1 == 1
        || place.status()["rounds"].as_i64().unwrap() < 5
    {}
    assert!(running.stop());
    assert!(receiver.reports().is_empty());
}

#[test]
fn metrics_show_the_state() {
    let address = free_address();
    let (node, receiver, place) = installed(&format!("metrics_listen = \"{address}\""));
    let running = place.start();
    node.carry(&user(1).to_string(), 10, 20);
    let name = user(1).to_string();
    receiver.wait("the report", |reports| {
        delivered(reports).contains_key(&name)
    });
    node.wait_queries(3);
    let metrics = get(address, "/metrics");
    assert!(
        metrics.contains("telecom_collector_sent_download_bytes_total 20\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("telecom_collector_source_up{source=\"v2ray\"} 1\n"),
        "{metrics}"
    );
    assert!(get(address, "/").starts_with("HTTP/1.1 404"));
    assert!(running.stop());
}

#[test]
fn help_describes_every_setting() {
    let place = Place::new("http://127.0.0.1:1", "");
    let (help, code) = place.run_to_end(&["--help"]);
    assert_eq!(code, 0);
    let settings = [
        "server_id",
        "spool",
        "spool_max_mib",
        "read_seconds",
        "report_seconds",
        "metrics_listen",
        "users_file",
        "url",
        "token_file",
        "ca_file",
        "queue_url",
        "[users]",
        "kind",
        "address",
        "secret",
        "secret_file",
        "process",
        "command",
        "interface",
        "path",
        "node_client_id",
        "ignore",
    ];
    for setting in settings {
        assert!(help.contains(setting), "{setting}");
    }
}
