//! The configuration of the AWS SDK.

use std::time::Duration;

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::region::ProvideRegion;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::config::optional;

/// The configuration of a function: region, credentials and endpoint of the environment variables.
/// Lambda sets the former two.
///
/// The SDK's chain of other sources (files, STS, the metadata of servers and containers) would be a
/// tenth of a function's program.
pub async fn of_function() -> SdkConfig {
    let credentials = EnvironmentVariableCredentialsProvider::new();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(EnvironmentVariableRegionProvider::new().region().await)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .timeout_config(timeouts());
    config.set_endpoint_url(optional("AWS_ENDPOINT_URL"));
    config.build()
}

/// The configuration of a server, from all sources that the SDK knows.
pub async fn of_server() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts())
        .load()
        .await
}

/// By default, the SDK waits for a response on an open connection without a limit.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(12))
        .build()
}
