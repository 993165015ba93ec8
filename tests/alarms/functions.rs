//! The functions as processes, and the metrics that Lambda and CloudWatch derive from their results
//! and logs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use local::emulator::localstack::functions::NativeFunctions;
use local::settings::Settings;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, PgPool};
use tempfile::TempDir;

use crate::cloudwatch::Datum;

/// Functions over a database, with queues to which nothing can be sent.
pub struct Functions {
    native: Arc<NativeFunctions>,
    settings: Settings,
    _folder: TempDir,
}

/// The outcome of an invocation and its metrics.
#[derive(Debug, Clone)]
pub struct Seen {
    pub function: String,
    pub answer: Option<Value>,
    pub data: Vec<Datum>,
}

impl Functions {
    pub fn over(pool: &PgPool) -> Self {
        Self::at(pool.connect_options().to_url_lossy().as_str())
    }

    /// Over a database that is unreachable.
    pub fn without_database() -> Self {
        Self::at("postgres://telecom@127.0.0.1:9/telecom")
    }

    fn at(database_url: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let (settings, folder) = Settings::ephemeral(root).unwrap();
        for name in local::template::stage::function_names(
            &fs::read_to_string(root.join("template.yaml")).unwrap(),
        ) {
            let staged = settings.deploy.join("target/lambda").join(name);
            fs::create_dir_all(&staged).unwrap();
            symlink(
                root.join("target/debug").join(name),
                staged.join("bootstrap"),
            )
            .unwrap();
        }
        let queue = format!("{}/queue", settings.endpoint());
        let variables = [
            ("DATABASE_URL", database_url),
            ("DATABASE_ROLE", "telecom_writer"),
            ("RUST_LOG", "info"),
            ("TELECOM_USER_USAGE_BILLING_QUEUE_URL", &queue),
            ("TELECOM_PACKAGE_EXPIRING_QUEUE_URL", &queue),
            ("TELECOM_EVENT_BUS_NAME", "telecom"),
            ("TELECOM_WEBHOOK_KEYS", telecom_tests::webhook::KEYS),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let native = NativeFunctions::new(&settings, variables.to_vec()).unwrap();
        Self {
            native,
            settings,
            _folder: folder,
        }
    }

    /// Invokes a function once.
    pub async fn invoke(&self, function: &str, event: Value) -> Seen {
        let log = self.settings.log(&format!("function-{function}"));
        let before = fs::read_to_string(&log).unwrap_or_default().len();
        let answer = self.native.invoke(function, &event).await.ok();
        let written = fs::read_to_string(&log)
            .unwrap_or_else(|_| panic!("{function} was not started: `make build`"));
        let of_lambda = |metric: &str, value: f64| {
            Datum::new(
                "AWS/Lambda",
                metric,
                &[("FunctionName", &format!("telecom-{function}"))],
                value,
            )
        };
        let mut data = vec![
            of_lambda("Invocations", 1.0),
            of_lambda("Errors", if answer.is_some() { 0.0 } else { 1.0 }),
        ];
        data.extend(
            written[before..]
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .flat_map(|line| embedded(&line)),
        );
        Seen {
            function: function.to_owned(),
            answer,
            data,
        }
    }

    /// Delivers bodies to a consumer.
    pub async fn deliver(&self, function: &str, bodies: &[String]) -> Seen {
        let record = |(index, body): (usize, &String)| {
            json!({
            "messageId": telecom_tests::message_id(index), "receiptHandle": "r", "body": body })
        };
        let records: Vec<Value> = bodies.iter().enumerate().map(record).collect();
        self.invoke(function, json!({ "Records": records })).await
    }
}

/// The metrics of a line in the embedded metric format.
fn embedded(line: &Value) -> Vec<Datum> {
    let sets = line["_aws"]["CloudWatchMetrics"]
        .as_array()
        .into_iter()
        .flatten();
    sets.flat_map(|set| {
        let names = set["Dimensions"][0]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap());
        let dimensions: BTreeMap<String, String> = names
            .map(|name| (name.to_owned(), line[name].as_str().unwrap().to_owned()))
            .collect();
        set["Metrics"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(move |metric| {
                let name = metric["Name"].as_str().unwrap().to_owned();
                let values = line[&name]
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![line[&name].clone()]);
                let (namespace, dimensions) = (
                    set["Namespace"].as_str().unwrap().to_owned(),
                    dimensions.clone(),
                );
                values.into_iter().map(move |value| Datum {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    dimensions: dimensions.clone(),
                    value: value.as_f64().unwrap(),
                })
            })
    })
    .collect()
}
