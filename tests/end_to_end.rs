//! The deployed template on free ports: reports go to the real queue, and responses come through
//! the load balancer.
#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used)]

#[path = "end_to_end/deployed.rs"]
mod deployed;
#[path = "end_to_end/traces.rs"]
mod traces;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use local::demo::token::Role;
use local::demo::{bootstrap, sign_in};
use local::process::{ServiceUser, find_program};
use local::python::Environment;
use local::settings::Settings;
use local::stack::{Endpoints, Stack};
use serde_json::{Value, json};
use shared::clock::{Clock, System};
use telecom_tests::api::OPERATIONS;
use telecom_tests::report::report_of;
use telecom_tests::{grpc, metrics, user};
use tonic::transport::Channel;
use ureq::ResponseExt;
use uuid::Uuid;

use deployed::Deployed;

#[test]
fn a_report_is_billed_and_a_bad_one_becomes_a_dead_letter() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (settings, _folder) = Settings::ephemeral(root).unwrap();
    let parameters = bootstrap::auth_parameters(&settings).unwrap();
    let stack = Stack::start(settings, parameters).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(drive(&stack));
    stack.stop().unwrap();
}

/// Status of a request that a browser might send to the AWS endpoint.
fn status(stack: &Stack, request: &str, host: &str, header: &str) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", stack.settings().gateway_port)).unwrap();
    let request = format!(
        "{request} HTTP/1.1\r\nHost: {host}\r\n{header}\r\nContent-Length: 0\r\nConnection: \
         close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A web page reaches the AWS endpoint neither by a form, a script or an image, nor under a host
/// name that it has pointed to this machine.
fn web_pages_reach_only_the_api(stack: &Stack) {
    const EVIL: &str = "Origin: https://evil.test";
    let here = format!("127.0.0.1:{}", stack.settings().gateway_port);
    let functions = "GET /2015-03-31/functions";
    let refused = [
        (functions, here.as_str(), EVIL),
        (functions, "evil.test", "Accept: */*"),
        ("OPTIONS /2015-03-31/functions", &here, EVIL),
        ("POST /?Action=ListQueues", &here, "Origin: null"),
        (
            "GET /?Action=ListQueues",
            &here,
            "Sec-Fetch-Site: cross-site",
        ),
        ("GET /_alb/telecom/../../2015-03-31/functions", &here, EVIL),
        (
            "GET /_alb/telecom/%2e%2e/%2e%2e/2015-03-31/functions",
            &here,
            EVIL,
        ),
        ("GET /_alb/telecom/docs", "evil.test", EVIL),
    ];
    for (request, host, header) in refused {
        assert_eq!(
            status(stack, request, host, header),
            403,
            "{request} {host} {header}"
        );
    }
    for (request, header) in [(functions, "Accept: */*"), ("GET /_alb/telecom/docs", EVIL)] {
        assert_eq!(
            status(stack, request, &here, header),
            200,
            "{request} {header}"
        );
    }
}

/// The load balancer serves the console, whose scripts are compressed, and which learns where
/// people sign in.
fn the_console_is_served(stack: &Stack) {
    let console = stack.settings().console_url();
    let get = |url: &str, encoding: &str| {
        let request = ureq::get(url).header("accept-encoding", encoding);
        request
            .call()
            .unwrap_or_else(|error| panic!("{url}: {error}"))
    };
    let moved = get(console.trim_end_matches('/'), "identity");
    assert_eq!(moved.get_uri().to_string(), console);
    let mut config = get(&format!("{console}config.json"), "identity");
    let config: Value = config.body_mut().read_json().unwrap();
    assert_eq!(
        config["issuer"],
        sign_in::url(stack.settings().sign_in_port)
    );
    let page = get(&console, "identity");
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains(config["issuer"].as_str().unwrap()),
        "{policy}"
    );
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../console/dist/assets");
    for asset in fs::read_dir(assets).unwrap() {
        let asset = asset.unwrap();
        let name = asset.file_name().into_string().unwrap();
        let mut served = get(&format!("{console}assets/{name}"), "br");
        let is_compressed = served.headers().contains_key("content-encoding");
        let bytes = served.body_mut().read_to_vec().unwrap().len();
        let size = usize::try_from(asset.metadata().unwrap().len()).unwrap();
        assert!(
            is_compressed && bytes < size,
            "{name}: {bytes} of {size} bytes"
        );
    }
}

