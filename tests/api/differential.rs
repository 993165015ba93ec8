//! HTTP and gRPC return the same, and this equals plain SQL that is written independently of the
//! code. The data are generated. The requests are chosen by hand or generated, valid and invalid.

mod generated;
mod table;

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Number, Value, json};
use sqlx::PgPool;
use telecom_tests::api::Api;
use telecom_tests::token::{Issuer, claims};
use telecom_tests::{NOW, World, at};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use generated::{Call, Caller, Known, calls};

/// A fleet with every status and with gaps, users in every state, and a month of usage. The data
/// depend on `setseed`.
const DATA: &str = include_str!("differential.sql");

async fn api_over_data(pool: PgPool, seed: &str) -> Api {
    let world = World::new(pool).await;
    sqlx::raw_sql(&format!("select setseed({seed}); {DATA}"))
        .execute(&world.pool)
        .await
        .unwrap();
    Api::over_both(world, Issuer::default()).await
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn http_and_grpc_agree_with_plain_sql(pool: PgPool) {
    let api = api_over_data(pool, "0.42").await;
    let users: Vec<Uuid> = column(&api.world, "select user_id from oracle.users order by n").await;
    let (caller, now) = (Caller::Keeper, at(NOW));
    for user in users {
        for question in user_questions() {
            compare(
                &api,
                &Call {
                    caller,
                    user,
                    now,
                    question,
                },
            )
            .await;
        }
    }
    for question in admin_questions(&api.world).await {
        compare(
            &api,
            &Call {
                caller,
                user: Uuid::nil(),
                now,
                question,
            },
        )
        .await;
    }
}

/// Compares 200 requests over a data set per seed. A failure prints the request.
macro_rules! over_generated_questions {
    ($($name:ident: $seed:literal),+) => { $(
        #[sqlx::test(migrator = "shared::db::MIGRATOR")]
        async fn $name(pool: PgPool) {
            agree(pool, $seed).await;
        }
    )+ };
}
over_generated_questions! {
    generated_requests_agree_with_plain_sql_1: 1,
    generated_requests_agree_with_plain_sql_2: 2,
    generated_requests_agree_with_plain_sql_3: 3
}

async fn agree(pool: PgPool, seed: u8) {
    const QUESTIONS: usize = 200;
    let api = api_over_data(pool, &format!("0.{seed}")).await;
    let questions = calls(&known(&api.world).await);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut outcomes: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for _ in 0..QUESTIONS {
        let call = questions.new_tree(&mut runner).unwrap().current();
        let [answered, refused] = outcomes.entry(call.question.oracle).or_default();
        let outcome = if compare(&api, &call).await {
            answered
        } else {
            refused
        };
        *outcome += 1;
    }
    // Without successful and refused requests of each operation the test would prove nothing.
    let counted = |(oracle, [answered, refused]): (&&str, &[usize; 2])| {
        *answered > 0 && (*refused > 0 || **oracle == *"counts")
    };
    assert!(
        outcomes.len() == 11 && outcomes.iter().all(counted),
        "{outcomes:?}"
    );
}

async fn known(world: &World) -> Known {
    let zones: Vec<String> =
        column(world, "select name from pg_timezone_names order by name").await;
    Known {
        users: column(world, "select user_id from oracle.users order by n").await,
        orders: column(
            world,
            "select distinct by_order from telecom.package_queue where by_order is not null \
             order by 1",
        )
        .await,
        zones: zones
            .into_iter()
            .filter(|name| name.parse::<chrono_tz::Tz>().is_ok())
            .collect(),
    }
}

/// A request over HTTP and gRPC, and its arguments for the SQL oracle.
#[derive(Debug, Clone)]
struct Question {
    path: String,
    query: String,
    method: &'static str,
    message: Value,
    oracle: &'static str,
    arguments: [String; 4],
    /// Parameters that the documentation does not accept, by their names over HTTP and gRPC.
    faults: Vec<(&'static str, &'static str)>,
    /// Whether the request reveals secrets.
    secrets: bool,
    /// `start` and `end`, which are not yet part of the request.
    range: Option<[Option<DateTime<FixedOffset>>; 2]>,
}

fn question(
    path: &str,
    query: &str,
    method: &'static str,
    message: Value,
    oracle: &'static str,
) -> Question {
    let (path, query) = (path.to_owned(), query.to_owned());
    let (arguments, faults) = (Default::default(), Vec::new());
    Question {
        path,
        query,
        method,
        message,
        oracle,
        arguments,
        faults,
        secrets: false,
        range: None,
    }
}

impl Question {
    fn with_arguments<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        for (slot, argument) in self.arguments.iter_mut().zip(arguments) {
            argument.clone_into(slot);
        }
        self
    }

    fn with_range(self, range: [Option<DateTime<FixedOffset>>; 2]) -> Self {
        Self {
            range: Some(range),
            ..self
        }
    }

    fn is_for_administrators(&self) -> bool {
        self.path.starts_with("/v1/admin/")
    }
}

