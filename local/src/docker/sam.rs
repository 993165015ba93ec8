//! `sam local` against the running system: functions in containers as in AWS, with the environment
//! of the deployed functions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::TimeDelta;
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use shared::clock::{Clock, System};
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::host_access::{HostAccess, check_engine, has_image};
use crate::demo::bootstrap;
use crate::demo::token::Role;
use crate::emulator::client::as_client;
use crate::emulator::invoke::invoke;
use crate::emulator::load_balancer::{Invoke, LoadBalancer};
use crate::files::{private_folder, write_private};
use crate::loopback::ports::{check_port, free_port};
use crate::process::{Service, ServiceSpec, dying_with_parent, interrupt, wait_interruptibly};
use crate::python::{self, Environment};
use crate::settings::{STACK_NAME, Settings};
use crate::stack::Endpoints;
use crate::template::stage::functions;

/// The image that functions run in. sam adds its runtime interface emulator to it.
pub const BASE_IMAGE: &str = if cfg!(target_arch = "aarch64") {
    "public.ecr.aws/lambda/provided:al2023-arm64"
} else {
    "public.ecr.aws/lambda/provided:al2023-x86_64"
};
/// `sam local` passes only variables that the template declares.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL";

/// `sam local`, ready to be called. The functions can reach this machine until this is dropped.
#[derive(Debug)]
pub struct SamLocal {
    program: PathBuf,
    folder: PathBuf,
    settings: Settings,
    logical_ids: BTreeMap<String, String>,
    _access: HostAccess,
}

impl SamLocal {
    /// Prepares `sam local` for the running system at `endpoints`.
    pub fn prepare(settings: &Settings, endpoints: &Endpoints) -> Result<Self> {
        check_engine()?;
        let program = Environment::ensure(settings, "sam")?.program("sam");
        let access = HostAccess::open(&ports(endpoints)?)?;
        let folder = settings.state.join("sam-local");
        let template = fs::read_to_string(settings.root.join("template.yaml"))
            .context("Cannot read template.yaml")?;
        private_folder(&folder)?;
        link(&settings.deploy.join("target"), &folder.join("target"))?;
        link(&settings.root.join("stacks"), &folder.join("stacks"))?;
        let changed = with_endpoint_variable(&template)?;
        fs::write(folder.join("template.yaml"), changed)?;
        let logical_ids: BTreeMap<_, _> = functions(&template).collect();
        let environment = environment(&endpoints.aws, &access.host, &logical_ids)?;
        write_private(&folder.join("environment.json"), &environment.to_string())?;
        Ok(Self {
            program,
            folder,
            settings: settings.clone(),
            logical_ids,
            _access: access,
        })
    }

    /// A command that invokes a function once with the event in a file. The function's log goes to
    /// standard error, its response to standard output.
    pub fn invoke(&self, function: &str, event: &Path) -> Result<Command> {
        let mut command = self.local("invoke", Command::new(&self.program));
        command.args([self.logical_id(function)?, "--event"]);
        command.arg(event);
        Ok(command)
    }

    /// Serves Lambda's own API on `port`. The functions' containers are reused.
    pub fn start_lambda(&self, port: u16) -> Result<Service> {
        let program = dying_with_parent(&self.program, "TERM", None);
        let mut command = self.local("start-lambda", program);
        command.args(["--port", &port.to_string(), "--warm-containers", "LAZY"]);
        let spec = ServiceSpec {
            name: "sam local",
            stop_with: Signal::INT,
            grace: Duration::from_secs(20),
            log: self.settings.log("sam-local"),
        };
        let mut service = Service::start(spec, command)?;
        service.wait_until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        Ok(service)
    }

    /// Invokes functions through [`Self::start_lambda`].
    #[must_use]
    pub fn invoker(&self, port: u16) -> Invoke {
        let ids = self.logical_ids.clone();
        Arc::new(move |function, event| {
            let id = ids
                .get(function)
                .with_context(|| format!("template.yaml has no function {function}"))?;
            invoke(&format!("http://127.0.0.1:{port}"), id, &event)
        })
    }

    fn logical_id(&self, function: &str) -> Result<&str> {
        let Some(id) = self.logical_ids.get(function) else {
            let names: Vec<_> = self.logical_ids.keys().map(String::as_str).collect();
            bail!(
                "Unknown function {function:?}; expected one of: {}",
                names.join(", ")
            );
        };
        Ok(id)
    }

