//! The text that is printed when the system is ready.

use std::fmt::Display;

use crate::settings::{Emulator, Settings};
use crate::stack::Endpoints;

/// Addresses, queues and logs of a running system, followed by the lines of `more`.
#[must_use]
pub fn ready(settings: &Settings, endpoints: &Endpoints, more: &[String]) -> String {
    let Endpoints { api, outputs, .. } = endpoints;
    let mut lines = vec!["\nReady.\n".to_owned()];
    let mut line = |name: &str, value: &dyn Display| lines.push(format!("  {name:<38} {value}"));
    line("Console", &settings.console_url());
    line("API", &format!("{api}/v1/traffic-usage?range=day"));
    line("API documentation", &format!("{api}/docs"));
    line("gRPC (telecom.v1, with reflection)", &endpoints.grpc);
    line("Metrics of the gRPC server", &endpoints.metrics);
    line("AWS endpoint", &endpoints.aws);
    for (name, url) in outputs {
        if let Some(queue) = name
            .strip_suffix("Url")
            .filter(|name| name.ends_with("Queue"))
        {
            line(&spaced(queue), url);
        }
    }
    let event_bus = outputs.get("EventBusName").map_or("", String::as_str);
    line("Event bus", &event_bus);
    line("Database", &format!("psql '{}'", endpoints.database_url));
    let functions = match settings.emulator {
        Emulator::Ministack => "ministack",
        Emulator::LocalStack => "function-*",
    };
    line("Logs of the functions", &settings.log(functions).display());
    line("All logs", &settings.state.join("log").display());
    lines.extend_from_slice(more);
    lines.join("\n") + "\n"
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
