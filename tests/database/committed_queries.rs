//! The compiler checks statements against the files in `.sqlx`. These tests check the files against
//! the schema and the code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sqlx::{Executor, PgPool};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The committed checks by name of the statement.
fn committed() -> BTreeMap<String, Value> {
    let mut checks = BTreeMap::new();
    for file in std::fs::read_dir(repository().join(".sqlx")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let check: Value = serde_json::from_str(&text).unwrap();
        let query = check["query"].as_str().unwrap();
        let name = query
            .strip_prefix("/* ")
            .and_then(|rest| rest.split_once(" */"))
            .unwrap_or_else(|| panic!("a statement has no name: {query}"));
        let name = name.0.to_owned();
        let earlier = checks.insert(name.clone(), check);
        assert!(earlier.is_none(), "{name} has two files: run `make sqlx`");
    }
    checks
}

fn append_sources(folder: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            append_sources(&path, sources);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "sql")
        {
            *sources += &std::fs::read_to_string(&path).unwrap();
        }
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn committed_query_checks_describe_the_schema(pool: PgPool) {
    let mut outdated = Vec::new();
    for (name, check) in committed() {
        let query = check["query"].as_str().unwrap();
        match pool.describe(query).await {
            Ok(described) if serde_json::to_value(&described).unwrap() == check["describe"] => {}
            Ok(_) => outdated.push(name),
            Err(error) => outdated.push(format!("{name} ({error})")),
        }
    }
    assert!(outdated.is_empty(), "run `make sqlx`: {outdated:?}");
}

#[test]
fn each_committed_query_check_belongs_to_a_statement_of_the_code() {
    let mut sources = String::new();
    append_sources(&repository().join("shared/src"), &mut sources);
    let unused: Vec<String> = committed()
        .into_keys()
        .filter(|name| !sources.contains(&format!("/* {name} */")))
        .collect();
    assert!(unused.is_empty(), "run `make sqlx`: {unused:?}");
}
