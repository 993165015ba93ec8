//! The list of all endpoints.

use http::Method;
use serde_json::{Map, Value};

use super::parameter::Parameter;
use super::{Endpoint, Example};
use crate::auth::Access;
use crate::config::DatabaseRole;
use crate::domain::condition::{Accepts, IDEMPOTENCY_KEY, IF_MATCH};
use crate::services::Operation;

/// Calls a macro with the type of every endpoint.
#[macro_export]
macro_rules! for_each_endpoint {
    ($visit:ident) => {
        $visit!($crate::http::traffic_usage::TrafficUsage);
        $visit!($crate::http::node_status_history::NodeStatusHistory);
        $visit!($crate::http::usually_used_nodes::UsuallyUsedNodes);
        $visit!($crate::http::nodes::Nodes);
        $visit!($crate::http::package_queue::Packages);
        $visit!($crate::http::online::OnlineDevices);
        $visit!($crate::http::node_servers::NodeServers);
        $visit!($crate::http::node_servers::NewNodeServer);
        $visit!($crate::http::node_servers::NodeServer);
        $visit!($crate::http::node_servers::NodeServerUpdate);
        $visit!($crate::http::node_servers::NodeServerArchive);
        $visit!($crate::http::node_servers::NodeServerAvailability);
        $visit!($crate::http::node_servers::NodeServerMetrics);
        $visit!($crate::http::node_servers::NodeServerMaintenance);
        $visit!($crate::http::node_clients::NodeClients);
        $visit!($crate::http::node_clients::NewNodeClient);
        $visit!($crate::http::node_clients::NodeClient);
        $visit!($crate::http::node_clients::NodeClientUpdate);
        $visit!($crate::http::node_clients::NodeClientArchive);
        $visit!($crate::http::package_queue::PackageQueueCounts);
        $visit!($crate::http::package_queue::PackageQueue);
        $visit!($crate::http::package_queue::PackageCancellation);
        $visit!($crate::http::package_queue::QuotaAdjustments);
        $visit!($crate::http::package_queue::PackageEnd);
        $visit!($crate::http::package_queue::PackageExtensions);
        $visit!($crate::http::packages::PackageSeries);
        $visit!($crate::http::packages::NewPackage);
        $visit!($crate::http::packages::Package);
        $visit!($crate::http::packages::PackageMaster);
        $visit!($crate::http::packages::PackageRetirement);
        $visit!($crate::http::orders::Order);
        $visit!($crate::http::orders::OrderCancellation);
        $visit!($crate::http::node_access::NodeAccessList);
        $visit!($crate::http::node_access::NewAccess);
        $visit!($crate::http::node_access::AccessRevocation);
        $visit!($crate::http::node_access::UserNodeCredentialRotation);
        $visit!($crate::http::node_access::UserNodeCredential);
        $visit!($crate::http::node_access::NodeCredentialRotation);
        $visit!($crate::http::operations::AuditEntries);
        $visit!($crate::http::operations::DeadLetters);
        $visit!($crate::http::operations::JobRuns);
        $visit!($crate::http::operations::ParkedEvents);
        $visit!($crate::http::operations::ParkedEventRetry);
        $visit!($crate::http::doubtful_pushes::DoubtfulPushes);
        $visit!($crate::http::doubtful_pushes::PushDecision);
        $visit!($crate::http::online::OnlineUsers);
        $visit!($crate::http::analytics::AnyTrafficUsage);
        $visit!($crate::http::analytics::TopUsers);
        $visit!($crate::http::analytics::TopNodes);
        $visit!($crate::http::analytics::Overview);
        $visit!($crate::http::usage_explanation::HourExplanation);
        $visit!($crate::http::usage_explanation::PackageExplanation);
        $visit!($crate::http::usage_explanation::Corrections);
        $visit!($crate::http::usage_explanation::ListedCorrections);
        $visit!($crate::http::usage_drifts::UsageDrifts);
        $visit!($crate::http::quarantined_reports::QuarantinedReports);
        $visit!($crate::http::quarantined_reports::Release);
        $visit!($crate::http::webhooks::WebhookList);
        $visit!($crate::http::webhooks::NewWebhook);
        $visit!($crate::http::webhooks::ShownWebhook);
        $visit!($crate::http::webhooks::SecretRotation);
        $visit!($crate::http::webhooks::WebhookDisablement);
        $visit!($crate::http::webhooks::DeliveryList);
        $visit!($crate::http::webhooks::Redelivery);
    };
}

