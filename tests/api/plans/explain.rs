//! Plans of the statements in the committed query checks.

use serde_json::Value;
use sqlx::PgConnection;
use telecom_tests::World;
use telecom_tests::repository::query_checks;

/// Prepares a statement of the code and returns its plan with actual row counts. The plan is
/// generic, since connections end up using generic plans, which must not depend on the arguments.
pub(super) async fn plan(world: &World, name: &str, arguments: &str) -> Value {
    let sql = statement(name);
    let mut connection = world.pool.acquire().await.unwrap();
    let execute = if arguments.is_empty() {
        "execute s".to_owned()
    } else {
        format!("execute s ({arguments})")
    };
    let setup = format!("set plan_cache_mode = force_generic_plan; prepare s as {sql}");
    sqlx::raw_sql(&setup)
        .execute(&mut *connection)
        .await
        .unwrap();
    let plan = explain(&mut connection, &execute).await;
    sqlx::raw_sql("deallocate s; reset plan_cache_mode")
        .execute(&mut *connection)
        .await
        .unwrap();
    plan
}

pub(super) async fn explain(connection: &mut PgConnection, statement: &str) -> Value {
    let explain = format!("explain (analyze, format json) {statement}");
    let plan: Value = sqlx::query_scalar(&explain)
        .persistent(false)
        .fetch_one(connection)
        .await
        .unwrap();
    plan[0]["Plan"].clone()
}

/// Text of the statement named `name` in the committed query checks.
fn statement(name: &str) -> String {
    let checks = query_checks();
    let check = checks.get(name);
    let check = check.unwrap_or_else(|| panic!("no statement is named {name}"));
    check["query"].as_str().unwrap().to_owned()
}
