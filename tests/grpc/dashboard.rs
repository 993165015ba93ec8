//! The dashboard and the alerts of `docs/monitoring` ask for metrics that a real server returns,
//! and the dashboard shows all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use local::rpc;
use rusty_promql_parser::parser::function::is_function;
use rusty_promql_parser::{Expr, VectorSelector, expr};
use serde_json::{Value, json};
use sqlx::PgPool;
use telecom_tests::World;
use telecom_tests::grpc::call;
use telecom_tests::metrics::{Sample, scrape};
use telecom_tests::repository::root;
use telecom_tests::token::Issuer;

use super::metrics::serve;

/// Labels that Prometheus adds to each sample.
const OF_TARGETS: [&str; 2] = ["instance", "job"];
/// The names of gRPC's statuses.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A query, and the labels that its legend shows.
#[derive(Debug)]
struct Query {
    expression: String,
    legend: Vec<String>,
}

impl Query {
    /// The parsed expression, with a value in place of Grafana's variable.
    fn parsed(&self) -> Result<Expr, String> {
        let text = self.expression.replace("$__rate_interval", "5m");
        match expr(&text) {
            Ok((rest, parsed)) if rest.trim().is_empty() => Ok(parsed),
            Ok((rest, _)) => Err(format!("{text}: no PromQL from {rest:?} on")),
            Err(error) => Err(format!("{text}: {error}")),
        }
    }
}

/// What an expression asks for.
#[derive(Debug, Default)]
struct Asked {
    /// Names of metrics, each with the labels in its braces and their values.
    selectors: Vec<(String, Vec<(String, String)>)>,
    /// Labels in `by`, `on` and the like.
    grouped_by: BTreeSet<String>,
}

impl Asked {
    fn of(expression: &Expr) -> Self {
        let mut asked = Self::default();
        asked.visit(expression);
        asked
    }

    fn visit(&mut self, expression: &Expr) {
        match expression {
            Expr::Aggregation(aggregation) => {
                if let Some(grouping) = &aggregation.grouping {
                    self.grouped_by.extend(grouping.labels.iter().cloned());
                }
                if let Some(parameter) = &aggregation.param {
                    self.visit(parameter);
                }
                self.visit(&aggregation.expr);
            }
            Expr::Binary(binary) => {
                let modifier = binary.modifier.as_ref();
                if let Some(matching) = modifier.and_then(|modifier| modifier.matching.as_ref()) {
                    self.grouped_by.extend(matching.labels.iter().cloned());
                    let group = matching.group.iter();
                    let copied = group.flat_map(|group| group.labels.iter().cloned());
                    self.grouped_by.extend(copied);
                }
                self.visit(&binary.lhs);
                self.visit(&binary.rhs);
            }
            Expr::Call(call) => {
                assert!(
                    is_function(&call.name),
                    "no function is called {}",
                    call.name
                );
                for argument in &call.args {
                    self.visit(argument);
                }
            }
            Expr::Unary(unary) => self.visit(&unary.expr),
            Expr::Paren(inner) => self.visit(inner),
            Expr::Subquery(inner) => self.visit(&inner.expr),
            Expr::VectorSelector(selector) => self.select(selector),
            Expr::MatrixSelector(selector) => self.select(&selector.selector),
            Expr::Number(_) | Expr::String(_) => {}
        }
    }

    fn select(&mut self, selector: &VectorSelector) {
        let name = selector.name.clone().expect("a selector names its metric");
        let matchers = selector.matchers.iter();
        let labels = matchers.map(|matcher| (matcher.name.clone(), matcher.value.clone()));
        self.selectors.push((name, labels.collect()));
    }
}

/// The values of each label of each metric.
type Exposed = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn exposed(samples: Vec<Sample>) -> Exposed {
    let mut exposed = Exposed::new();
    for sample in samples {
        let labels = exposed.entry(sample.name).or_default();
        for (label, value) in sample.labels {
            labels.entry(label).or_default().insert(value);
        }
    }
    exposed
}

/// What a server returns after a call that succeeds and a call that is refused.
async fn real(pool: PgPool) -> Exposed {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    let (server, address) = serve(&world, &issuer).await;
    let (channel, token) = (server.connect().await, issuer.admin());
    for token in [Some(token.as_str()), None] {
        let method = "telecom.v1.NodeServerManage/ListNodeServers";
        let _ = call(&channel, method, json!({}), token).await;
    }
    exposed(scrape(address).await)
}

