//! A short run of the simulator: a few faults of each kind and two restarts of PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;

use telecom_chaos::Plan;

/// Operations of which every run does some.
const OPERATIONS: [&str; 11] = [
    "DeliverOrder",
    "CancelOrder",
    "CancelQueuedPackage",
    "AdjustQuota",
    "ExtendPackages",
    "CreateNodeServer",
    "UpdateNodeServer",
    "ArchiveNodeServer",
    "CreateNodeClient",
    "UpdateNodeClient",
    "ArchiveNodeClient",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_storm_loses_and_duplicates_nothing() {
    let worker = PathBuf::from(env!("CARGO_BIN_EXE_telecom-chaos-worker"));
    let verdict = telecom_chaos::run(Plan::short(1), worker).await.unwrap();
    assert!(verdict.passed, "{verdict}");
    assert!(
        verdict.kills_and_cuts >= 15 && verdict.restarts >= 2 && verdict.lines >= 20_000,
        "{verdict}"
    );
    for operation in OPERATIONS {
        let accepted = verdict.counts.get(&format!("call: {operation}, 200"));
        assert!(accepted.is_some(), "no {operation} was accepted: {verdict}");
    }
}

#[test]
fn every_planted_fault_applies_to_the_code() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().nth(2).unwrap();
    let faults: Vec<PathBuf> = package
        .join("faults")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(faults.len() >= 9, "{faults:?}");
    for fault in faults {
        let mut check = Command::new("git");
        let applies = check
            .current_dir(root)
            .args(["apply", "--check", "--recount", "-C1"])
            .arg(&fault)
            .status()
            .unwrap();
        assert!(
            applies.success(),
            "{} does not apply; rewrite it",
            fault.display()
        );
    }
}
