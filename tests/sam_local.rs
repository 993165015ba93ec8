//! Functions in containers as on AWS, by `sam local`, over the deployed template. `make test-sam`
//! runs it.
#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used)]

use std::path::Path;

use local::demo::bootstrap;
use local::demo::token::Role;
use local::docker::sam::{SamLocal, recorded_event};
use local::emulator::load_balancer::LoadBalancer;
use local::loopback::ports::free_port;
use local::settings::Settings;
use local::stack::Stack;
use serde_json::{Value, json};
use sqlx::PgPool;

#[test]
#[ignore = "needs Docker; `make test-sam` runs it"]
fn an_api_a_consumer_and_a_job_run_in_containers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (settings, _folder) = Settings::ephemeral(root).unwrap();
    let parameters = bootstrap::auth_parameters(&settings).unwrap();
    let stack = Stack::start(settings, parameters).unwrap();
    bootstrap::seed(stack.endpoints()).unwrap();
    let sam = SamLocal::prepare(stack.settings(), stack.endpoints()).unwrap();

    assert_eq!(
        invoke(&sam, &stack, "ingest-usage-report"),
        json!({"batchItemFailures": []})
    );
    assert_eq!(
        count(
            &stack,
            "select count(*) from telecom.usage_report where billing_run_id is null"
        ),
        1
    );
    let billed = invoke(&sam, &stack, "bill-traffic");
    assert_eq!(
        (&billed["reports"], &billed["messages"]),
        (&json!(1), &json!(1)),
        "{billed}"
    );
    assert_eq!(
        count(
            &stack,
            "select count(*) from telecom.outbox where destination = 'user_usage_billing'"
        ),
        0
    );

    let nodes = invoke(&sam, &stack, "list-nodes");
    assert_eq!(nodes["statusCode"], 200, "{nodes}");
    over_http(&sam, &stack);
    drop(sam);
    stack.stop().unwrap();
}

/// Invokes a function with its recorded event and returns the last line of its output, which is the
/// response.
fn invoke(sam: &SamLocal, stack: &Stack, function: &str) -> Value {
    let event = recorded_event(stack.settings(), function).unwrap();
    let output = sam.invoke(function, &event).unwrap().output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{function}: {text}{log}");
    serde_json::from_str(text.trim().lines().last().unwrap())
        .unwrap_or_else(|_| panic!("{function}: {text}{log}"))
}

/// Calls the API over HTTP with and without a token.
fn over_http(sam: &SamLocal, stack: &Stack) {
    let (lambda_port, port) = (free_port().unwrap(), free_port().unwrap());
    let mut lambda = sam.start_lambda(lambda_port).unwrap();
    let balancer = LoadBalancer::start(port, sam.invoker(lambda_port)).unwrap();
    let token = bootstrap::token(stack.settings(), None, Role::Admin).unwrap();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let get = |path: &str, token: Option<&str>| {
        let mut request = agent.get(format!("http://127.0.0.1:{port}{path}"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut answer = request.call().unwrap();
        (
            answer.status().as_u16(),
            answer.body_mut().read_json::<Value>().unwrap_or_default(),
        )
    };
    let (status, servers) = get("/v1/admin/node-servers?limit=1", Some(&token));
    assert_eq!((status, &servers["total"]), (200, &json!(24)), "{servers}");
    let (status, problem) = get("/v1/admin/node-servers?limit=1", None);
    assert_eq!((status, &problem["code"]), (401, &json!("token_missing")));
    assert_eq!(get("/v1/nothing", Some(&token)).0, 404);
    drop(balancer);
    assert!(lambda.stop(), "sam local did not stop cleanly");
}

fn count(stack: &Stack, query: &'static str) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let pool = PgPool::connect(&stack.endpoints().database_url)
            .await
            .unwrap();
        sqlx::query_scalar(query).fetch_one(&pool).await.unwrap()
    })
}
