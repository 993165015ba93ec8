//! The text that is printed when the system is ready.

use std::fmt::Write as _;

use crate::settings::{Emulator, Settings};
use crate::stack::Endpoints;

/// Addresses, queues and logs of a running system, followed by the lines of `more`.
#[must_use]
pub fn ready(settings: &Settings, endpoints: &Endpoints, more: &[String]) -> String {
    let mut text = String::from("\nReady.\n\n");
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<38} {value}");
    };
    line(
        "API",
        &format!("{}/v1/traffic-usage?range=day", endpoints.api),
    );
    line("API documentation", &format!("{}/docs", endpoints.api));
    line("gRPC (telecom.v1, with reflection)", &endpoints.grpc);
    line("AWS endpoint", &endpoints.aws);
    for (name, url) in endpoints
        .outputs
        .iter()
        .filter(|(name, _)| name.ends_with("QueueUrl"))
    {
        line(&spaced(name.trim_end_matches("Url")), url);
    }
    line(
        "Event bus",
        endpoints
            .outputs
            .get("EventBusName")
            .map_or("", String::as_str),
    );
    line("Database", &format!("psql '{}'", endpoints.database_url));
    let functions = match settings.emulator {
        Emulator::Ministack => "ministack",
        Emulator::LocalStack => "function-*",
    };
    line(
        "Logs of the functions",
        &settings.log(functions).display().to_string(),
    );
    line(
        "All logs",
        &settings.state.join("log").display().to_string(),
    );
    for extra in more {
        let _ = writeln!(text, "{extra}");
    }
    text
}

/// Converts `UsageReportQueue` to `Usage report queue`.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(' ');
            words.extend(character.to_lowercase());
        } else {
            words.push(character);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_names_are_printed_as_words() {
        assert_eq!(
            spaced("UsageReportDeadLetterQueue"),
            "Usage report dead letter queue"
        );
    }
}
