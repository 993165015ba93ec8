//! The compiler checks statements against the files in `.sqlx`. These tests check the files against
//! the schema and the code.

use sqlx::{Executor, PgPool};
use telecom_tests::repository::{files, query_checks, root};

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn committed_query_checks_describe_the_schema(pool: PgPool) {
    let mut outdated = Vec::new();
    for (name, check) in query_checks() {
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
    let code = root().join("shared/src");
    let sources: String = ["rs", "sql"]
        .iter()
        .flat_map(|extension| files(&code, extension))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let unused: Vec<String> = query_checks()
        .into_keys()
        .filter(|name| !sources.contains(&format!("/* {name} */")))
        .collect();
    assert!(unused.is_empty(), "run `make sqlx`: {unused:?}");
}