    fn local(&self, what: &str, mut command: Command) -> Command {
        as_client(&mut command, &self.settings);
        python::customize(&mut command, &self.settings.root);
        command
            .env("SAM_CLI_TELEMETRY", "0")
            .current_dir(&self.folder)
            .args(["local", what, "--env-vars", "environment.json"]);
        let parameters = self.settings.state.join("parameters.yaml");
        let parameters = format!("file://{}", parameters.display());
        command.args(["--parameter-overrides", &parameters]);
        if has_image(BASE_IMAGE) {
            command.arg("--skip-pull-image");
        }
        command
    }
}

/// Invokes a function once and prints its response.
pub fn run_once(
    settings: &Settings,
    endpoints: &Endpoints,
    function: &str,
    event: Option<&Path>,
) -> Result<ExitCode> {
    let sam = SamLocal::prepare(settings, endpoints)?;
    sam.logical_id(function)?;
    let event = match event {
        Some(path) => fs::canonicalize(path)
            .with_context(|| format!("There is no event at {}", path.display()))?,
        None => recorded_event(settings, function)?,
    };
    let mut child = sam
        .invoke(function, &event)?
        .spawn()
        .context("Cannot start sam")?;
    let code = wait_interruptibly(&mut child)?
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Serves the HTTP API on `port`, with functions in containers, until the user asks to stop. Calls
/// `ready` with the API's URL once it is served.
pub fn serve_api(
    settings: &Settings,
    endpoints: &Endpoints,
    port: u16,
    ready: impl FnOnce(&str),
) -> Result<()> {
    check_port(port, "the API", "--api-port or TELECOM_SAM_API_PORT")?;
    let sam = SamLocal::prepare(settings, endpoints)?;
    let lambda_port = free_port()?;
    let mut lambda = sam.start_lambda(lambda_port)?;
    let _balancer = LoadBalancer::start(port, sam.invoker(lambda_port))?;
    ready(&format!("http://127.0.0.1:{port}"));
    interrupt::wait(|| lambda.check_alive())
}

/// Writes the recorded event of a function with a valid token in place of `TOKEN`, and usage
/// reports with new ids and current times, and returns the file's path.
pub fn recorded_event(settings: &Settings, function: &str) -> Result<PathBuf> {
    let recorded = settings.root.join(format!("events/{function}.json"));
    let event = fs::read_to_string(&recorded)
        .with_context(|| format!("There is no event {}", recorded.display()))?;
    let admin = event.contains("\"/v1/admin/");
    let token = bootstrap::token(settings, None, if admin { Role::Admin } else { Role::User })?;
    let mut event: Value = serde_json::from_str(&event.replace("TOKEN", &token))?;
    for record in event
        .pointer_mut("/Records")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        renew(record)?;
    }
    let path = format!("sam-local/event-{function}.json");
    let path = settings.state.join(path);
    write_private(&path, &event.to_string())?;
    Ok(path)
}

/// Gives a report a new id and current times. An old report is rejected, and a known id counts only
/// once.
fn renew(record: &mut Value) -> Result<()> {
    let Some(text) = record.get_mut("body") else {
        return Ok(());
    };
    let mut body: Value = serde_json::from_str(text.as_str().unwrap_or_default())?;
    if body.get("type") != Some(&json!("usage.report.v1")) {
        return Ok(());
    }
    let now = System.now();
    let news = [
        ("/report_id", json!(Uuid::now_v7())),
        ("/period_start", json!(now - TimeDelta::minutes(1))),
        ("/period_end", json!(now)),
        // A client of the demo fleet's server 1.
        ("/usage/0/node_client_id", json!(2)),
    ];
    for (place, value) in news {
        *body
            .pointer_mut(place)
            .with_context(|| format!("The recorded report has no {place}"))? = value;
    }
    *text = json!(body.to_string());
    Ok(())
}

/// Ports that the functions use: the emulator's, and the database's if it is on this machine.
fn ports(endpoints: &Endpoints) -> Result<Vec<u16>> {
    let emulator = endpoints.aws.rsplit(':').next();
    let emulator = emulator.and_then(|port| port.parse().ok());
    let database = PgConnectOptions::from_str(&endpoints.database_url)
        .context("The database's URL is invalid")?;
    let here = ["127.0.0.1", "localhost"].contains(&database.get_host());
    let database = here.then(|| database.get_port());
    Ok(emulator.into_iter().chain(database).collect())
}