/// What the templates, the tests and the benchmarks need to know about an endpoint.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Name of the RPC.
    pub rpc: &'static str,
    /// HTTP method of its requests.
    pub method: Method,
    /// Path, in which `{id}` is a placeholder for an id.
    pub path: &'static str,
    /// Query parameters, optional and required.
    pub parameters: &'static [Parameter],
    /// Priority of the load balancer's rule.
    pub rule_priority: u16,
    /// Access that a request requires by default.
    pub access: Access,
    /// Role that the function assumes in the database.
    pub database_role: DatabaseRole,
    /// Conditions that a caller may or must send.
    pub accepts: Accepts,
    /// Whether the function may read the keys that encrypt the secrets of webhooks.
    pub uses_webhook_key: bool,
    /// An example of a request.
    pub example: Example,
}

/// Returns all endpoints, in the order of the list.
#[must_use]
pub fn endpoints() -> Vec<Registered> {
    let mut all = Vec::new();
    macro_rules! add {
        ($endpoint:ty) => {
            all.push(Registered::of::<$endpoint>());
        };
    }
    for_each_endpoint!(add);
    all
}

/// The endpoint to which the load balancer's rules lead a request. `None` if no path matches.
#[must_use]
pub fn endpoint_for<'e>(
    endpoints: &'e [Registered],
    method: &Method,
    path: &str,
) -> Option<&'e Registered> {
    let matching = || endpoints.iter().filter(|endpoint| endpoint.matches(path));
    let by_method = |endpoint: &&Registered| endpoint.has_method_rule(endpoints);
    matching()
        .find(|endpoint| by_method(endpoint) && endpoint.method == method)
        .or_else(|| matching().find(|endpoint| !by_method(endpoint)))
}

/// The methods that the endpoints with `path` accept, as the header `allow` lists them.
#[must_use]
pub fn allowed_methods(path: &str) -> String {
    let mut methods = Vec::new();
    for endpoint in endpoints() {
        if endpoint.path == path {
            methods.push(endpoint.method.to_string());
            if endpoint.method == Method::GET {
                methods.push(Method::HEAD.to_string());
            }
        }
    }
    methods.push(Method::OPTIONS.to_string());
    methods.join(", ")
}

impl Registered {
    fn of<E: Endpoint>() -> Self {
        Self {
            rpc: E::Input::NAME,
            method: E::METHOD,
            path: E::PATH,
            parameters: E::PARAMETERS,
            rule_priority: E::RULE_PRIORITY,
            access: E::Input::ACCESS,
            database_role: E::Input::DATABASE_ROLE,
            accepts: E::Input::ACCEPTS,
            uses_webhook_key: E::Input::USES_WEBHOOK_KEY,
            example: E::EXAMPLE,
        }
    }

    /// Whether the endpoint shares its path with another one, so that its rule must name its
    /// method. The endpoint that reads gets all other requests, and refuses other methods.
    #[must_use]
    pub fn has_method_rule(&self, all: &[Self]) -> bool {
        let shares = |other: &Self| other.path == self.path && other.rpc != self.rpc;
        self.method != Method::GET && all.iter().any(shares)
    }

    /// Whether `path` is that of the endpoint, in which `{id}` stands for any segment.
    fn matches(&self, path: &str) -> bool {
        let (wanted, given) = (self.path.split('/'), path.split('/'));
        wanted.clone().count() == given.clone().count()
            && wanted
                .zip(given)
                .all(|(wanted, given)| wanted == given || wanted == "{id}")
    }

    /// Name of the function's binary, such as `list-nodes`.
    #[must_use]
    pub fn function(&self) -> String {
        let mut name = String::new();
        for letter in self.rpc.chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.extend(letter.to_lowercase());
        }
        name
    }

    /// The header that the example needs beside the token, on both transports. The idempotency key
    /// is the name of the RPC, because a caller may use a key for one operation only.
    #[must_use]
    pub fn example_headers(&self) -> Vec<(&'static str, &'static str)> {
        match self.accepts {
            Accepts::Nothing | Accepts::IdempotencyKey => vec![],
            Accepts::RequiredIdempotencyKey => vec![(IDEMPOTENCY_KEY, self.rpc)],
            Accepts::RequiredRevision => vec![(IF_MATCH, "*")],
        }
    }

    /// Path of the example, with `id` if it has an id.
    #[must_use]
    pub fn example_path(&self, id: i32) -> String {
        let id = id.to_string();
        self.path.replace("{id}", self.example.id.unwrap_or(&id))
    }

    /// gRPC request of the example, in the JSON of protobuf, with `id` if it has an id.
    pub fn example_message(&self, id: i32) -> Result<Value, serde_json::Error> {
        let mut message: Map<String, Value> = serde_json::from_str(self.example.message)?;
        if self.path.contains("{id}") {
            let number: Option<i64> = match self.example.id {
                None => Some(id.into()),
                Some(id) => id.parse().ok(),
            };
            if let Some(number) = number {
                message.insert("id".to_owned(), number.into());
            }
        }
        Ok(message.into())
    }
}
