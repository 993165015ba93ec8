//! Changes by administrators and revealed secrets are recorded in the database, or do not happen.

use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::api::{Api, MAINTENANCE, event};
use telecom_tests::token::Issuer;
use telecom_tests::{NOW, World, at};
use tonic::Code;
use uuid::Uuid;

const REQUEST_ID: &str = "7c0e3b1a-5f0d-4c8e-9a6b-2f1d3e4c5b6a";
const SHOWS: [(&str, &str, i32); 2] = [
    (
        "/v1/admin/node-servers/1",
        "telecom.v1.NodeServerManage/ShowNodeServer",
        1,
    ),
    (
        "/v1/admin/node-clients/11",
        "telecom.v1.NodeClientManage/ShowNodeClient",
        11,
    ),
];

/// All entries, oldest first.
async fn entries(world: &World) -> Vec<Value> {
    let all = "select to_jsonb(e) - 'id' from telecom.audit_entry e order by id";
    sqlx::query_scalar(all)
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

async fn api(pool: PgPool) -> Api {
    let world = World::new(pool).await;
    world
        .sql(r#"update telecom.node_server set server_config = '{"server_key": "s3cret"}'"#)
        .await;
    world
        .sql(r#"update telecom.node_client set client_config = '{"password": "s3cret"}'"#)
        .await;
    Api::over_both(world, Issuer::default()).await
}

/// Reveals secrets over HTTP and gRPC. Returns whether each response contained them.
async fn reveal(api: &Api, (path, method, id): (&str, &str, i32)) -> (bool, bool) {
    let token = api.issuer.admin_with_secrets();
    let http = event(
        "GET",
        path,
        "reveal_secrets=true",
        Some(&token),
        &[("x-request-id", REQUEST_ID)],
    );
    let http = api.invoke(http).await.to_string();
    let mut request = tonic::Request::new(json!({ "id": id, "reveal_secrets": true }));
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
        .metadata_mut()
        .insert("x-request-id", REQUEST_ID.parse().unwrap());
    let grpc = api
        .grpc_with(method, request)
        .await
        .map_or_else(|status| status.to_string(), |body| body.to_string());
    (http.contains("s3cret"), grpc.contains("s3cret"))
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn revealing_secrets_writes_an_audit_entry(pool: PgPool) {
    let api = api(pool).await;
    for show in SHOWS {
        assert_eq!(reveal(&api, show).await, (true, true), "{show:?}");
    }
    let of = |kind: &str, id: &str| {
        json!({
            "created_at": at(NOW), "actor_user_id": Uuid::from_u128(1), "request_id": REQUEST_ID,
                "action": "RevealSecrets",
            "target_kind": kind, "target_id": id, "before": null, "after": null, "reason": null
        })
    };
    let mut entries = entries(&api.world).await;
    for entry in &mut entries {
        let created_at = entry["created_at"].as_str().unwrap().to_owned();
        entry["created_at"] = json!(at(&created_at));
    }
    let [server, client] = [of("node_server", "1"), of("node_client", "11")];
    assert_eq!(entries, [server.clone(), server, client.clone(), client]);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn secrets_are_hidden_if_the_audit_entry_cannot_be_written(pool: PgPool) {
    let api = api(pool).await;
    api.world
        .sql(
            "alter table telecom.audit_entry add constraint audit_entry_none_check check (false) \
            not valid",
        )
        .await;
    for show in SHOWS {
        assert_eq!(reveal(&api, show).await, (false, false), "{show:?}");
        let (status, body) = api.get(show.0, "", Some(&api.issuer.admin())).await;
        assert_eq!(status, 200, "without secrets no entry is needed: {body}");
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn masked_and_refused_reads_write_no_audit_entry(pool: PgPool) {
    let api = api(pool).await;
    let (admin, keeper) = (api.issuer.admin(), api.issuer.admin_with_secrets());
    for (path, query, token, status) in [
        (SHOWS[0].0, "", &keeper, 200),
        (SHOWS[1].0, "", &admin, 200),
        (SHOWS[0].0, "reveal_secrets=true", &admin, 403),
        (
            "/v1/admin/node-servers/404",
            "reveal_secrets=true",
            &keeper,
            404,
        ),
        (
            "/v1/admin/node-clients/404",
            "reveal_secrets=true",
            &keeper,
            404,
        ),
    ] {
        assert_eq!(
            api.get(path, query, Some(token)).await.0,
            status,
            "{path} {query}"
        );
    }
    assert_eq!(entries(&api.world).await, Vec::<Value>::new());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_maintenance_change_is_audited_with_before_and_after(pool: PgPool) {
    let api = api(pool).await;
    let admin = api.issuer.admin();
    let set = async |maintenance: bool| {
        let body = json!({ "maintenance": maintenance, "reason": "new disk" }).to_string();
        api.put(MAINTENANCE.path, "", &body, Some(&admin)).await.0
    };
    // The second call changes nothing.
    assert_eq!(
        [set(true).await, set(true).await, set(false).await],
        [200; 3]
    );
    let seen: Vec<_> = entries(&api.world).await;
    let seen: Vec<_> = seen
        .iter()
        .map(|entry| {
            json!([
                entry["action"],
                entry["before"],
                entry["after"],
                entry["reason"]
            ])
        })
        .collect();
    let of = |before: &str, after: &str| {
        json!(["SetNodeServerMaintenance", { "status": before },
        { "status": after }, "new disk"])
    };
    assert_eq!(
        seen,
        [of("offline", "maintenance"), of("maintenance", "offline")]
    );

    api.world
        .sql(
            "alter table telecom.audit_entry add constraint audit_entry_none_check check (false) \
            not valid",
        )
        .await;
    assert_eq!(set(true).await, 500);
    let message = json!({ "id": 1, "maintenance": true, "reason": "x" });
    assert_eq!(
        api.grpc(MAINTENANCE.method, message, Some(&admin))
            .await
            .unwrap_err()
            .code(),
        Code::Internal
    );
    assert_eq!(
        api.world
            .number("select count(*) from telecom.node_server where status = 'maintenance'")
            .await,
        0
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn functions_cannot_change_audit_entries_or_delete_them_early(pool: PgPool) {
    let world = World::new(pool).await;
    let entry = "insert into telecom.audit_entry (created_at, actor_user_id, action, target_kind,
    target_id)
        values (now() - interval '399 days', gen_random_uuid(), 'RevealSecrets', 'node_server',
        '1')";
    world.sql(entry).await;
    for role in [&world.reader, &world.writer] {
        for sql in [
            "update telecom.audit_entry set action = ''",
            "delete from telecom.audit_entry",
            "truncate telecom.audit_entry",
        ] {
            let error = sqlx::query(sql).execute(role).await.unwrap_err();
            assert_eq!(
                error.as_database_error().unwrap().code().unwrap(),
                "42501",
                "{sql}"
            );
        }
    }
    sqlx::query("select telecom.delete_audit_entries('infinity', 1000)")
        .execute(&world.writer)
        .await
        .unwrap();
    assert_eq!(
        world
            .number("select count(*) from telecom.audit_entry")
            .await,
        1
    );
}
