//! Migrations are applied once, under any role, and CloudFormation receives the result.

use lambda_runtime::{Context as Invocation, LambdaEvent};
use serde_json::{Value, json};
use shared::clock::Context;
use shared::lambda::deployment;
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::maintain_storage::DAYS_AHEAD;
use shared::services::migrate::Migrate;
use sqlx::PgPool;
use telecom_tests::web::Web;
use telecom_tests::{World, remove_schema, unreachable_pool, until, user};

#[sqlx::test(migrations = false)]
async fn second_migration_does_nothing_even_with_the_schema_in_search_path(pool: PgPool) {
    remove_schema(&pool).await;
    // As it is for a role that has the name of the schema.
    let searching = (*pool.connect_options())
        .clone()
        .options([("search_path", "telecom,public")]);
    let migrate = Migrate::new(PgPool::connect_lazy_with(searching), Context::system());
    let first = migrate.process(Run::default()).await.unwrap();
    let second = migrate.process(Run::default()).await.unwrap();
    assert_eq!(
        (first.partitions_created, second.partitions_created),
        (DAYS_AHEAD, 0)
    );
    assert_eq!(first.version, second.version);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn rolled_back_code_leaves_a_newer_schema_unchanged(pool: PgPool) {
    let newer =
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
        values (29991231000000, 'newer', true, '', 0)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    let migrated = Migrate::new(pool.clone(), Context::system())
        .process(Run::default())
        .await
        .unwrap();
    assert!(migrated.version < 29_991_231_000_000);
}

/// Handles a request of CloudFormation and returns the response that CloudFormation receives.
async fn deploy(migrate: &Migrate, request: &str) -> Value {
    let cloudformation = Web::start(|_| (200, String::new())).await;
    let event = json!({
        "RequestType": request, "ResponseURL": format!("{}/signed?X-Amz-Signature=1",
            cloudformation.url()),
        "StackId": "stack", "RequestId": "request", "ResourceType": "Custom::Migration",
        "LogicalResourceId": "Migration", "PhysicalResourceId": "Migration-schema",
        "ResourceProperties": { "ServiceToken": "arn", "SchemaVersion": "2" },
        "OldResourceProperties": { "ServiceToken": "arn", "SchemaVersion": "1" },
    });
    deployment::handle(migrate, LambdaEvent::new(event, Invocation::default()))
        .await
        .unwrap();
    let callback = cloudformation.asked().pop().unwrap();
    assert_eq!(
        (callback.method().as_str(), callback.uri().path()),
        ("PUT", "/signed")
    );
    assert_eq!(
        callback.headers().get("content-type"),
        None,
        "the URL is signed for a request without a content type"
    );
    serde_json::from_str(callback.body()).unwrap()
}

async fn migrated(pool: &PgPool) -> bool {
    sqlx::query_scalar("select to_regclass('telecom.package') is not null")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[sqlx::test(migrations = false)]
async fn create_and_update_migrate_and_delete_changes_nothing(pool: PgPool) {
    remove_schema(&pool).await;
    let migrate = Migrate::new(pool.clone(), Context::system());
    let deleted = deploy(&migrate, "Delete").await;
    assert_eq!(
        (&deleted["Status"], migrated(&pool).await),
        (&json!("SUCCESS"), false)
    );
    for request in ["Create", "Update"] {
        let response = deploy(&migrate, request).await;
        let ids = [
            "StackId",
            "RequestId",
            "LogicalResourceId",
            "PhysicalResourceId",
        ]
        .map(|id| response[id].as_str().unwrap());
        assert_eq!(
            (&response["Status"], ids),
            (
                &json!("SUCCESS"),
                ["stack", "request", "Migration", "Migration-schema"]
            )
        );
        assert!(migrated(&pool).await);
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn index_whose_build_failed_is_dropped_by_the_next_migration(pool: PgPool) {
    let world = World::new(pool.clone()).await;
    let package = world.package(1, 1).await;
    for _ in 0..2 {
        world.waiting_item(user(1), package).await;
    }
    let build = "create unique index concurrently package_queue_some_key \
        on telecom.package_queue (user_id)";
    sqlx::query(build).execute(&pool).await.unwrap_err();
    let exists = || async {
        let name = "select to_regclass('telecom.package_queue_some_key') is not null";
        sqlx::query_scalar::<_, bool>(name)
            .fetch_one(&pool)
            .await
            .unwrap()
    };
    assert!(exists().await, "PostgreSQL keeps the invalid index");
    Migrate::new(pool.clone(), Context::system())
        .process(Run::default())
        .await
        .unwrap();
    assert!(!exists().await);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn waiting_migration_does_not_block_index_builds_of_another(pool: PgPool) {
    let mut first = pool.acquire().await.unwrap();
    sqlx::query("select pg_advisory_lock(hashtextextended('migrate', 0))")
        .execute(&mut *first)
        .await
        .unwrap();
    let migrate = Migrate::new(pool.clone(), Context::system());
    let waiting = tokio::spawn(async move { migrate.process(Run::default()).await });
    until("the second migration waits", async || {
        let tried = "select count(*) > 0 from pg_stat_activity where query like '/* migrate.lock%'
            and pid <> pg_backend_pid()
            and datname = current_database()";
        sqlx::query_scalar::<_, bool>(tried)
            .fetch_one(&pool)
            .await
            .unwrap()
    })
    .await;
    let build = "create index concurrently outbox_some_idx on telecom.outbox (created_at)";
    sqlx::query(build).execute(&mut *first).await.unwrap();
    assert!(!waiting.is_finished());
    sqlx::query("select pg_advisory_unlock_all()")
        .execute(&mut *first)
        .await
        .unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn failed_migration_fails_the_deployment_and_gives_the_reason() {
    let response = deploy(
        &Migrate::new(unreachable_pool(), Context::system()),
        "Update",
    )
    .await;
    assert_eq!(response["Status"], "FAILED");
    assert!(
        response["Reason"]
            .as_str()
            .unwrap()
            .starts_with("unavailable: "),
        "{response}"
    );
}

#[sqlx::test(migrations = false)]
async fn direct_invocation_returns_the_result(pool: PgPool) {
    remove_schema(&pool).await;
    let migrate = Migrate::new(pool.clone(), Context::system());
    let response = deployment::handle(&migrate, LambdaEvent::new(json!({}), Invocation::default()))
        .await
        .unwrap();
    assert_eq!(response["partitions_created"], DAYS_AHEAD);
}

#[tokio::test]
async fn deployment_request_without_a_response_url_is_an_error() {
    let event = LambdaEvent::new(json!({ "RequestType": "Create" }), Invocation::default());
    let migrate = Migrate::new(unreachable_pool(), Context::system());
    assert_eq!(
        deployment::handle(&migrate, event)
            .await
            .unwrap_err()
            .code(),
        "invalid_field"
    );
}
