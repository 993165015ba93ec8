//! Documents and code agree.

use std::collections::BTreeSet;
use std::fs;

use telecom_tests::repository::{files, root};

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names in backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

/// Whether a name has at least six words, as names of tests have.
fn names_a_test(name: &str) -> bool {
    name.matches('_').count() >= 5
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn every_test_that_a_document_names_exists() {
    let folders = [
        "tests",
        "local/src",
        "shared/src",
        "functions/console/src",
        "functions/grpc/src",
    ];
    let sources: String = folders
        .iter()
        .flat_map(|folder| files(&root().join(folder), "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for document in ["docs/SECURITY.md", "docs/ARCHITECTURE.md"] {
        let text = read(document);
        let named: Vec<_> = quoted(&text)
            .into_iter()
            .filter(|name| names_a_test(name))
            .collect();
        assert!(named.len() > 10, "{document}: {named:?}");
        for name in named {
            // A function, or an argument from which a macro makes one.
            let is = [format!("fn {name}("), format!("    {name}: ")]
                .iter()
                .any(|text| sources.contains(text));
            assert!(is, "{document} names {name}, which is not a test");
        }
    }
}

/// The local system has a page on which anyone may sign in as an administrator.
#[test]
fn no_deployed_program_contains_the_local_system() {
    let mut programs = vec!["shared".to_owned(), "proto".to_owned()];
    for folder in fs::read_dir(root().join("functions")).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        programs.push(format!("functions/{name}"));
    }
    assert!(programs.len() > 7, "{programs:?}");
    for program in programs {
        let manifest = read(&format!("{program}/Cargo.toml"));
        let used = manifest.split("[dev-dependencies]").next().unwrap();
        assert!(!used.contains("local"), "{program} uses the local system");
    }
}

#[test]
fn every_alarm_is_documented_with_a_response() {
    let templates = files(&root().join("stacks"), "yaml")
        .into_iter()
        .chain([root().join("template.yaml")]);
    let templates: String = templates
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let alarms = templates
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix("Alarm:"));
    let alarms: BTreeSet<_> = alarms.filter(|name| !name.starts_with(' ')).collect();
    let operations = read("docs/OPERATIONS.md");
    let table = operations
        .split("\n## ")
        .find(|section| section.starts_with("Alarms"))
        .unwrap();
    let first_cells: String = table
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .collect();
    assert!(alarms.len() > 10, "{alarms:?}");
    let explained = quoted(&first_cells);
    let unexplained: Vec<_> = alarms.difference(&explained).collect();
    assert!(
        unexplained.is_empty(),
        "OPERATIONS.md does not explain {unexplained:?}"
    );
}

#[test]
fn jobs_documented_to_lock_their_work_lock_it() {
    let template = read("template.yaml");
    let documented = template
        .split("\n\n")
        .filter(|function| function.contains("skips what the first has locked"))
        .map(|function| {
            let (_, built) = function.split_once("CodeUri: target/lambda/").unwrap();
            built.split('/').next().unwrap().to_owned()
        });
    let sources = files(&root().join("shared/src/services/cron"), "rs").into_iter();
    let sources: String = sources
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let calls = sources.split("try_job_lock(").skip(1);
    let locked = calls.map(|call| call.split('"').nth(1).unwrap().replace('_', "-"));
    // These jobs skip locked rows.
    let claims = [
        ("bill-traffic", "billing"),
        ("deliver-webhooks", "webhook_delivery"),
        ("sweep-outbox", "outbox"),
    ]
    .into_iter();
    let claims = claims.filter(|(_, file)| {
        read(&format!("shared/src/db/{file}.rs")).contains("for update skip locked")
    });
    let locked: BTreeSet<_> = locked
        .chain(claims.map(|(job, _)| job.to_owned()))
        .collect();
    assert_eq!(documented.collect::<BTreeSet<_>>(), locked);
}

#[test]
fn a_missed_snapshot_is_documented_as_lost() {
    for (document, times) in [("docs/OPERATIONS.md", 2), ("template.yaml", 1)] {
        let text = read(document);
        let after: Vec<&str> = text.split("next run does the same work").skip(1).collect();
        assert_eq!(after.len(), times, "{document}");
        for sentence in after {
            let lines: String = sentence.lines().take(2).collect();
            assert!(
                lines.contains("record-node-status-history"),
                "{document}: {lines}"
            );
        }
    }
}

#[test]
fn documented_queries_order_the_status_log_by_time() {
    let operations = read("docs/OPERATIONS.md");
    let queries: Vec<&str> = operations
        .split("```")
        .filter(|block| block.contains("from telecom.node_status_transition"))
        .collect();
    assert!(!queries.is_empty());
    // A correction inserts new rows, so that ids do not follow the time.
    assert!(
        queries
            .iter()
            .all(|query| query.contains("order by since desc")),
        "{queries:?}"
    );
}
