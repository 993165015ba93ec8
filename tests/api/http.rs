//! HTTP semantics: methods, entity tags, media types, CORS and errors.

use http::{Method, Request, StatusCode};
use lambda_http::{Body, Response, service_fn};
use serde_json::{Value, json};
use shared::config::CorsConfig;
use shared::lambda::api::{cors, document};
use sqlx::PgPool;
use telecom_tests::api::{Api, OPERATIONS, event};
use telecom_tests::{World, user};
use tower::{Layer, ServiceExt};

fn text(response: &Response<Body>) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}

fn header<'r>(response: &'r Response<Body>, name: &str) -> &'r str {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
        .unwrap_or_default()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_matching_etag_returns_304_until_the_data_change(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let token = api.issuer.admin();
    let ask = |tag: String| {
        event(
            "GET",
            "/v1/admin/node-servers",
            "",
            Some(&token),
            &[("if-none-match", &tag)],
        )
    };
    let first = api.send(ask("\"none\"".into())).await;
    assert_eq!(
        (first.status(), header(&first, "cache-control")),
        (StatusCode::OK, "private, no-cache")
    );
    let tag = header(&first, "etag").to_owned();
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"other\", {tag}"),
        "*".to_owned(),
    ] {
        let again = api.send(ask(known)).await;
        assert_eq!(
            (
                again.status(),
                text(&again).as_str(),
                header(&again, "etag")
            ),
            (StatusCode::NOT_MODIFIED, "", &*tag)
        );
    }
    api.world.server(2, &[]).await;
    assert_eq!(api.send(ask(tag)).await.status(), StatusCode::OK);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn lists_and_series_are_available_as_csv_with_a_header(pool: PgPool) {
    let world = World::new(pool).await;
    let package = world.package(100, 30).await;
    world.waiting_item(user(1), package).await;
    world
        .sql("update telecom.node_client set name = 'a, \"b\"'")
        .await;
    let api = Api::over_http(world);
    let token = api.issuer.admin();
    for operation in OPERATIONS
        .iter()
        .filter(|operation| !operation.changes && operation.status == 200)
    {
        let ask = |accept| {
            event(
                "GET",
                operation.path,
                operation.query,
                Some(&token),
                &[("accept", accept)],
            )
        };
        let csv = api.send(ask("text/csv")).await;
        let json: Value =
            serde_json::from_str(&text(&api.send(ask("application/json")).await)).unwrap();
        if operation.method.contains("/Show") {
            assert_eq!(
                header(&csv, "content-type"),
                "application/json",
                "{}",
                operation.path
            );
            continue;
        }
        assert_eq!(
            header(&csv, "content-type"),
            "text/csv; charset=utf-8; header=present"
        );
        let body = text(&csv);
        let mut reader = csv::Reader::from_reader(body.as_bytes());
        let columns = reader.headers().unwrap().len();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert!(
            columns > 1 && rows.iter().all(|row| row.len() == columns),
            "{body}"
        );
        let series = json
            .as_object()
            .unwrap()
            .values()
            .find_map(Value::as_array)
            .unwrap();
        assert_eq!(rows.len(), series.len(), "{}", operation.path);
    }
    let clients = api
        .send(event(
            "GET",
            "/v1/admin/node-clients",
            "",
            Some(&token),
            &[("accept", "text/csv")],
        ))
        .await;
    assert!(
        text(&clients).contains("11,\"a, \"\"b\"\"\",1,s1,offline,1,"),
        "{}",
        text(&clients)
    );
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn head_returns_no_body_and_other_methods_are_refused(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let token = api.issuer.user(user(1));
    let head = api
        .send(event("HEAD", "/v1/nodes", "", Some(&token), &[]))
        .await;
    assert_eq!((head.status(), text(&head).as_str()), (StatusCode::OK, ""));
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let refused = api
            .send(event(method, "/v1/nodes", "", Some(&token), &[]))
            .await;
        assert_eq!(
            (refused.status(), header(&refused, "allow")),
            (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS")
        );
        assert!(text(&refused).contains("method_not_allowed"));
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_put_ignores_if_none_match(pool: PgPool) {
    let api = Api::over_http(World::new(pool).await);
    let token = api.issuer.admin();
    for tag in ["*", "\"x\""] {
        let path = "/v1/admin/node-servers/1/maintenance";
        let mut change = event("PUT", path, "", Some(&token), &[("if-none-match", tag)]);
        change["body"] = json!(r#"{"maintenance":true,"reason":"x"}"#);
        let done = api.send(change).await;
        assert_eq!(
            (
                done.status(),
                header(&done, "cache-control"),
                header(&done, "etag")
            ),
            (StatusCode::OK, "no-store", "")
        );
        assert!(text(&done).contains("maintenance"), "{}", text(&done));
    }
}

/// `access-control-allow-origin` in the responses to a preflight and to a request from `origin`.
async fn origins(allowed: &[&str], origin: &str) -> [Option<String>; 2] {
    let config = CorsConfig {
        allowed_origins: allowed
            .iter()
            .map(|origin| origin.parse().unwrap())
            .collect(),
    };
    let mut answers = Vec::new();
    for method in [Method::OPTIONS, Method::GET] {
        let service = cors(&config).layer(service_fn(|_: Request<Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::Empty))
        }));
        let request = Request::builder()
            .method(method)
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization")
            .body(Body::Empty)
            .unwrap();
        let response = service.oneshot(request).await.unwrap();
        assert!(response.status().is_success());
        let allowed = response.headers().get("access-control-allow-origin");
        answers.push(allowed.map(|origin| origin.to_str().unwrap().to_owned()));
    }
    answers.try_into().unwrap()
}

#[tokio::test]
async fn only_configured_origins_are_allowed_by_cors() {
    const APP: &str = "https://app.test";
    assert_eq!(
        origins(&[APP, "https://b.test"], APP).await,
        [Some(APP.to_owned()), Some(APP.to_owned())]
    );
    assert_eq!(origins(&[APP], "https://evil.test").await, [None, None]);
    assert_eq!(origins(&[], APP).await, [None, None]);
    assert_eq!(
        origins(&["*"], APP).await,
        [Some("*".to_owned()), Some("*".to_owned())]
    );
}

#[tokio::test]
async fn a_database_outage_is_a_503_without_internal_details() {
    let api = Api::over_http(World::offline());
    let (status, problem) = api
        .get("/v1/nodes", "", Some(&api.issuer.user(user(1))))
        .await;
    assert_eq!((status, &problem["code"]), (503, &json!("unavailable")));
    assert!(!problem.to_string().contains("127.0.0.1"));
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_response_too_large_for_the_load_balancer_is_refused_with_advice(pool: PgPool) {
    let world = World::new(pool).await;
    // JSON escapes each quote, which makes two bytes of it.
    world
        .sql(r#"update telecom.node_client set location = repeat('"', 320000)"#)
        .await;
    let api = Api::over_http(world);
    for path in ["/v1/admin/node-clients", "/v1/admin/node-clients/11"] {
        let (status, problem) = api.get(path, "", Some(&api.issuer.admin())).await;
        assert_eq!(
            (status, &problem["code"]),
            (400, &json!("answer_too_large"))
        );
        assert!(
            problem["detail"].as_str().unwrap().contains("use gRPC"),
            "{problem}"
        );
    }
    api.world
        .sql("update telecom.node_client set location = repeat('y', 900000)")
        .await;
    assert_eq!(
        api.get("/v1/admin/node-clients", "", Some(&api.issuer.admin()))
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn the_documentation_needs_no_token_and_no_external_host() {
    let get = |path: &str| {
        document(
            &lambda_http::request::from_str(&event("GET", path, "", None, &[]).to_string())
                .unwrap(),
        )
    };
    let page = get("/docs");
    assert_eq!(
        (page.status(), header(&page, "content-type")),
        (StatusCode::OK, "text/html; charset=utf-8")
    );
    let html = text(&page);
    for operation in OPERATIONS.iter() {
        assert!(
            html.contains(operation.method.rsplit('/').next().unwrap()),
            "{}",
            operation.method
        );
    }
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("<script"));
    let described: Value = serde_json::from_str(&text(&get("/v1/openapi.json"))).unwrap();
    assert_eq!(described["openapi"], "3.1.0");
    assert_eq!(get("/docs/").status(), StatusCode::NOT_FOUND);
}
