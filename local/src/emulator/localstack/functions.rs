//! Functions as processes of this machine. Each has its own runtime API, in place of Lambda's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::Mutex;

use super::runtime_api::RuntimeApi;
use crate::emulator::client::as_client;
use crate::process::{Service, ServiceSpec, ServiceUser};
use crate::settings::{STACK_NAME, Settings};
use crate::template::stage::functions;

/// The template's functions. Each starts at its first invocation and runs one invocation at a time.
#[derive(Debug)]
pub struct NativeFunctions {
    functions: BTreeMap<String, Mutex<Option<Running>>>,
    folder: PathBuf,
    variables: Vec<(String, String)>,
    settings: Settings,
}

#[derive(Debug)]
struct Running {
    process: Service,
    runtime: RuntimeApi,
}

impl NativeFunctions {
    /// Prepares the staged functions, all with the same environment variables.
    pub fn new(settings: &Settings, variables: Vec<(String, String)>) -> Result<Arc<Self>> {
        let template = std::fs::read_to_string(settings.root.join("template.yaml"));
        let template = template.context("Cannot read template.yaml")?;
        let functions = functions(&template)
            .map(|(package, _)| (package, Mutex::default()))
            .collect();
        let folder = settings.deploy.join("target/lambda");
        Ok(Arc::new(Self {
            functions,
            folder,
            variables,
            settings: settings.clone(),
        }))
    }

    /// Invokes a function and returns its response. Returns an error if the function fails or does
    /// not exist.
    pub async fn invoke(&self, name: &str, event: &Value) -> Result<Value> {
        let slot = self
            .functions
            .get(name)
            .with_context(|| format!("template.yaml has no function {name}"))?;
        let mut slot = slot.lock().await;
        // As in Lambda, a function that has ended, such as after a crash, is started again.
        slot.take_if(|running| running.process.check_alive().is_err());
        let running = match &mut *slot {
            Some(running) => running,
            empty => empty.insert(self.start(name).await?),
        };
        let answered = running.runtime.invoke(event.to_string().into_bytes()).await;
        let (_, answer) = answered.with_context(|| format!("The function {name} failed"))?;
        serde_json::from_slice(&answer)
            .with_context(|| format!("The response of the function {name} is not JSON"))
    }

    async fn start(&self, name: &str) -> Result<Running> {
        let runtime = RuntimeApi::start(name).await?;
        let program = self.folder.join(name).join("bootstrap");
        let mut command =
            ServiceUser::choose_to_reach(&[&program])?.service(&program, "TERM", Path::new("/"));
        as_client(&mut command, &self.settings);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.envs([
            ("AWS_LAMBDA_RUNTIME_API", &*runtime.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", &format!("{STACK_NAME}-{name}")),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "local"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", name),
        ]);
        let spec = ServiceSpec {
            name: "a function",
            stop_with: Signal::TERM,
            grace: Duration::from_secs(1),
            log: self.settings.log(&format!("function-{name}")),
        };
        Ok(Running {
            process: Service::start(spec, command)?,
            runtime,
        })
    }
}
