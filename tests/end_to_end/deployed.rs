//! A client of the deployed system: its queues, its database and its APIs.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use chrono::{DateTime, Utc};
use local::emulator::invoke::invoke;
use local::stack::{Endpoints, Stack};
use serde_json::{Value, json};
use shared::clock::{Clock, System};
use sqlx::PgPool;
use telecom_tests::api::Operation;
use telecom_tests::user;

/// Time limit for the pipeline to process what this test sends.
const PATIENCE: Duration = Duration::from_mins(2);

pub struct Deployed<'s> {
    endpoints: &'s Endpoints,
    sqs: aws_sdk_sqs::Client,
    pub pool: PgPool,
}

impl<'s> Deployed<'s> {
    pub async fn new(stack: &'s Stack) -> Self {
        let endpoints = stack.endpoints();
        let credentials =
            aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "emulator");
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .region(aws_sdk_sqs::config::Region::new("us-east-1"))
            .endpoint_url(&endpoints.aws)
            .credentials_provider(credentials)
            .build();
        let pool = PgPool::connect(&endpoints.database_url).await.unwrap();
        Self {
            endpoints,
            sqs: aws_sdk_sqs::Client::from_conf(config),
            pool,
        }
    }

    /// Adds a server with a client of factor 2, and a user with two packages of 200 bytes, the
    /// first active.
    pub async fn load_fleet(&self) {
        let now: DateTime<Utc> = System.now();
        for statement in [
            "insert into telecom.node_server (id, name, compatibility) values (1, 's', 'ssp')",
            "insert into telecom.node_client (id, node_server_id, name, traffic_factor, country) \
             values (1, 1, 'c', 2, 'DE')",
            "update telecom.node_client set access_groups = '{1}'",
            "insert into telecom.package (id, series, version, name, available_group,
            max_client_number,
                expire_duration_seconds, traffic_limit_bytes) values (1, gen_random_uuid(), 1,
                'p', 1, 1, 86400, 200)",
        ] {
            sqlx::query(statement).execute(&self.pool).await.unwrap();
        }
        sqlx::query(
            "insert into telecom.package_queue (user_id, package_id, status, activated_at,
            expires_at, created_at)
             values ($1, 1, 'active', $2, $2 + interval '1 day', $2), ($1, 1, 'in_queue', null,
             null, $2)",
        )
        .bind(user(1))
        .bind(now)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Sends a usage report.
    pub async fn send(&self, body: &str) {
        self.send_to("UsageReportQueueUrl", body).await;
    }

    /// Sends a usage report that a trace caused, as its header says.
    pub async fn send_traced(&self, body: &str, header: &str) {
        let header = MessageSystemAttributeValue::builder()
            .data_type("String")
            .string_value(header)
            .build()
            .unwrap();
        let queue = self.endpoints.output("UsageReportQueueUrl").unwrap();
        self.sqs
            .send_message()
            .queue_url(queue)
            .message_body(body)
            .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, header)
            .send()
            .await
            .unwrap();
    }

    /// Sends a message to the queue whose URL is an output of the stack.
    pub async fn send_to(&self, output: &str, body: &str) {
        let queue = self.endpoints.output(output).unwrap();
        self.sqs
            .send_message()
            .queue_url(queue)
            .message_body(body)
            .send()
            .await
            .unwrap();
    }

    /// Runs the billing job now instead of waiting for the schedule.
    pub async fn bill(&self) {
        let (aws, function) = (self.endpoints.aws.clone(), "telecom-bill-traffic");
        tokio::task::spawn_blocking(move || invoke(&aws, function, &json!({})))
            .await
            .unwrap()
            .unwrap();
    }

    pub async fn until(&self, what: &str, condition: &'static str) {
        let began = Instant::now();
        while !sqlx::query_scalar::<_, Option<bool>>(condition)
            .fetch_one(&self.pool)
            .await
            .unwrap()
            .unwrap_or(false)
        {
            assert!(
                began.elapsed() < PATIENCE,
                "not within {PATIENCE:?}: {what}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub fn get(&self, path: &str, token: Option<&str>) -> (u16, Value) {
        self.send_http("GET", path, "", token, &[])
    }

    pub fn ask(&self, operation: &Operation, path: &str, token: Option<&str>) -> (u16, Value) {
        self.send_http(
            operation.verb,
            path,
            operation.body.unwrap_or_default(),
            token,
            operation.headers,
        )
    }

    /// Sends a request that is not from a user. Returns the status.
    pub fn post(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> u16 {
        self.send_http("POST", path, body, None, headers).0
    }

    fn send_http(
        &self,
        method: &str,
        path: &str,
        body: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoints.api));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_owned()).unwrap();
        let mut answer = agent.run(request).unwrap();
        (
            answer.status().as_u16(),
            answer.body_mut().read_json().unwrap(),
        )
    }

    /// What a function has logged.
    pub fn log(&self, function: &str) -> String {
        let group = format!("/aws/lambda/telecom-{function}");
        let credential = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/logs/aws4_request";
        let mut answer = ureq::post(&self.endpoints.aws)
            .header("x-amz-target", "Logs_20140328.FilterLogEvents")
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", credential)
            .send(json!({ "logGroupName": group }).to_string())
            .unwrap();
        let answer: Value = answer.body_mut().read_json().unwrap();
        let messages = answer["events"].as_array().unwrap().iter();
        messages
            .map(|event| event["message"].as_str().unwrap().to_owned() + "\n")
            .collect()
    }

    pub async fn dead_letters(&self, count: usize) -> Vec<String> {
        let queue = self
            .endpoints
            .output("UsageReportDeadLetterQueueUrl")
            .unwrap();
        let (began, mut bodies) = (Instant::now(), Vec::new());
        while bodies.len() < count {
            assert!(
                began.elapsed() < PATIENCE,
                "only {} dead letters: {bodies:?}",
                bodies.len()
            );
            let received = self
                .sqs
                .receive_message()
                .queue_url(queue)
                .max_number_of_messages(10)
                .wait_time_seconds(2)
                .send();
            for message in received.await.unwrap().messages.unwrap_or_default() {
                bodies.push(message.body.unwrap());
            }
        }
        bodies
    }
}
