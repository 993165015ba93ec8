//! Where the keys of webhooks are, and which receivers are allowed.

use super::{ConfigError, invalid, optional};
use crate::domain::webhook::url::Receivers;

/// Where the keys are that encrypt the secrets of webhooks.
#[derive(Clone, PartialEq, Eq)]
pub enum WebhookKeyLocation {
    /// `TELECOM_WEBHOOK_KEY_SECRET_ARN`: in this secret of Secrets Manager.
    Secret(String),
    /// `TELECOM_WEBHOOK_KEYS`: in the variable itself, for tests on one machine.
    Here(String),
}

/// Shows no key in logs.
impl std::fmt::Debug for WebhookKeyLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookKeyLocation")
    }
}

/// The settings of webhooks in a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Where the keys are that encrypt the secrets of webhooks. `None` if this deployment has no
    /// webhooks.
    pub keys: Option<WebhookKeyLocation>,
    /// `TELECOM_WEBHOOK_RECEIVERS` (`public` or `any`, default `public`): which receivers are
    /// allowed. `any` is for the development on one machine.
    pub receivers: Receivers,
}

impl WebhookConfig {
    /// Reads the variables, each of which is optional.
    pub fn from_env() -> Result<Self, ConfigError> {
        const RECEIVERS: &str = "TELECOM_WEBHOOK_RECEIVERS";
        let receivers = match optional(RECEIVERS).as_deref() {
            None | Some("public") => Receivers::Public,
            Some("any") => Receivers::Any,
            Some(other) => {
                let problem = format!("{other:?} is not \"public\", \"any\" or empty");
                return Err(invalid(RECEIVERS, problem));
            }
        };
        let secret = optional("TELECOM_WEBHOOK_KEY_SECRET_ARN").map(WebhookKeyLocation::Secret);
        let here = || optional("TELECOM_WEBHOOK_KEYS").map(WebhookKeyLocation::Here);
        Ok(Self {
            keys: secret.or_else(here),
            receivers,
        })
    }
}