/// Only their owner can read data, logs and saved state. Deployed files are public.
fn only_the_owner_reads_private_files(folder: &Path, deployed: &Path) {
    for entry in fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|entry| entry.path() != deployed)
    {
        // An entry that the emulator has just removed needs no check.
        let Ok(data) = fs::symlink_metadata(entry.path()) else {
            continue;
        };
        // The code of functions, which the emulator unpacks, is not private.
        let is_code = data.is_file() && data.mode() % 0o1000 == 0o755;
        let for_others = data.mode() % 0o100;
        assert!(
            data.is_symlink() || is_code || for_others == 0,
            "{}: {:o}",
            entry.path().display(),
            data.mode()
        );
        if data.is_dir() {
            only_the_owner_reads_private_files(&entry.path(), deployed);
        }
    }
}

/// No service that this process started runs as root.
fn no_service_runs_as_root() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !rustix::process::geteuid().is_root() || !ServiceUser::choose().unwrap().can_enter(root) {
        return;
    }
    let processes = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let status = fs::read_to_string(entry.path().join("status")).ok()?;
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name))?;
                Some(line.split_whitespace().next()?.to_owned())
            };
            Some((field("PPid:")?, field("Name:")?, field("Uid:")?))
        });
    let own = std::process::id().to_string();
    let services: Vec<_> = processes.filter(|(parent, ..)| *parent == own).collect();
    assert!(services.len() >= 3, "{services:?}");
    assert!(
        services.iter().all(|(_, _, user)| user != "0"),
        "{services:?}"
    );
}

async fn drive(stack: &Stack) {
    let system = Deployed::new(stack).await;
    let now = System.now();
    system.load_fleet().await;
    let good = report_of(1, 1, now, &[(user(1), 60, 70), (user(2), 5, 6)]);
    let other_payload = report_of(1, 1, now, &[(user(1), 61, 70)]);
    let unknown_server = report_of(2, 404, now, &[(user(1), 1, 1)]);
    let mut bad = [
        other_payload.to_string(),
        unknown_server.to_string(),
        "{\"type\":".to_owned(),
    ];
    a_repeated_report_is_billed_once(&system, &good.to_string(), &bad).await;
    an_order_is_delivered(&system).await;

    let token = bootstrap::token(stack.settings(), Some(user(1)), Role::User).unwrap();
    only_its_user_reads_the_usage(&system, &token);
    no_function_has_the_password(stack.endpoints());
    web_pages_reach_only_the_api(stack);
    the_console_is_served(stack);
    only_the_owner_reads_private_files(&stack.settings().state, &stack.settings().deploy);
    no_service_runs_as_root();
    every_operation_succeeds(&system, stack).await;
    run_examples(stack, &token);
    traces::lead_through_all_logs(&system).await;

    let mut dead = system.dead_letters(3).await;
    dead.sort();
    bad.sort();
    assert_eq!(dead, bad);
}

/// The bill exhausts the package of user 1. The bad reports do not stop the pipeline.
async fn a_repeated_report_is_billed_once(system: &Deployed<'_>, good: &str, bad: &[String]) {
    for _ in 0..3 {
        system.send_traced(good, traces::OF_REPORT).await;
    }
    system
        .until(
            "the report is recorded",
            "select count(*) = 1 from telecom.usage_report",
        )
        .await;
    for body in bad {
        system.send(body).await;
    }
    system.bill().await;
    for (what, condition) in [
        (
            "the bill is applied",
            "select count(*) = 2 from telecom.user_package_usage",
        ),
        (
            "the exhausted package is consumed and the next active",
            "select string_agg(status::text, ' ' order by id) = 'consumed active' \
             from telecom.package_queue",
        ),
        (
            "all facts are on the bus",
            "select count(*) = 0 from telecom.outbox",
        ),
    ] {
        system.until(what, condition).await;
    }
}

/// The first item of the order is active, and the facts about it are on the bus.
async fn an_order_is_delivered(system: &Deployed<'_>) {
    let sell = "update telecom.package set is_master = true returning series";
    let series: Uuid = sqlx::query_scalar(sell)
        .fetch_one(&system.pool)
        .await
        .unwrap();
    let order = json!({ "type": "package.order.v1", "order_id": Uuid::from_u128(1),
        "user": user(3), "series": series, "amount": 2 });
    system
        .send_to("PackageOrderQueueUrl", &order.to_string())
        .await;
    for (what, condition) in [
        (
            "the order is delivered",
            "select string_agg(status::text, ' ' order by id) = 'active in_queue' \
             from telecom.package_queue where by_order is not null",
        ),
        (
            "all facts are on the bus",
            "select count(*) = 0 from telecom.outbox",
        ),
    ] {
        system.until(what, condition).await;
    }
}

