//! `telecom-grpc` runs the server. `telecom-grpc health` checks a server on the same machine, for
//! health checks of containers.

use std::process::ExitCode;

use shared::app::App;
use shared::telemetry::{self, otlp};
use telecom_grpc::{GrpcConfig, health, serve};

/// Default of `DATABASE_MAX_CONNECTIONS`. Unlike a Lambda function, one process handles many calls
/// at a time.
const MAX_CONNECTIONS: u32 = 10;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let config = GrpcConfig::from_env()?;
    match std::env::args().nth(1).as_deref() {
        None => {
            telemetry::init();
            let exported = tokio::spawn(otlp::export_in_background());
            serve(&App::server(MAX_CONNECTIONS), &config).await?;
            exported.abort();
            otlp::export().await;
            Ok(ExitCode::SUCCESS)
        }
        Some("health") => Ok(if health::ask(&config).await {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }),
        Some(other) => anyhow::bail!(
            "unknown argument {other:?}; expected none to serve, or `health` to check a server"
        ),
    }
}