/// What is wrong with a query.
fn faults(query: &Query, exposed: &Exposed) -> Vec<String> {
    let parsed = match query.parsed() {
        Ok(parsed) => parsed,
        Err(error) => return vec![error],
    };
    let asked = Asked::of(&parsed);
    let (mut faults, mut known) = (Vec::new(), BTreeSet::from(OF_TARGETS));
    for (name, matched) in &asked.selectors {
        let Some(labels) = exposed.get(name) else {
            faults.push(format!("no metric is called {name}"));
            continue;
        };
        known.extend(labels.keys().map(String::as_str));
        for (label, value) in matched {
            match labels.get(label) {
                _ if OF_TARGETS.contains(&label.as_str()) => {}
                None => faults.push(format!("{name} has no label {label}")),
                Some(values) => {
                    let missing = value
                        .split('|')
                        .filter(|value| !occurs(label, value, values));
                    faults.extend(missing.map(|value| format!("{name} has no {label} {value}")));
                }
            }
        }
    }
    let used = asked.grouped_by.iter().chain(&query.legend);
    let unknown = used.filter(|label| !known.contains(label.as_str()));
    faults.extend(unknown.map(|label| format!("{}: no label {label}", query.expression)));
    faults
}

/// Whether a label may have a value. Only some operations and statuses occur in this test.
fn occurs(label: &str, value: &str, values: &BTreeSet<String>) -> bool {
    match label {
        "code" => CODES.contains(&value),
        "operation" => rpc::named(value).is_ok() || ["Check", "Watch"].contains(&value),
        _ => values.contains(value),
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join("docs/monitoring").join(name)).unwrap()
}

fn dashboard() -> Vec<Query> {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries = targets.map(|target| Query {
        expression: target["expr"].as_str().unwrap().to_owned(),
        legend: labels_of(target["legendFormat"].as_str().unwrap()),
    });
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let asked = variables.filter_map(|variable| variable["definition"].as_str());
    queries.chain(asked.map(variable)).collect()
}

/// What `label_values(metric, label)` asks for.
fn variable(definition: &str) -> Query {
    let inner = definition.strip_prefix("label_values(").unwrap();
    let (metric, label) = inner.strip_suffix(')').unwrap().split_once(", ").unwrap();
    Query {
        expression: metric.to_owned(),
        legend: vec![label.to_owned()],
    }
}

/// The labels in `{{operation}} {{code}}`.
fn labels_of(legend: &str) -> Vec<String> {
    let parts = legend.split("{{").skip(1);
    parts
        .map(|part| part.split_once("}}").unwrap().0.trim().to_owned())
        .collect()
}

fn alerts() -> Vec<Query> {
    let rules: Value = serde_norway::from_str(&read("alerts.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let queries = rules.map(|rule| Query {
        expression: rule["expr"].as_str().unwrap().to_owned(),
        legend: Vec::new(),
    });
    queries.collect()
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_dashboard_and_the_alerts_ask_for_what_a_server_returns(pool: PgPool) {
    let exposed = real(pool).await;
    let (dashboard, alerts) = (dashboard(), alerts());
    assert!(dashboard.len() >= 20 && alerts.len() >= 8);
    let queries = dashboard.iter().chain(&alerts);
    let found: Vec<String> = queries.flat_map(|query| faults(query, &exposed)).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn the_dashboard_shows_every_metric(pool: PgPool) {
    let exposed = real(pool).await;
    let mut shown = BTreeSet::new();
    for query in dashboard() {
        let parsed = query.parsed().unwrap();
        shown.extend(
            Asked::of(&parsed)
                .selectors
                .into_iter()
                .map(|(name, _)| name),
        );
    }
    assert_eq!(exposed.into_keys().collect::<BTreeSet<_>>(), shown);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_query_for_something_else_is_found(pool: PgPool) {
    let exposed = real(pool).await;
    for (expression, legend, expected) in [
        ("telecom_server", "", "no metric is called telecom_server"),
        (
            "rate(telecom_grpc_calls[5m])",
            "",
            "no metric is called telecom_grpc_calls",
        ),
        (
            "telecom_users{status=\"online\"}",
            "",
            "telecom_users has no label status",
        ),
        (
            "telecom_users{state=\"onlin\"}",
            "",
            "telecom_users has no state onlin",
        ),
        (
            "telecom_grpc_calls_total{code=\"Ok\"}",
            "",
            "telecom_grpc_calls_total has no code Ok",
        ),
        ("sum by (name) (telecom_servers)", "", "no label name"),
        (
            "telecom_users + on (user) telecom_users",
            "",
            "no label user",
        ),
        ("telecom_servers", "{{status}}", "no label status"),
        ("sum(telecom_servers", "", "telecom_servers"),
    ] {
        let query = Query {
            expression: expression.to_owned(),
            legend: labels_of(legend),
        };
        let found = faults(&query, &exposed).join("\n");
        assert!(found.contains(expected), "{expression}: {found}");
    }
}
