//! Functions as processes that log at every level.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use local::emulator::localstack::runtime_api::RuntimeApi;
use serde_json::Value;
use sqlx::{ConnectOptions, PgPool};
use telecom_tests::token::{AUDIENCE, ISSUER, Issuer};

/// A process that logs at every level, killed on drop.
struct Program {
    process: Child,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Program {
    fn start(name: &str, variables: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let file = File::create(&log).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../target/debug")
            .join(name);
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .envs(variables.iter().cloned());
        command
            .stderr(Stdio::from(file.try_clone().unwrap()))
            .stdout(Stdio::from(file));
        Self {
            process: command.spawn().unwrap(),
            log,
            _folder: folder,
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a function as Lambda does, passes it `events`, and returns its log.
pub async fn log_of(function: &str, pool: &PgPool, issuer: &Issuer, events: Vec<Value>) -> String {
    let mut runtime = RuntimeApi::start(function).await.unwrap();
    let text = |text: &str| text.to_owned();
    let variables = [
        (
            "DATABASE_URL",
            text(pool.connect_options().to_url_lossy().as_str()),
        ),
        ("TELECOM_AUTH_ISSUER", text(ISSUER)),
        ("TELECOM_AUTH_AUDIENCE", text(AUDIENCE)),
        ("TELECOM_USER_REQUESTS_PER_MINUTE", text("0")),
        (
            "TELECOM_AUTH_JWKS",
            serde_json::to_string(&issuer.jwks()).unwrap(),
        ),
        ("AWS_LAMBDA_RUNTIME_API", runtime.address.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", text(function)),
        ("AWS_LAMBDA_FUNCTION_VERSION", text("1")),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", text("256")),
        ("AWS_LAMBDA_LOG_GROUP_NAME", text("local")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", text("local")),
        ("AWS_REGION", text("us-east-1")),
        ("AWS_ENDPOINT_URL", text("http://127.0.0.1:9")),
        ("AWS_ACCESS_KEY_ID", text("test")),
        ("AWS_SECRET_ACCESS_KEY", text("test")),
    ];
    let program = Program::start(function, &variables);
    for event in events {
        // Some invocations fail, as expected.
        let _ = runtime.invoke(event.to_string().into_bytes()).await;
    }
    let log = program.log();
    assert!(
        log.lines().any(|line| {
            line.contains("\"level\":\"TRACE\"") || line.contains("\"level\":\"INFO\"")
        }),
        "{log}"
    );
    log
}