fn only_its_user_reads_the_usage(system: &Deployed<'_>, token: &str) {
    let answer = system.get("/v1/traffic-usage?range=day", Some(token)).1;
    assert_eq!(
        (sum(&answer["raw"]), sum(&answer["actually_billed"])),
        ([60, 70], [120, 140])
    );
    let (status, problem) = system.get("/v1/traffic-usage?range=day", None);
    assert_eq!((status, &problem["code"]), (401, &json!("token_missing")));
    let (status, problem) = system.get("/v1/traffic-usage?range=century", Some(token));
    assert_eq!((status, &problem["field"]), (400, &json!("range")));
}

/// Functions know the name of the secret that holds the password.
fn no_function_has_the_password(endpoints: &Endpoints) {
    let password = url::Url::parse(&endpoints.database_url)
        .unwrap()
        .password()
        .unwrap()
        .to_owned();
    let list = format!("{}/2015-03-31/functions/?MaxItems=50", endpoints.aws);
    let functions = ureq::get(&list)
        .call()
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    assert!(
        !functions.contains(&password),
        "a function's environment has the database's password"
    );
    let named = functions.matches("DATABASE_SECRET_ARN").count();
    assert!(
        named >= 23,
        "only {named} functions have the ARN of a secret"
    );
}

/// Every operation succeeds through the load balancer and over gRPC, with the same result.
async fn every_operation_succeeds(system: &Deployed<'_>, stack: &Stack) {
    let token = bootstrap::token(stack.settings(), Some(user(1)), Role::Admin).unwrap();
    let channel = Channel::from_shared(stack.endpoints().grpc.clone())
        .unwrap()
        .connect()
        .await
        .unwrap();
    for operation in OPERATIONS.iter() {
        // The demo fleet has no client 11.
        let path = operation.path.replace("/11", "/1");
        let (status, answer) = system.ask(
            operation,
            &format!("{path}?{}", operation.query),
            Some(&token),
        );
        assert_eq!(status, operation.status, "{path}: {answer}");
        let message = operation.message.replace(":11", ":1");
        let request = operation.call(serde_json::from_str(&message).unwrap(), Some(&token));
        match grpc::call_with(&channel, operation.method, request).await {
            Ok(grpc_answer) => {
                for name in ["total", "server_id", "all"] {
                    assert_eq!(answer[name], grpc_answer[name], "{path}");
                }
            }
            Err(status) => assert_eq!(status.code(), operation.code(), "{path}: {status:?}"),
        }
        assert_eq!(system.ask(operation, &path, None).0, 401, "{path}");
    }
    let log = std::fs::read_to_string(stack.settings().log("grpc")).unwrap();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!(
        lines
            .filter(|line| line["message"] == "call completed")
            .count(),
        OPERATIONS.len()
    );
    assert_eq!(counted_calls(stack).await, OPERATIONS.len().to_string());
    assert_eq!(system.get("/v1/openapi.json", None).1["openapi"], "3.1.0");
    assert_eq!(
        system.get("/v1/admin/node-servers/1/..", Some(&token)).0,
        404
    );
}

/// Number of calls to the gRPC server, by its metrics. Health checks do not count.
async fn counted_calls(stack: &Stack) -> String {
    let samples = metrics::scrape(([127, 0, 0, 1], stack.settings().metrics_port).into()).await;
    let calls = samples
        .iter()
        .filter(|sample| sample.name == "telecom_grpc_calls_total");
    let ours = calls.filter(|sample| sample.labels["operation"] != "Check");
    ours.map(|sample| sample.value).sum::<f64>().to_string()
}

/// Runs the examples of the documentation unchanged.
fn run_examples(stack: &Stack, token: &str) {
    let root = &stack.settings().root;
    let tools = Environment::ensure(stack.settings(), "grpc")
        .unwrap()
        .program("");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    // Examples whose tool is not installed on this machine are skipped.
    let foreign = ["curl", "grpcurl"]
        .into_iter()
        .filter(|tool| find_program(tool).is_some());
    let foreign = foreign.map(|tool| format!("docs/examples/{tool}.sh"));
    let ours = [
        "docs/examples/buf-curl.sh",
        "target/debug/examples/list_nodes",
    ]
    .map(str::to_owned);
    for example in foreign.chain(ours) {
        let mut command = Command::new(root.join(&example));
        command
            .env("PATH", &path)
            .env("TELECOM_TOKEN", token)
            .env("TELECOM_API", &stack.endpoints().api);
        command.env(
            "TELECOM_GRPC",
            stack.endpoints().grpc.trim_start_matches("http://"),
        );
        let output = command.current_dir(root).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && text.len() > 20,
            "{example}: {text}"
        );
    }
}

fn sum(series: &Value) -> [i64; 2] {
    let sum = |name: &str| {
        series
            .as_array()
            .unwrap()
            .iter()
            .map(|bucket| bucket[name].as_i64().unwrap())
            .sum()
    };
    [sum("upload"), sum("download")]
}
