//! Malformed requests to set maintenance are rejected.

use serde_json::json;
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::token::Issuer;
use telecom_tests::{World, user};
use tonic::Code;

use super::PATH;

/// Bodies with the expected code and field.
const BAD_BODIES: [(&str, &str, &str); 10] = [
    ("", "malformed_json", "."),
    ("{", "malformed_json", "."),
    ("[]", "invalid_field", "."),
    (r#"{"maintenance": true}"#, "invalid_field", "reason"),
    (r#"{"reason": "x"}"#, "invalid_field", "maintenance"),
    (
        r#"{"maintenance": true, "reason": "x", "until": 1}"#,
        "invalid_field",
        ".",
    ),
    (
        r#"{"maintenance": "yes", "reason": "x"}"#,
        "invalid_field",
        "maintenance",
    ),
    (
        r#"{"maintenance": true, "reason": ""}"#,
        "invalid_parameter",
        "reason",
    ),
    (
        r#"{"maintenance": true, "reason": " \u2003 "}"#,
        "invalid_parameter",
        "reason",
    ),
    (
        "{\"maintenance\": true, \"reason\": \"a\\u0000b\"}",
        "invalid_parameter",
        "reason",
    ),
];

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn bad_maintenance_requests_are_refused_on_both_transports(pool: PgPool) {
    let api = Api::over_both(World::new(pool).await, Issuer::default()).await;
    let admin = api.issuer.admin();
    for (body, code, field) in BAD_BODIES {
        let (status, problem) = api.put(PATH, "", body, Some(&admin)).await;
        assert_eq!(
            (status, &problem["code"], &problem["field"]),
            (400, &json!(code), &json!(field)),
            "{body}: {problem}"
        );
    }
    let body = r#"{"maintenance": true, "reason": "x"}"#;
    assert_eq!(
        api.put(PATH, "", body, Some(&api.issuer.user(user(1))))
            .await
            .0,
        403
    );
    assert_eq!(
        api.put(
            "/v1/admin/node-servers/404/maintenance",
            "",
            body,
            Some(&admin)
        )
        .await
        .0,
        404
    );
    assert_eq!(api.get(PATH, "", Some(&admin)).await.0, 405);
    let method = "telecom.v1.NodeServerManage/SetNodeServerMaintenance";
    for (message, code) in [
        (
            json!({ "id": 1, "maintenance": true, "reason": "x".repeat(501) }),
            Code::InvalidArgument,
        ),
        (
            json!({ "id": 1, "maintenance": true }),
            Code::InvalidArgument,
        ),
        (
            json!({ "id": 404, "maintenance": true, "reason": "x" }),
            Code::NotFound,
        ),
    ] {
        assert_eq!(
            api.grpc(method, message, Some(&admin))
                .await
                .unwrap_err()
                .code(),
            code
        );
    }
    let done = api
        .grpc(
            method,
            json!({ "id": 1, "maintenance": true, "reason": "x" }),
            Some(&admin),
        )
        .await
        .unwrap();
    assert_eq!(
        (&done["status"], &done["changed"]),
        (&json!("NODE_SERVER_STATUS_MAINTENANCE"), &json!(true))
    );
}
