//! The schema can go onto a distributed database. docs/SCALE.md has the plan.

use std::collections::BTreeSet;
use std::fs;

use sqlx::PgPool;
use telecom_tests::repository::{query_checks, root};

/// Tables that are distributed by user.
const OF_USERS: [&str; 6] = [
    "late_user_usage",
    "package_queue",
    "parked_event",
    "usage_correction",
    "user_package_usage",
    "user_usage_daily",
];

/// The part of a statement that changes rows of `table`, if there is one.
fn change<'q>(query: &'q str, table: &str) -> Option<&'q str> {
    ["update", "delete from"].iter().find_map(|verb| {
        let verb = format!("{verb} telecom.{table} ");
        query.find(&verb).and_then(|start| query.get(start..))
    })
}

#[test]
fn statements_that_change_rows_of_users_name_the_users() {
    let mut changes = 0;
    for (name, check) in query_checks() {
        let query = check["query"].as_str().unwrap();
        for part in OF_USERS.iter().filter_map(|table| change(query, table)) {
            changes += 1;
            // Old rows are deleted by their place in the table.
            let named = part.contains("user_id = ") || part.contains("where ctid = ");
            assert!(named, "{name} changes rows of unnamed users: {query}");
        }
    }
    assert!(changes > 15, "{changes} statements change rows of users");
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn keys_of_tables_of_users_contain_the_user_except_where_the_plan_says_so(pool: PgPool) {
    const WITHOUT_USER: &str = "select k.relname::text from pg_index i
        join pg_class t on t.oid = i.indrelid
        join pg_class k on k.oid = i.indexrelid
        where i.indisunique and t.relnamespace = 'telecom'::regnamespace and t.relname = any($1)
            and not exists (
                select from pg_attribute a where a.attrelid = t.oid and a.attname = 'user_id'
                and a.attnum = any(i.indkey)
            )
        order by k.relname";
    let without_user: Vec<String> = sqlx::query_scalar(WITHOUT_USER)
        .bind(OF_USERS)
        .fetch_all(&pool)
        .await
        .unwrap();
    let planned = ["package_queue_pk", "parked_event_pk", "usage_correction_pk"];
    assert_eq!(without_user, planned);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn plan_has_a_place_for_every_table(pool: PgPool) {
    const TABLES: &str = "select relname::text from pg_class
        where relnamespace = 'telecom'::regnamespace and relkind in ('r', 'p')
            and not relispartition";
    let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&pool).await.unwrap();
    let scale = fs::read_to_string(root().join("docs/SCALE.md")).unwrap();
    let (_, plan) = scale.split_once("\n### Tables\n").unwrap();
    let (plan, _) = plan.split_once("\n### ").unwrap();
    let rows = plan.lines().filter_map(|line| line.strip_prefix("| `"));
    let placed: Vec<&str> = rows
        .flat_map(|row| row.split(" | ").take(1))
        .flat_map(|names| names.split(['`', ',', ' ']))
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(placed.len(), tables.len());
    let [placed, tables]: [BTreeSet<&str>; 2] = [
        placed.into_iter().collect(),
        tables.iter().map(String::as_str).collect(),
    ];
    assert_eq!(placed, tables);
}
