//! The files of the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

#[must_use]
pub fn root() -> PathBuf {
    local::settings::repository()
}

/// All files below `folder` with this extension.
#[must_use]
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(Result::unwrap)
    {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|is| is == extension) {
            found.push(path);
        }
    }
    found
}

/// The committed query checks by name of the statement, which its text begins with as a comment.
#[must_use]
pub fn query_checks() -> BTreeMap<String, Value> {
    let mut checks = BTreeMap::new();
    for file in files(&root().join(".sqlx"), "json") {
        let check: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
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
