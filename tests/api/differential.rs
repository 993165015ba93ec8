//! Both transports say the same, and what they say equals plain SQL, written apart from the code, over generated data.

use serde_json::{Map, Number, Value, json};
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::token::{Issuer, claims};
use telecom_tests::{NOW, World};
use uuid::Uuid;

/// A fleet with every status and gaps in it, users in every state, and a month of usage.
const DATA: &str = include_str!("differential.sql");

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn http_and_grpc_agree_with_plain_sql(pool: PgPool) {
    let world = World::new(pool).await;
    sqlx::raw_sql(DATA).execute(&world.pool).await.unwrap();
    let users: Vec<Uuid> = column(&world, "select user_id from oracle.users order by n").await;
    let api = Api::over_both(world, Issuer::default()).await;
    for user in users {
        let token = api.issuer.sign(&claims(user, "telecom:admin telecom:secrets"));
        for question in user_questions() {
            compare(&api, &token, user, &question).await;
        }
    }
    let token = api.issuer.admin_with_secrets();
    for question in admin_questions(&api.world).await {
        compare(&api, &token, Uuid::nil(), &question).await;
    }
}

/// One question, asked in three ways.
struct Question {
    path: String,
    query: String,
    method: &'static str,
    message: Value,
    oracle: &'static str,
    arguments: [String; 4],
}

fn question(path: &str, query: &str, method: &'static str, message: Value, oracle: &'static str) -> Question {
    let (path, query) = (path.to_owned(), query.to_owned());
    Question { path, query, method, message, oracle, arguments: Default::default() }
}

impl Question {
    fn with<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        for (slot, argument) in self.arguments.iter_mut().zip(arguments) {
            argument.clone_into(slot);
        }
        self
    }
}

