//! Webhooks of a world, with receivers on this machine.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use shared::domain::webhook::WebhookSettings;
use shared::domain::webhook::key::WebhookKeys;
use shared::domain::webhook::url::Receivers;
use shared::events::webhook::keys::WebhookKeySource;
use shared::events::webhook::lookup::Lookup;
use shared::events::webhook::sender::WebhookSender;
use shared::services::Processor;
use shared::services::change::{Requested, WebhookSetup};
use shared::services::cron::Run;
use shared::services::cron::deliver_webhooks::{
    DeliverWebhooksJob, DeliveredWebhooks, WebhookDispatcher,
};
use shared::services::manage::{CreateWebhook, ManageService, SecretWebhook};
use shared::services::queue::record_webhook_deliveries::RecordWebhookDeliveries;
use uuid::Uuid;

use crate::{NOW, World, actor, assert_all_accepted};

/// The keys of a test, as the secret of a deployment contains them.
pub const KEYS: &str = r#"{"1":"0123456789abcdefghijklmnopqrstuv"}"#;
/// The name that [`Names::local`] resolves to this machine.
pub const HOST: &str = "receiver.test";

/// The keys of a test.
#[must_use]
pub fn keys() -> WebhookKeySource {
    WebhookKeySource::fixed(WebhookKeys::parse(KEYS).unwrap())
}

/// What the service for administrators needs of webhooks.
#[must_use]
pub fn setup(receivers: Receivers) -> WebhookSetup {
    WebhookSetup {
        keys: keys(),
        receivers,
    }
}

/// Addresses by name, each a list of answers. The last answer is repeated.
#[derive(Debug, Default)]
pub struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    /// [`HOST`] is this machine.
    #[must_use]
    pub fn local() -> Arc<Self> {
        Self::of(&[(HOST, &[&["127.0.0.1"]])])
    }

    #[must_use]
    pub fn of(names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let addresses = |list: &&[&str]| list.iter().map(|one| one.parse().unwrap()).collect();
        let answers = names
            .iter()
            .map(|(name, answers)| ((*name).to_owned(), answers.iter().map(addresses).collect()));
        Arc::new(Self {
            answers: Mutex::new(answers.collect()),
            asked: Mutex::default(),
        })
    }

    /// The names that were looked up.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Lookup for Names {
    async fn addresses(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answers = answers.get_mut(host).ok_or(std::io::ErrorKind::NotFound)?;
        if answers.len() > 1 {
            return Ok(answers.remove(0));
        }
        Ok(answers[0].clone())
    }
}

/// An entry of the event bus with the fact `n`.
#[must_use]
pub fn entry(n: u128, event_type: &str) -> String {
    json!({ "version": "0", "id": "x", "detail-type": event_type, "source": "telecom",
        "account": "1", "time": NOW, "region": "r", "resources": [],
        "detail": { "event_id": event(n), "version": 1, "time": NOW, "n": n.to_string() } })
    .to_string()
}

/// Id of the fact `n`.
#[must_use]
pub fn event(n: u128) -> Uuid {
    Uuid::from_u128(0xfac7_0000_0000_0000_0000_0000_0000_0000 + n)
}

impl World {
    /// The service of administrators, which accepts any receiver.
    #[must_use]
    pub fn webhook_admin(&self) -> ManageService {
        let config = shared::config::TelecomConfig::default();
        ManageService::new(self.api.clone(), self.context(), config)
            .with_webhooks(setup(Receivers::Any))
    }

    /// Creates a webhook for these types.
    pub async fn webhook(&self, url: &str, event_types: &[&str]) -> SecretWebhook {
        let settings = WebhookSettings {
            url: url.to_owned(),
            description: "test".to_owned(),
            event_types: event_types.iter().map(|one| (*one).to_owned()).collect(),
        };
        let create = Requested::by(actor(1), CreateWebhook { settings });
        self.webhook_admin().process(create).await.unwrap()
    }

    /// The consumer of facts for webhooks.
    #[must_use]
    pub fn webhook_events(&self) -> RecordWebhookDeliveries {
        RecordWebhookDeliveries::new(self.writer.clone(), self.context())
    }

    /// Records facts of one type.
    pub async fn publish(&self, event_type: &str, numbers: impl IntoIterator<Item = u128>) {
        let entries: Vec<String> = numbers.into_iter().map(|n| entry(n, event_type)).collect();
        assert_all_accepted(&self.webhook_events(), &entries).await;
    }

    /// The job that delivers facts, with requests of at most `timeout`.
    #[must_use]
    pub fn dispatcher(&self, sender: WebhookSender) -> WebhookDispatcher {
        WebhookDispatcher::new(self.writer.clone(), self.context(), keys(), sender)
    }

    /// A sender to receivers on this machine.
    #[must_use]
    pub fn local_sender(timeout: Duration) -> WebhookSender {
        WebhookSender::with(Names::local(), Receivers::Any, timeout)
    }

    /// Delivers what is due to receivers on this machine.
    pub async fn deliver_webhooks(&self, timeout: Duration) -> DeliveredWebhooks {
        let job = DeliverWebhooksJob(Run::default());
        self.dispatcher(Self::local_sender(timeout))
            .process(job)
            .await
            .unwrap()
    }

    /// The deliveries in the order of their ids: state, attempts, status of the response, failure.
    pub async fn deliveries(&self) -> Vec<(String, i32, Option<i32>, Option<String>)> {
        sqlx::query_as(
            "select status::text, attempts, response_status, failure
             from telecom.webhook_delivery order by id",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }
}
