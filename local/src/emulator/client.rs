//! Clients of the emulator, which accepts any credentials.

use std::process::Command;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};

use crate::settings::Settings;

/// The developer's own AWS settings, which must not reach clients of the emulator.
pub const FOREIGN_SETTINGS: [&str; 4] = [
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
];

/// Makes a command a client of the emulator, whatever the developer's own AWS settings are.
pub fn as_client(command: &mut Command, settings: &Settings) {
    for name in FOREIGN_SETTINGS {
        command.env_remove(name);
    }
    command.envs([
        ("AWS_ENDPOINT_URL", settings.endpoint().as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]);
}

/// A client of the emulator's SQS.
#[must_use]
pub fn sqs(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("test", "test", None, None, "emulator"));
    Client::from_conf(config.build())
}
