//! Database credentials that change while the process runs.

use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use serde_json::json;
use shared::config::{DatabaseConfig, DatabaseLogin};
use shared::db::{self, credentials::Credentials};
use sqlx::PgPool;
use telecom_tests::web::Web;
use telecom_tests::{World, aws_at};

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn changed_password_is_used_after_five_minutes(pool: PgPool) {
    let world = World::new(pool).await;
    // Roles belong to the database server, so the name must differ from those of other tests.
    let role = format!("login_{}", std::process::id());
    world
        .sql(&format!("create role {role} login password 'first'"))
        .await;
    let password = Arc::new(Mutex::new("first"));
    let (shown, username) = (Arc::clone(&password), role.clone());
    let secrets = Web::start(move |_| {
        let secret = json!({ "username": username, "password": *shown.lock().unwrap(),
            "engine": "postgres" });
        (
            200,
            json!({ "SecretString": secret.to_string() }).to_string(),
        )
    })
    .await;
    let aws = aws_at(secrets.url());
    let connect = world
        .pool
        .connect_options()
        .as_ref()
        .clone()
        .username("no_such_role")
        .password("no_such_password");
    let login = Credentials::new(DatabaseLogin::Secret("arn:the-secret".into()));
    let pool = db::connect(&DatabaseConfig::new(connect, 5));
    let connects = async || {
        pool.acquire()
            .await
            .map(|connection| drop(connection.detach()))
            .is_ok()
    };

    assert!(!connects().await, "the credentials have not been read yet");
    login
        .renew(&pool, &aws, world.context().now())
        .await
        .unwrap();
    assert!(connects().await);

    *password.lock().unwrap() = "second";
    world
        .sql(&format!("alter role {role} password 'second'"))
        .await;
    login
        .renew(&pool, &aws, world.context().now())
        .await
        .unwrap();
    assert!(
        !connects().await,
        "the secret was read less than five minutes ago"
    );
    assert_eq!(secrets.asked().len(), 1);
    login
        .renew(&pool, &aws, world.context().now() + TimeDelta::minutes(5))
        .await
        .unwrap();
    assert!(connects().await);
    assert!(
        secrets
            .asked()
            .iter()
            .all(|asked| asked.body().contains("arn:the-secret"))
    );
    world.sql(&format!("drop role {role}")).await;
}