fn user_questions() -> Vec<Question> {
    let mut questions = Vec::new();
    for (range, step, count) in [
        ("day", "hour", "24"),
        ("week", "day", "7"),
        ("month", "day", "30"),
    ] {
        for zone in ["UTC", "Europe/Berlin", "America/St_Johns"] {
            let message = json!({ "range": format!("RECENT_RANGE_{}", range.to_uppercase()),
                "time_zone": zone });
            let query = format!("range={range}&time_zone={zone}");
            let ask = question(
                "/v1/traffic-usage",
                &query,
                "Telecom/GetRecentTrafficUsage",
                message,
                "traffic",
            );
            questions.push(ask.with_arguments([range, step, count, zone]));
        }
    }
    for (start, end) in [
        ("2026-03-08T03:30:00Z", "2026-03-10T10:00:00Z"),
        ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
    ] {
        let query = format!("start={start}&end={end}");
        let message = json!({ "start": start, "end": end });
        let ask = question(
            "/v1/node-status-history",
            &query,
            "Telecom/ListNodeStatusHistory",
            message,
            "history",
        );
        questions.push(ask.with_arguments(["", start, end]));
    }
    for limit in ["20", "3"] {
        let message = json!({ "limit": limit.parse::<i32>().unwrap() });
        let query = format!("limit={limit}");
        let ask = question(
            "/v1/usually-used-nodes",
            &query,
            "Telecom/ListUsuallyUsedNodes",
            message,
            "used",
        );
        questions.push(ask.with_arguments([limit]));
    }
    for (limit, offset) in [("1000", "0"), ("4", "2")] {
        questions.push(page(
            "/v1/nodes",
            "Telecom/ListNodes",
            "nodes",
            limit,
            offset,
            "",
            json!({}),
        ));
    }
    let own = |filter: &str, message| {
        let (path, method) = ("/v1/packages", "Telecom/ListPackages");
        page(path, method, "own_packages", "2", "1", filter, message)
    };
    questions.push(own("", json!({})));
    for status in ["in_queue", "active", "consumed", "cancelled"] {
        let message =
            json!({ "status": format!("PACKAGE_QUEUE_STATUS_{}", status.to_uppercase()) });
        questions.push(own(&format!("status={status}"), message));
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
    let query = format!(
        "limit={limit}&offset={offset}{}{filter}",
        if filter.is_empty() { "" } else { "&" }
    );
    let (name, value) = filter.split_once('=').unwrap_or_default();
    question(path, &query, method, message, oracle).with_arguments([
        limit,
        offset,
        value,
        &json!({ name: value }).to_string(),
    ])
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn admin_questions(world: &World) -> Vec<Question> {
    const SERVERS: (&str, &str, &str) = (
        "/v1/admin/node-servers",
        "NodeServerManage/ListNodeServers",
        "servers",
    );
    const CLIENTS: (&str, &str, &str) = (
        "/v1/admin/node-clients",
        "NodeClientManage/ListNodeClients",
        "clients",
    );
    const PACKAGES: (&str, &str, &str) = (
        "/v1/admin/package-queue",
        "PackageQueueManage/ListQueuedPackages",
        "packages",
    );
    let ask = |(path, method, oracle), limit, offset, filter: String, message| {
        page(path, method, oracle, limit, offset, &filter, message)
    };
    let mut questions = vec![
        question(
            "/v1/admin/package-queue/counts",
            "",
            "PackageQueueManage/CountQueuedPackages",
            json!({}),
            "counts",
        ),
        ask(SERVERS, "50", "0", String::new(), json!({})),
        ask(SERVERS, "5", "7", String::new(), json!({})),
        ask(CLIENTS, "200", "0", String::new(), json!({})),
        ask(CLIENTS, "6", "11", String::new(), json!({})),
        ask(
            CLIENTS,
            "50",
            "0",
            "server_id=3".into(),
            json!({ "server_id": 3 }),
        ),
        ask(PACKAGES, "50", "0", String::new(), json!({})),
        ask(PACKAGES, "7", "13", String::new(), json!({})),
    ];
    for status in ["online", "offline", "maintenance"] {
        let message =
            json!({ "filter_status": format!("NODE_SERVER_STATUS_{}", status.to_uppercase()) });
        questions.push(ask(SERVERS, "3", "1", format!("status={status}"), message));
    }
    for status in ["in_queue", "active", "consumed", "cancelled"] {
        let message =
            json!({ "status": format!("PACKAGE_QUEUE_STATUS_{}", status.to_uppercase()) });
        questions.push(ask(PACKAGES, "5", "0", format!("status={status}"), message));
    }
    let user: Uuid = column(
        world,
        "select user_id from oracle.users order by n offset 3 limit 1",
    )
    .await
    .remove(0);
    let order: Uuid = column(
        world,
        "select by_order from telecom.package_queue where by_order is not null limit 1",
    )
    .await
    .remove(0);
    questions.push(ask(
        PACKAGES,
        "50",
        "0",
        format!("user={user}"),
        json!({ "user": user }),
    ));
    questions.push(ask(
        PACKAGES,
        "50",
        "0",
        format!("order={order}"),
        json!({ "order": order }),
    ));
    for package in column::<i64>(world, "select id from telecom.package order by id").await {
        questions.push(ask(
            PACKAGES,
            "4",
            "1",
            format!("package={package}"),
            json!({ "package": package }),
        ));
    }
    for id in 1..=12 {
        let message = json!({ "id": id, "reveal_secrets": true });
        let path = format!("/v1/admin/node-servers/{id}");
        let id = id.to_string();
        questions.push(
            question(
                &path,
                "reveal_secrets=true",
                "NodeServerManage/ShowNodeServer",
                message,
                "server",
            )
            .with_arguments([&id, "true"]),
        );
    }
    for (id, start, end) in [
        (1, "2026-03-01T00:00:00Z", "2026-03-31T00:00:00Z"),
        (5, "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
    ] {
        let path = format!("/v1/admin/node-servers/{id}/availability");
        let message = json!({ "id": id, "start": start, "end": end });
        let id = id.to_string();
        let method = "NodeServerManage/GetNodeServerAvailability";
        questions.push(
            question(
                &path,
                &format!("start={start}&end={end}"),
                method,
                message,
                "availability",
            )
            .with_arguments([&id, start, end]),
        );
    }
    for id in column::<i32>(
        world,
        "select id from telecom.node_client order by id limit 10",
    )
    .await
    {
        let message = json!({ "id": id, "reveal_secrets": true });
        let path = format!("/v1/admin/node-clients/{id}");
        let id = id.to_string();
        questions.push(
            question(
                &path,
                "reveal_secrets=true",
                "NodeClientManage/ShowNodeClient",
                message,
                "client",
            )
            .with_arguments([&id, "true"]),
        );
    }
    questions
}

/// Documented outcome of a request.
enum Expected {
    Answer(Value),
    Fault(u16, Code, &'static str),
}

/// Compares HTTP, gRPC and CSV with the oracle. Returns whether the request succeeds.
async fn compare(api: &Api, call: &Call) -> bool {
    api.world.clock.set(call.now);
    let expected = expected(api, call).await;
    let mut claims = claims(call.user, call.caller.scope());
    claims["exp"] = json!(call.now.timestamp() + 600);
    let token = api.issuer.sign(&claims);
    let question = &call.question;
    let http = api.get(&question.path, &question.query, Some(&token)).await;
    let method = format!("telecom.v1.{}", question.method);
    let grpc = api
        .grpc(&method, question.message.clone(), Some(&token))
        .await;
    match expected {
        Expected::Answer(expected) => {
            assert_eq!(
                (http.0, plain(http.1)),
                (200, expected.clone()),
                "HTTP and SQL, {call:#?}"
            );
            let grpc = grpc.unwrap_or_else(|status| panic!("{status}, {call:#?}"));
            assert_eq!(plain(grpc), expected, "gRPC and SQL, {call:#?}");
            table::compare(api, &token, call, &expected).await;
            true
        }
        Expected::Fault(status, code, reason) => {
            assert_eq!(
                (http.0, &http.1["code"]),
                (status, &json!(reason)),
                "{call:#?}: {}",
                http.1
            );
            let refused = grpc.unwrap_err();
            assert_eq!(
                (refused.code(), error_reason(&refused)),
                (code, reason.to_owned()),
                "{call:#?}: {refused}"
            );
            if !question.faults.is_empty() && status == 400 {
                let at_fault = (
                    http.1["field"].as_str().unwrap_or_default(),
                    field(&refused),
                );
                let known = question.faults.iter().any(|(name, _)| *name == at_fault.0)
                    && question.faults.iter().any(|(_, name)| *name == at_fault.1);
                assert!(known, "unexpected field {at_fault:?}, {call:#?}");
            }
            false
        }
    }
}

/// Checks in the documented order: scope, parameters, scope for secrets, existence.
async fn expected(api: &Api, call: &Call) -> Expected {
    let Call {
        caller, question, ..
    } = call;
    if question.is_for_administrators() && *caller == Caller::User {
        return Expected::Fault(403, Code::PermissionDenied, "scope_missing");
    }
    if !question.faults.is_empty() {
        return Expected::Fault(400, Code::InvalidArgument, "invalid_parameter");
    }
    if question.secrets && *caller != Caller::Keeper {
        return Expected::Fault(403, Code::PermissionDenied, "scope_missing");
    }
    match oracle(api, call).await {
        Some(answer) => Expected::Answer(plain(answer)),
        None => Expected::Fault(404, Code::NotFound, "not_found"),
    }
}

/// The result of plain SQL; `None` if the resource does not exist.
async fn oracle(
    api: &Api,
    Call {
        user,
        now,
        question,
        ..
    }: &Call,
) -> Option<Value> {
    let [a, b, c, d] = &question.arguments;
    let sql = format!(
        "select oracle.{}($1, $2, $3, $4, $5, $6)::jsonb",
        question.oracle
    );
    let answer = sqlx::query_scalar(&sql)
        .bind(user)
        .bind(now)
        .bind(a)
        .bind(b)
        .bind(c)
        .bind(d);
    answer
        .fetch_one(&api.world.pool)
        .await
        .unwrap_or_else(|error| panic!("{error}, {question:#?}"))
}

fn error_reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

fn field(status: &Status) -> String {
    let violations = status
        .get_details_bad_request()
        .map(|request| request.field_violations)
        .unwrap_or_default();
    violations
        .into_iter()
        .next()
        .map(|violation| violation.field)
        .unwrap_or_default()
}

/// Normalizes what the transports represent differently: names of enumerations, absent values,
/// integers and timestamps.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, plain(value)));
            Value::Object(
                fields
                    .filter(|(_, value)| !is_absent(value))
                    .collect::<Map<_, _>>(),
            )
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
    let whole = number
        .as_i64()
        .or_else(|| number.to_string().strip_suffix(".0")?.parse().ok());
    whole.map_or_else(
        || Number::from_f64(number.as_f64().unwrap()).unwrap(),
        Number::from,
    )
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
    sqlx::query_scalar(sql)
        .fetch_all(&world.pool)
        .await
        .unwrap()
}
