//! Deploys `template.yaml` to ministack with `sam deploy`, the command that also deploys it to AWS.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::stage;
use crate::emulator::client::as_client;
use crate::emulator::ministack::saved_state;
use crate::files::write_private;
use crate::process::{self, run_logged};
use crate::progress::step;
use crate::python::{self, Environment};
use crate::settings::{STACK_NAME, Settings};

const DEPLOY: &str = "
    deploy --template-file template.yaml --resolve-s3
    --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND
    --no-confirm-changeset --no-fail-on-empty-changeset --no-progressbar --no-disable-rollback";

/// Values of the deployed stack's outputs by name.
pub type Outputs = BTreeMap<String, String>;

/// Output `name` of the deployed stack.
pub fn output<'o>(outputs: &'o Outputs, name: &str) -> Result<&'o str> {
    outputs
        .get(name)
        .map(String::as_str)
        .with_context(|| format!("template.yaml has no output {name}"))
}

/// A deployment. Its stamp identifies what is deployed.
#[derive(Debug)]
pub struct Deployment<'a> {
    settings: &'a Settings,
    database_url: String,
    parameters: Value,
    stamp: String,
}

impl<'a> Deployment<'a> {
    /// A deployment of the staged functions with the database at `database_url`. `extra` are
    /// template parameters in addition to those of every local stack.
    pub fn new(
        settings: &'a Settings,
        database_url: &str,
        extra: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let mut parameters = json!({
            "Deployment": "local",
            "Architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" },
            "SchemaVersion": schema_version(settings)?,
            "DeletionProtection": "false",
            "Webhooks": "true",
        });
        if let Some(object) = parameters.as_object_mut() {
            object.extend(
                extra
                    .iter()
                    .map(|(name, value)| (name.clone(), Value::from(value.as_str()))),
            );
        }
        let stamp = make_stamp(settings, database_url, &parameters)?;
        Ok(Self {
            settings,
            database_url: database_url.to_owned(),
            parameters,
            stamp,
        })
    }

    /// Deploys, unless the stack that ministack has loaded has the same stamp.
    pub fn ensure(&self, python: &Environment) -> Result<Outputs> {
        let deployed =
            fs::read_to_string(stamp_file(self.settings)).is_ok_and(|stamp| stamp == self.stamp);
        // Until the next orderly stop, the saved state may differ from the running stack.
        let _ = fs::remove_file(stamp_file(self.settings));
        if !deployed {
            let sam = Environment::ensure(self.settings, "sam")?;
            step("Deploying template.yaml with sam", || {
                self.deploy(python, &sam)
            })?;
        }
        step("Registering load balancer targets", || self.finish(python))
    }

    /// Records the deployment after ministack has stopped and saved its state, so that the next
    /// start does not deploy again.
    pub fn remember(&self) -> Result<()> {
        write_private(&stamp_file(self.settings), &self.stamp)
    }

    fn deploy(&self, python: &Environment, sam: &Environment) -> Result<()> {
        let parameters = self.settings.state.join("parameters.yaml");
        write_private(&parameters, &self.all_parameters(python)?.to_string())?;
        let samconfig = self.settings.state.join("samconfig.toml");
        write_private(&samconfig, "version = 0.1\n")?;
        let mut command = self.client(sam.program("sam"));
        python::customize(&mut command, &self.settings.root);
        command.args(DEPLOY.split_whitespace());
        command.args(["--stack-name", STACK_NAME]);
        // An empty configuration file, so that the environments of the repository's own
        // samconfig.toml do not apply.
        command.arg("--config-file").arg(&samconfig);
        let parameters = format!("file://{}", parameters.display());
        command.args(["--parameter-overrides", &parameters]);
        let log = self.settings.log("deploy");
        run_logged(command, &log, "deploy template.yaml")
    }

    /// Adds the parameters that describe an existing database.
    fn all_parameters(&self, python: &Environment) -> Result<Value> {
        let mut command = self.client(python.program("python"));
        command
            .arg(self.settings.root.join("local/python/before_deploy.py"))
            .env("DATABASE_URL", &self.database_url);
        let database = process::output(&mut command, "describe the database to the template")?;
        let database: BTreeMap<String, Value> =
            serde_json::from_str(&database).context("The database's parameters are not JSON")?;
        let mut parameters = self.parameters.clone();
        if let Some(object) = parameters.as_object_mut() {
            object.extend(database);
        }
        Ok(parameters)
    }

    fn finish(&self, python: &Environment) -> Result<Outputs> {
        let mut command = self.client(python.program("python"));
        command.arg(self.settings.root.join("local/python/after_deploy.py"));
        command.arg(STACK_NAME);
        let outputs = process::output(&mut command, "register the load balancer's targets")?;
        serde_json::from_str(&outputs).context("The stack's outputs are not JSON")
    }

    fn client(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        as_client(&mut command, self.settings);
        command
            .env("SAM_CLI_TELEMETRY", "0")
            .current_dir(&self.settings.deploy);
        command
    }
}

fn stamp_file(settings: &Settings) -> PathBuf {
    saved_state(settings).join("deployed")
}

/// The stamp contains the templates, the parameters, the URLs of database and endpoint, and the
/// size and time of each staged binary.
fn make_stamp(settings: &Settings, database_url: &str, parameters: &Value) -> Result<String> {
    let mut stamp = format!("{}\n{database_url}\n{parameters}\n", settings.endpoint());
    for template in stage::templates(&settings.root)? {
        let text = fs::read_to_string(&template)
            .with_context(|| format!("Cannot read {}", template.display()))?;
        for name in stage::function_names(&text) {
            let binary = format!("target/lambda/{name}/bootstrap");
            let binary = settings.deploy.join(binary);
            let data = fs::metadata(&binary)
                .with_context(|| format!("{} is not staged", binary.display()))?;
            writeln!(stamp, "{name} {} {:?}", data.len(), data.modified()?)?;
        }
        stamp += &text;
    }
    Ok(stamp)
}

/// Version of the newest migration, which its file name begins with.
fn schema_version(settings: &Settings) -> Result<String> {
    let names =
        fs::read_dir(settings.root.join("migrations")).context("Cannot read migrations/")?;
    let newest = names
        .flatten()
        .filter_map(|file| file.file_name().into_string().ok())
        .max();
    let newest = newest.context("There is no migration in migrations/")?;
    Ok(newest.split('_').next().unwrap_or_default().to_owned())
}
