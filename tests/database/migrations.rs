//! New migrations do not block writers while they build an index.

use std::collections::BTreeSet;

use shared::db::MIGRATOR;

/// Tables that stay small. Their indexes are built within a second.
const SMALL: [&str; 8] = [
    "collection_outage",
    "node_client",
    "node_server",
    "node_server_heartbeat",
    "node_status_hourly_mv",
    "node_status_seal",
    "node_status_watch",
    "package",
];
/// Migrations that are older than the rule. They were applied while the tables were small, and
/// applied files are never changed.
const EXEMPT: [&str; 5] = [
    "index what the apis read",
    "index usage by time",
    "index usage by item",
    "keep when servers were seen",
    "read statuses by server",
];

/// The statements of a migration in lower case, without comments and with single spaces.
fn statements(sql: &str) -> Vec<String> {
    let code = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let words: Vec<String> = code
        .flat_map(str::split_whitespace)
        .map(str::to_lowercase)
        .collect();
    words
        .join(" ")
        .split(';')
        .map(|one| one.trim().to_owned())
        .filter(|one| !one.is_empty())
        .collect()
}

/// The table name that follows `word` in a statement.
fn table(statement: &str, word: &str) -> Option<String> {
    let (_, after) = statement.split_once(word)?;
    Some(
        after
            .trim_start()
            .split([' ', '('])
            .next()?
            .trim_start_matches("telecom.")
            .to_owned(),
    )
}

/// The large, existing tables that a migration locks against writes while it builds an index.
fn locked(statements: &[String]) -> BTreeSet<String> {
    let created: BTreeSet<String> = statements
        .iter()
        .filter_map(|one| table(one, "create table "))
        .collect();
    let built = statements.iter().filter_map(|one| {
        let index = one.starts_with("create index ") || one.starts_with("create unique index ");
        if index && !one.contains(" concurrently ") && !one.contains(" on only ") {
            return table(one, " on ");
        }
        let constraint = one.starts_with("alter table ")
            && (one.contains(" unique ") || one.contains(" primary key"));
        (constraint && !one.contains(" using index ")).then(|| table(one, "alter table "))?
    });
    built
        .filter(|table| !created.contains(table) && !SMALL.contains(&table.as_str()))
        .collect()
}

#[test]
fn index_on_a_large_table_is_built_concurrently() {
    let locking = MIGRATOR
        .iter()
        .filter(|migration| !locked(&statements(&migration.sql)).is_empty());
    let locking: BTreeSet<&str> = locking
        .map(|migration| migration.description.as_ref())
        .collect();
    assert_eq!(
        locking,
        EXEMPT.into(),
        "see docs/DEVELOPMENT.md, Adding a migration"
    );
}

#[test]
fn concurrent_index_build_is_alone_in_a_no_transaction_file() {
    for migration in MIGRATOR.iter() {
        let statements = statements(&migration.sql);
        if statements
            .iter()
            .any(|one| one.contains(" index concurrently "))
        {
            assert!(
                migration.no_tx,
                "{}: the first line is not `-- no-transaction`",
                migration.description
            );
            assert_eq!(
                statements.len(),
                1,
                "{}: PostgreSQL runs several statements as one transaction",
                migration.description
            );
        }
    }
}

#[test]
fn statements_that_lock_a_large_table_are_recognized() {
    let of = |sql: &str| locked(&statements(sql)).into_iter().collect::<Vec<_>>();
    assert_eq!(of("create index on telecom.outbox (id);"), ["outbox"]);
    assert_eq!(
        of("create unique index a\n on telecom.package_queue (id) where x;"),
        ["package_queue"]
    );
    assert_eq!(
        of("alter table telecom.usage_report add constraint a unique (seq);"),
        ["usage_report"]
    );
    assert!(
        of("alter table telecom.usage_report add constraint a unique using index b;").is_empty()
    );
    assert!(of("create index concurrently a on telecom.outbox (id);").is_empty());
    assert!(
        of("create table telecom.news (id integer); create index on telecom.news (id);").is_empty()
    );
    assert!(of("create index on telecom.package (name);").is_empty());
}