/// The environment of each deployed function by logical id. Addresses of this machine are replaced
/// by `host`.
fn environment(aws: &str, host: &str, logical_ids: &BTreeMap<String, String>) -> Result<Value> {
    let mut environment = BTreeMap::new();
    for (function, id) in logical_ids {
        let url = format!("{aws}/2015-03-31/functions/{STACK_NAME}-{function}/configuration");
        let answer = ureq::get(&url)
            .call()
            .with_context(|| format!("The function {function} is not deployed"))?;
        let deployed: Value = answer.into_body().read_json()?;
        let mut variables = deployed
            .pointer("/Environment/Variables")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        variables.insert(ENDPOINT_VARIABLE.to_owned(), aws.into());
        for value in variables.values_mut() {
            let text = value.as_str().unwrap_or_default();
            *value = text
                .replace("127.0.0.1", host)
                .replace("localhost", host)
                .into();
        }
        environment.insert(id.clone(), variables);
    }
    empty_the_rest(&mut environment);
    Ok(serde_json::to_value(environment)?)
}

/// Sets the variables that only other functions have to the empty string. Otherwise `sam local`
/// would pass variables that the template sets under a condition that is false.
fn empty_the_rest(environment: &mut BTreeMap<String, Map<String, Value>>) {
    let names: BTreeSet<_> = environment.values().flat_map(Map::keys).cloned().collect();
    for variables in environment.values_mut() {
        for name in &names {
            variables.entry(name.clone()).or_insert_with(|| "".into());
        }
    }
}

fn with_endpoint_variable(template: &str) -> Result<String> {
    let variables = "    Environment:\n      Variables:\n";
    let globals = template
        .find("\nGlobals:")
        .and_then(|at| Some(at + template.get(at..)?.find(variables)?));
    let at = globals.context("template.yaml has no Globals with variables of functions")?
        + variables.len();
    let (before, after) = template.split_at_checked(at).unwrap_or_default();
    Ok(format!(
        "{before}        {ENDPOINT_VARIABLE}: \"\"\n{after}"
    ))
}

fn link(target: &Path, at: &Path) -> Result<()> {
    let _ = fs::remove_file(at);
    if target.exists() {
        symlink(target, at).with_context(|| format!("Cannot link to {}", target.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::stage::function_names;

    #[test]
    fn the_endpoint_variable_is_added_for_all_functions() {
        let template =
            fs::read_to_string(crate::settings::repository().join("template.yaml")).unwrap();
        let changed = with_endpoint_variable(&template).unwrap();
        let globals = changed.find("\nGlobals:").unwrap();
        let variable = changed.find("        AWS_ENDPOINT_URL: \"\"\n").unwrap();
        assert!(globals < variable && variable < changed.find("\nResources:").unwrap());
        assert_eq!(
            changed.replace("        AWS_ENDPOINT_URL: \"\"\n", ""),
            template
        );
        assert_eq!(
            functions(&template).count(),
            function_names(&template).count()
        );
    }

    #[test]
    fn variables_of_other_functions_are_empty() {
        let of = |value: Value| value.as_object().cloned().unwrap();
        let mut environment = BTreeMap::from([
            (
                "Reader".to_owned(),
                of(json!({"DATABASE_ROLE": "telecom_reader"})),
            ),
            ("Migrate".to_owned(), of(json!({"DATABASE_AUTH": "secret"}))),
        ]);
        empty_the_rest(&mut environment);
        assert_eq!(
            environment["Migrate"],
            of(json!({"DATABASE_AUTH": "secret", "DATABASE_ROLE": ""}))
        );
        assert_eq!(
            environment["Reader"],
            of(json!({"DATABASE_AUTH": "", "DATABASE_ROLE": "telecom_reader"}))
        );
    }

    #[test]
    fn a_recorded_report_gets_current_times_and_a_new_id() {
        let (settings, _folder) = Settings::ephemeral(&crate::settings::repository()).unwrap();
        fs::create_dir_all(settings.state.join("sam-local")).unwrap();
        let read = || {
            let text =
                fs::read_to_string(recorded_event(&settings, "ingest-usage-report").unwrap())
                    .unwrap();
            let event: Value = serde_json::from_str(&text).unwrap();
            event["Records"][0]["body"].as_str().unwrap().to_owned()
        };
        let (first, second) = (read(), read());
        assert_ne!(first, second);
        shared::events::usage_report::UsageReport::parse(&first, System.now()).unwrap();
    }
}
