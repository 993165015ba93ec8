//! What the documents say exists, exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|is| is == extension) {
            found.push(path);
        }
    }
    found
}

/// The names in backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// A sentence in a name, as tests have them.
fn names_a_test(name: &str) -> bool {
    name.matches('_').count() >= 3 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn every_test_that_a_document_names_exists() {
    // Settings and indexes of the database have names of the same form.
    let folders = [
        ("tests", "rs"),
        ("local/src", "rs"),
        ("shared/src", "rs"),
        ("functions/grpc/src", "rs"),
        ("migrations", "sql"),
    ];
    let sources: String = folders
        .iter()
        .flat_map(|(folder, extension)| files(&root().join(folder), extension))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for document in ["docs/SECURITY.md", "docs/ARCHITECTURE.md"] {
        let text = read(document);
        let named: Vec<_> = quoted(&text).into_iter().filter(|name| names_a_test(name)).collect();
        assert!(named.len() > 10, "{document}: {named:?}");
        for name in named {
            assert!(sources.contains(name), "{document} names {name}, which there is not");
        }
    }
}

#[test]
fn every_alarm_is_explained_with_what_to_do() {
    let templates = files(&root().join("stacks"), "yaml").into_iter().chain([root().join("template.yaml")]);
    let templates: String = templates.map(|path| fs::read_to_string(path).unwrap()).collect();
    let alarms = templates.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix("Alarm:"));
    let alarms: BTreeSet<_> = alarms.filter(|name| !name.starts_with(' ')).collect();
    let operations = read("docs/OPERATIONS.md");
    let table = operations.split("\n## ").find(|section| section.starts_with("Alarms")).unwrap();
    let first_cells: String = table.lines().filter_map(|line| line.split('|').nth(1)).collect();
    assert!(alarms.len() > 10, "{alarms:?}");
    let explained = quoted(&first_cells);
    let unexplained: Vec<_> = alarms.difference(&explained).collect();
    assert!(unexplained.is_empty(), "OPERATIONS.md says nothing of {unexplained:?}");
}
