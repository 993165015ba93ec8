//! `local/scripts/cost.py` counts the runs of jobs by their schedules.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use local::python::Environment;
use local::settings::Settings;
use local::template::schedule::Recurrence;

use crate::document::{ROOT, repository, templates};

fn python(script: &Path) -> Command {
    let environment = Environment::ensure(&Settings::lasting(&repository()), "sam").unwrap();
    let mut command = Command::new(environment.program("python"));
    // Without `-B` it would write a folder of compiled files beside the scripts.
    command.arg("-B").arg(script);
    command
}

/// Computes the cost from a copy of the templates in which the first schedule is replaced. `job` is
/// the code of the only job.
fn cost_with(expression: &str, job: &str) -> Output {
    cost_with_field("ScheduleExpression: ", expression, job)
}

/// Computes the cost from a copy of the templates in which the first `field` has another value.
fn cost_with_field(field: &str, value: &str, job: &str) -> Output {
    const SCRIPT: &str = "local/scripts/cost.py";
    let folder = tempfile::tempdir().unwrap();
    let others = [SCRIPT, "docs/DEPLOY.md"].map(str::to_owned);
    for path in templates().into_keys().chain(others) {
        let mut text = fs::read_to_string(repository().join(&path)).unwrap();
        if path == ROOT {
            let (before, after) = text.split_once(field).unwrap();
            let (_, after) = after.split_once('\n').unwrap();
            text = format!("{before}{field}{value}\n{after}");
        }
        let copy = folder.path().join(path);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::write(copy, text).unwrap();
    }
    let jobs = folder.path().join("shared/src/services/cron");
    fs::create_dir_all(&jobs).unwrap();
    fs::write(jobs.join("job.rs"), job).unwrap();
    python(&folder.path().join(SCRIPT)).output().unwrap()
}

/// The number before `unit` in the row of costs that begins with `row`.
fn counted(output: &Output, row: &str, unit: &str) -> i64 {
    assert!(output.status.success(), "{output:?}");
    let tables = String::from_utf8_lossy(&output.stdout);
    let (_, row) = tables.split_once(&format!("| {row} | ")).unwrap();
    let (before, _) = row.split_once(unit).unwrap();
    let number = before.trim_end().rsplit(' ').next().unwrap();
    number.replace(',', "").parse().unwrap()
}

fn runs_per_month_with(expression: &str) -> i64 {
    counted(&cost_with(expression, ""), "Jobs", "runs")
}

#[test]
fn each_value_that_jobs_measure_is_a_custom_metric() {
    let metrics = |job| {
        let output = cost_with("rate(1 hour)", job);
        counted(&output, "Alarms, dashboard, metrics", "custom metrics")
    };
    let job = r#"telemetry::measure("A", a); telemetry::measure("B", b);"#;
    assert_eq!(metrics(job) - metrics(""), 2);
}

#[test]
fn a_job_that_repeats_its_work_costs_as_long_as_it_waits() {
    let cents = |seconds: u32| {
        let payload = format!(r#"'{{"repeat_seconds": {seconds}}}'"#);
        let output = cost_with_field("            Input: ", &payload, "");
        let tables = String::from_utf8_lossy(&output.stdout).into_owned();
        let row = tables.lines().find(|line| line.starts_with("| Jobs |"));
        let cost = row.unwrap().trim_end_matches(" |").rsplit(' ').next();
        cost.unwrap().replace('.', "").parse::<i64>().unwrap()
    };
    // A round that would begin 5 seconds before the end or later does not begin.
    assert_eq!(cents(55), cents(60));
    // 43,800 runs of 256 MB, 50 and 30 seconds longer, at US$ 0.0000133334 per gigabyte second.
    assert_eq!((cents(10) - cents(60), cents(30) - cents(60)), (730, 438));
}

#[test]
fn a_daily_job_costs_less_than_an_hourly_one() {
    let difference = runs_per_month_with("rate(1 hour)") - runs_per_month_with("rate(1 day)");
    assert_eq!(difference, 730 - 30);
}

#[test]
fn the_cost_of_an_unknown_schedule_is_an_error() {
    let output = cost_with("cron(0 3 * * ? *)", "");
    let error = String::from_utf8_lossy(&output.stderr);
    let expected = "template.yaml: unknown schedule expression \"cron(0 3 * * ? *)\"; \
        expected one of: rate(1 minute), ";
    assert!(
        !output.status.success() && error.starts_with(expected),
        "{error}"
    );
}

#[test]
fn costs_and_the_local_system_accept_the_same_schedules() {
    let expressions = [
        "",
        "rate(1 minute)",
        "rate(2 minutes)",
        "rate(1 hour)",
        "rate(36 hours)",
        "rate(1 day)",
        "rate(30 days)",
        "rate(05 minutes)",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(+5 minutes)",
        "rate( 5 minutes)",
        "rate(2 weeks)",
        "cron(0 * * * ? *)",
        "cron(59 * * * ? *)",
        "cron(60 * * * ? *)",
        "cron(0 3 * * ? *)",
        "at(2026-03-10T10:00:00)",
    ];
    let output = python(&repository().join("tests/template/schedules.py"))
        .args(expressions)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let of_costs: Vec<Option<i64>> = serde_json::from_slice(&output.stdout).unwrap();
    let of_local_system = expressions.map(|expression| {
        let recurrence = Recurrence::parse(expression).ok()?;
        Some(recurrence.every_minutes())
    });
    assert_eq!(of_costs, of_local_system);
}
