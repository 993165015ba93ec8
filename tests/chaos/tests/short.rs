//! The simulator in short: a few faults of each kind, and two restarts of PostgreSQL.

use std::path::PathBuf;

use telecom_chaos::Plan;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_storm_loses_and_doubles_nothing() {
    let worker = PathBuf::from(env!("CARGO_BIN_EXE_telecom-chaos-worker"));
    let verdict = telecom_chaos::run(Plan::short(1), worker).await.unwrap();
    assert!(verdict.passed, "{verdict}");
    assert!(verdict.kills_and_cuts >= 15 && verdict.restarts >= 2 && verdict.lines >= 20_000, "{verdict}");
}