fn user_questions() -> Vec<Question> {
    let mut questions = Vec::new();
    for (range, step, count) in [("day", "hour", "24"), ("week", "day", "7"), ("month", "day", "30")] {
        for zone in ["UTC", "Europe/Berlin", "America/St_Johns"] {
            let message = json!({ "range": format!("RECENT_RANGE_{}", range.to_uppercase()), "time_zone": zone });
            let query = format!("range={range}&time_zone={zone}");
            let ask = question("/v1/traffic-usage", &query, "Telecom/GetRecentTrafficUsage", message, "traffic");
            questions.push(ask.with([range, step, count, zone]));
        }
    }
    for (start, end) in
        [("2026-03-08T03:30:00Z", "2026-03-10T10:00:00Z"), ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")]
    {
        let query = format!("start={start}&end={end}");
        let message = json!({ "start": start, "end": end });
        let ask = question("/v1/node-status-history", &query, "Telecom/ListNodeStatusHistory", message, "history");
        questions.push(ask.with([start, end]));
    }
    for limit in ["20", "3"] {
        let message = json!({ "limit": limit.parse::<i32>().unwrap() });
        let query = format!("limit={limit}");
        let ask = question("/v1/usually-used-nodes", &query, "Telecom/ListUsuallyUsedNodes", message, "used");
        questions.push(ask.with([limit]));
    }
    for (limit, offset) in [("1000", "0"), ("4", "2")] {
        questions.push(page("/v1/nodes", "Telecom/ListNodes", "nodes", limit, offset, "", json!({})));
    }
    questions
}

fn page(
    path: &str,
    method: &'static str,
    oracle: &'static str,
    limit: &str,
    offset: &str,
    filter: &str,
    message: Value,
) -> Question {
    let mut message = message;
    message["limit"] = json!(limit.parse::<i64>().unwrap());
    message["offset"] = json!(offset);
    let query = format!("limit={limit}&offset={offset}{}{filter}", if filter.is_empty() { "" } else { "&" });
    let value = filter.split_once('=').map_or("", |(_, value)| value);
    question(path, &query, method, message, oracle).with([limit, offset, value, filter])
}

async fn admin_questions(world: &World) -> Vec<Question> {
    const SERVERS: (&str, &str, &str) = ("/v1/admin/node-servers", "NodeServerManage/ListNodeServers", "servers");
    const CLIENTS: (&str, &str, &str) = ("/v1/admin/node-clients", "NodeClientManage/ListNodeClients", "clients");
    const PACKAGES: (&str, &str, &str) =
        ("/v1/admin/package-queue", "PackageQueueManage/ListQueuedPackages", "packages");
    let ask = |(path, method, oracle), limit, offset, filter: String, message| {
        page(path, method, oracle, limit, offset, &filter, message)
    };
    let mut questions = vec![
        question("/v1/admin/package-queue/counts", "", "PackageQueueManage/CountQueuedPackages", json!({}), "counts"),
        ask(SERVERS, "50", "0", String::new(), json!({})),
        ask(SERVERS, "5", "7", String::new(), json!({})),
        ask(CLIENTS, "200", "0", String::new(), json!({})),
        ask(CLIENTS, "6", "11", String::new(), json!({})),
        ask(CLIENTS, "50", "0", "server_id=3".into(), json!({ "server_id": 3 })),
        ask(PACKAGES, "50", "0", String::new(), json!({})),
        ask(PACKAGES, "7", "13", String::new(), json!({})),
    ];
    for status in ["online", "offline", "maintenance"] {
        let message = json!({ "filter_status": format!("NODE_SERVER_STATUS_{}", status.to_uppercase()) });
        questions.push(ask(SERVERS, "3", "1", format!("status={status}"), message));
    }
    for status in ["in_queue", "active", "consumed", "cancelled"] {
        let message = json!({ "status": format!("PACKAGE_QUEUE_STATUS_{}", status.to_uppercase()) });
        questions.push(ask(PACKAGES, "5", "0", format!("status={status}"), message));
    }
    let user: Uuid = column(world, "select user_id from oracle.users order by n offset 3 limit 1").await.remove(0);
    let order: Uuid =
        column(world, "select by_order from telecom.package_queue where by_order is not null limit 1").await.remove(0);
    questions.push(ask(PACKAGES, "50", "0", format!("user={user}"), json!({ "user": user })));
    questions.push(ask(PACKAGES, "50", "0", format!("order={order}"), json!({ "order": order })));
    for package in column::<i64>(world, "select id from telecom.package order by id").await {
        questions.push(ask(PACKAGES, "4", "1", format!("package={package}"), json!({ "package": package })));
    }
    for id in 1..=12 {
        let message = json!({ "id": id, "reveal_secrets": true });
        let path = format!("/v1/admin/node-servers/{id}");
        let id = id.to_string();
        questions.push(
            question(&path, "reveal_secrets=true", "NodeServerManage/ShowNodeServer", message, "server").with([&id]),
        );
    }
    for (id, start, end) in
        [(1, "2026-03-01T00:00:00Z", "2026-03-31T00:00:00Z"), (5, "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")]
    {
        let path = format!("/v1/admin/node-servers/{id}/availability");
        let message = json!({ "id": id, "start": start, "end": end });
        let id = id.to_string();
        let method = "NodeServerManage/GetNodeServerAvailability";
        questions.push(
            question(&path, &format!("start={start}&end={end}"), method, message, "availability")
                .with([&id, start, end]),
        );
    }
    for id in column::<i32>(world, "select id from telecom.node_client order by id limit 10").await {
        let message = json!({ "id": id, "reveal_secrets": true });
        let path = format!("/v1/admin/node-clients/{id}");
        let id = id.to_string();
        questions.push(
            question(&path, "reveal_secrets=true", "NodeClientManage/ShowNodeClient", message, "client").with([&id]),
        );
    }
    questions
}

async fn compare(api: &Api, token: &str, user: Uuid, question: &Question) {
    let what = format!("{} {}", question.path, question.query);
    let (status, http) = api.get(&question.path, &question.query, Some(token)).await;
    assert_eq!(status, 200, "{what}: {http}");
    let method = format!("telecom.v1.{}", question.method);
    let grpc = api.grpc(&method, question.message.clone(), Some(token)).await;
    let grpc = grpc.unwrap_or_else(|status| panic!("{what}: {status}"));
    let [a, b, c, d] = &question.arguments;
    let expected: Value =
        sqlx::query_scalar(&format!("select oracle.{}($1, $2, $3, $4, $5, $6)::jsonb", question.oracle))
            .bind(user)
            .bind(telecom_tests::at(NOW))
            .bind(a)
            .bind(b)
            .bind(c)
            .bind(d)
            .fetch_one(&api.world.pool)
            .await
            .unwrap();
    let (http, grpc, expected) = (plain(http), plain(grpc), plain(expected));
    assert_eq!(http, expected, "HTTP and SQL, {what}");
    assert_eq!(grpc, expected, "gRPC and SQL, {what}");
}

/// A value without what transports say in ways of their own: the names of enumerations, what is absent, and how whole
/// numbers and moments are written.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, plain(value)));
            Value::Object(fields.filter(|(_, value)| !is_absent(value)).collect::<Map<_, _>>())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(plain).collect()),
        Value::Number(number) => Value::Number(plain_number(&number)),
        Value::String(text) => Value::String(plain_text(&text)),
        other => other,
    }
}

fn is_absent(value: &Value) -> bool {
    value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty)
}

fn plain_number(number: &Number) -> Number {
    let whole = number.as_i64().or_else(|| number.to_string().strip_suffix(".0")?.parse().ok());
    whole.map_or_else(|| Number::from_f64(number.as_f64().unwrap()).unwrap(), Number::from)
}

fn plain_text(text: &str) -> String {
    const PREFIXES: [&str; 5] = [
        "NODE_SERVER_STATUS_",
        "NODE_SERVER_COMPATIBILITY_",
        "PACKAGE_QUEUE_STATUS_",
        "PACKAGE_END_REASON_",
        "RECENT_RANGE_",
    ];
    if text == "PACKAGE_END_REASON_UNSPECIFIED" {
        return String::new();
    }
    if let Some(name) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        return name.to_lowercase();
    }
    match chrono::DateTime::parse_from_rfc3339(text) {
        Ok(at) => at.to_utc().to_rfc3339(),
        Err(_) => text.to_owned(),
    }
}

async fn column<T>(world: &World, sql: &'static str) -> Vec<T>
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_scalar(sql).fetch_all(&world.pool).await.unwrap()
}
