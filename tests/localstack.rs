//! The pipeline with the queues and the bus of LocalStack, and functions as processes of this
//! machine. `make test-localstack` runs it.
#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used)]

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use local::demo::bootstrap;
use local::demo::script::Load;
use local::demo::token::Role;
use local::python::Environment;
use local::settings::{Emulator, Settings};
use local::stack::Stack;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Jobs run every full minute, and a poison message is received five times, six seconds apart.
const PATIENCE: Duration = Duration::from_mins(3);
/// Time for which collectors send.
const SENDING: Duration = Duration::from_secs(20);

#[test]
#[ignore = "needs Python 3.13; `make test-localstack` runs it"]
fn localstack_bills_all_reports_and_keeps_a_bad_one_as_a_dead_letter() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (settings, _folder) = Settings::ephemeral(root).unwrap();
    let settings = Settings {
        emulator: Emulator::LocalStack,
        ..settings
    };
    let parameters = bootstrap::auth_parameters(&settings).unwrap();
    let stack = Stack::start(settings, parameters).unwrap();
    let outside = Outside::new(&stack);
    outside.subscribe();

    let fleet = bootstrap::seed(stack.endpoints()).unwrap();
    let accesses = bootstrap::node_access(stack.settings(), stack.endpoints(), &fleet).unwrap();
    let load = Load {
        reports_per_second: 10,
        ..Load::default()
    };
    let mut collectors =
        bootstrap::simulate(stack.settings(), stack.endpoints(), fleet, accesses, load).unwrap();
    outside.send("UsageReportQueueUrl", "{\"type\":");
    thread::sleep(SENDING);
    collectors.stop();
    let outcome = bootstrap::verify(stack.settings(), stack.endpoints(), PATIENCE, 5).unwrap();
    assert!(outcome.agrees(), "{outcome}");

    assert_eq!(
        outside.receive(outside.output("UsageReportDeadLetterQueueUrl")),
        "{\"type\":"
    );
    let fact: Value = serde_json::from_str(&outside.receive(&outside.facts)).unwrap();
    assert_eq!(
        (&fact["source"], &fact["detail"]["version"]),
        (&json!("telecom"), &json!(1)),
        "{fact}"
    );
    the_api_requires_a_token(&stack);
    stack.stop().unwrap();
}

fn the_api_requires_a_token(stack: &Stack) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let url = format!("{}/v1/admin/node-servers?limit=1", stack.endpoints().api);
    let refused = agent
        .get(&url)
        .call()
        .unwrap()
        .body_mut()
        .read_json::<Value>()
        .unwrap();
    assert_eq!(
        (&refused["status"], &refused["code"]),
        (&json!(401), &json!("token_missing"))
    );
    let token = bootstrap::token(stack.settings(), None, Role::Admin).unwrap();
    let request = agent
        .get(&url)
        .header("authorization", format!("Bearer {token}"));
    let servers = request
        .call()
        .unwrap()
        .body_mut()
        .read_json::<Value>()
        .unwrap();
    assert_eq!(servers["total"], 24, "{servers}");
}

/// Publishers and subscribers outside the system.
struct Outside<'s> {
    stack: &'s Stack,
    runtime: Runtime,
    sqs: Client,
    facts: String,
}

impl<'s> Outside<'s> {
    fn new(stack: &'s Stack) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let credentials =
            aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "emulator");
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .region(aws_sdk_sqs::config::Region::new("us-east-1"))
            .endpoint_url(&stack.endpoints().aws)
            .credentials_provider(credentials);
        let sqs = Client::from_conf(config.build());
        let made = runtime
            .block_on(sqs.create_queue().queue_name("facts").send())
            .unwrap();
        Self {
            stack,
            runtime,
            facts: made.queue_url.unwrap(),
            sqs,
        }
    }

    fn output(&self, name: &str) -> &str {
        self.stack.endpoints().output(name).unwrap()
    }

    /// Adds a rule to the bus that sends every fact to the queue.
    fn subscribe(&self) {
        let question = self.sqs.get_queue_attributes().queue_url(&self.facts);
        let answer = self
            .runtime
            .block_on(
                question
                    .attribute_names(QueueAttributeName::QueueArn)
                    .send(),
            )
            .unwrap();
        let arn = answer
            .attributes
            .unwrap()
            .remove(&QueueAttributeName::QueueArn)
            .unwrap();
        let bus = self.output("EventBusName");
        let script = "import boto3, sys; bus, arn = sys.argv[1:]; events = boto3.client('events'); \
            events.put_rule(Name='facts', EventBusName=bus, EventPattern='{\"source\": \
                [\"telecom\"]}'); \
            print(events.put_targets(Rule='facts', EventBusName=bus, Targets=[{'Id': 'q', 'Arn': \
                arn}]))";
        let python = Environment::ensure(self.stack.settings(), "localstack")
            .unwrap()
            .program("python");
        let mut command = std::process::Command::new(python);
        local::emulator::client::as_client(&mut command, self.stack.settings());
        let output = command.args(["-c", script, bus, &arn]).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn send(&self, queue: &str, body: &str) {
        let message = self
            .sqs
            .send_message()
            .queue_url(self.output(queue))
            .message_body(body);
        self.runtime.block_on(message.send()).unwrap();
    }

    fn receive(&self, queue: &str) -> String {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let question = self
                .sqs
                .receive_message()
                .queue_url(queue)
                .wait_time_seconds(2);
            let received = self
                .runtime
                .block_on(question.send())
                .unwrap()
                .messages
                .unwrap_or_default();
            if let Some(message) = received.into_iter().next() {
                return message.body.unwrap();
            }
        }
        panic!("nothing arrived in {queue} within {PATIENCE:?}");
    }
}
