//! Copies of the function for nodes behind a load balancer, without the emulator in between.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use local::demo::token::Issuer;
use local::emulator::load_balancer::LoadBalancer;
use local::settings::STACK_NAME;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};

use crate::cli::Cli;
use crate::function::{Function, Surroundings};
use crate::messaging::{Messaging, NODE_USAGE};

/// Default of the template's parameter `NodeConcurrency`.
const COPIES: usize = 10;
const FUNCTION: &str = "uniproxy";
/// Region in which the emulator has its queues. It finds none in another one.
const EMULATOR_REGION: &str = "us-east-1";

/// The queue of a running system for reports of nodes.
#[derive(Clone, Copy)]
pub struct Queue<'c> {
    /// URL of the emulator of AWS.
    pub aws: &'c str,
}

impl Queue<'_> {
    fn variables(&self) -> [(&'static str, String); 3] {
        let queue = format!("{}/000000000000/{STACK_NAME}-{NODE_USAGE}", self.aws);
        [
            ("AWS_ENDPOINT_URL", self.aws.to_owned()),
            ("AWS_REGION", EMULATOR_REGION.to_owned()),
            ("TELECOM_NODE_USAGE_QUEUE_URL", queue),
        ]
    }
}

/// Running copies. Dropping this ends them.
pub struct Copies {
    balancer: LoadBalancer,
    messaging: Messaging,
}

/// The copies without a request.
#[derive(Clone)]
struct Free {
    take: Arc<Mutex<mpsc::UnboundedReceiver<Function>>>,
    give_back: mpsc::UnboundedSender<Function>,
}

impl Copies {
    /// Starts the copies. They send reports to the queue of the running system, if it has a
    /// `queue`, else to one that keeps them.
    pub async fn start(cli: &Cli, queue: Option<Queue<'_>>) -> Result<Self> {
        let surroundings = Surroundings {
            binaries: Path::new(&cli.functions),
            database_url: cli.database_url.clone(),
            messaging: Messaging::start().await?,
            issuer: Issuer::generate()?,
        };
        let (give_back, take) = mpsc::unbounded_channel();
        for copy in 0..COPIES {
            let log = format!("{FUNCTION}-{copy}");
            let variables = queue.iter().flat_map(Queue::variables).collect();
            let copy = Function::start_copy(&surroundings, FUNCTION, &log, variables);
            give_back.send(copy.await?)?;
        }
        let take = Arc::new(Mutex::new(take));
        let free = Free { take, give_back };
        let runtime = Handle::current();
        let invoke = move |_: &str, event: Value| runtime.block_on(free.invoke(&event));
        let started = tokio::task::spawn_blocking(|| LoadBalancer::start(0, Arc::new(invoke)));
        Ok(Self {
            balancer: started.await??,
            messaging: surroundings.messaging,
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.balancer.address)
    }

    /// Number of reports that were sent to the queue of this program.
    pub fn kept_reports(&self) -> Result<usize> {
        Ok(self.messaging.take(NODE_USAGE)?.len())
    }
}

impl Free {
    async fn invoke(&self, event: &Value) -> Result<Value> {
        let free = self.take.lock().await.recv().await;
        let mut function = free.context("Every copy has ended")?;
        let answer = function.invoke(event.to_string().into_bytes()).await;
        self.give_back.send(function)?;
        Ok(serde_json::from_slice(&answer?)?)
    }
}
