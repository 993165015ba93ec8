//! The jobs of a template: its scheduled functions.

use anyhow::Result;
use local::template::schedule::Recurrence;
use serde_json::Value;

pub struct Job<'t> {
    /// Logical id of the function.
    pub id: &'t str,
    /// Properties of the function.
    pub function: &'t Value,
    /// Properties of the schedule.
    pub schedule: &'t Value,
}

impl Job<'_> {
    /// The folder that the function is built from, such as `bill-traffic`.
    pub fn package(&self) -> &str {
        let code = self.function["CodeUri"].as_str().unwrap_or_default();
        let mut folders = code.trim_end_matches('/').rsplit('/');
        folders.next().unwrap_or_default()
    }

    pub fn recurrence(&self) -> Result<Recurrence> {
        let expression = self.schedule["ScheduleExpression"].as_str();
        Recurrence::parse(expression.unwrap_or_default())
    }
}

/// The functions by logical id, with their properties.
pub fn functions(template: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources
        .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function")
        .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
}

/// The jobs, with one entry for each of their schedules.
pub fn jobs(template: &Value) -> impl Iterator<Item = Job<'_>> {
    functions(template).flat_map(|(id, function)| {
        let events = function["Events"].as_object().into_iter().flatten();
        let schedules = events.filter(|(_, event)| event["Type"] == "ScheduleV2");
        schedules.map(move |(_, event)| Job {
            id,
            function,
            schedule: &event["Properties"],
        })
    })
}
