//! `ManageService`: operations of administrators on the fleet and on users' packages.

mod adjust_quota;
mod admin_list_clients;
mod admin_list_packages;
mod admin_list_servers;
mod admin_show_client;
mod admin_show_server;
mod archive_node_client;
mod archive_node_server;
mod cancel_order;
mod cancel_queued_package;
mod correct_usage;
mod count_queued_packages;
mod create_node_client;
mod create_node_server;
mod create_package;
mod create_webhook;
mod decide_doubtful_push;
mod deliver_order;
mod disable_webhook;
mod explain_package_usage;
mod explain_usage;
mod extend_packages;
mod get_fleet_overview;
mod get_node_server_availability;
mod get_node_server_metrics;
mod get_online_users;
mod get_traffic_usage;
mod issue_node_access;
mod list_audit_entries;
mod list_dead_letters;
mod list_doubtful_pushes;
mod list_job_runs;
mod list_node_access;
mod list_package_series;
mod list_parked_events;
mod list_quarantined_reports;
mod list_top_nodes;
mod list_top_users;
mod list_usage_corrections;
mod list_usage_drifts;
mod list_webhook_deliveries;
mod list_webhooks;
mod node_settings;
mod redeliver_webhook;
mod release_quarantined_report;
mod retire_package;
mod retry_parked_events;
mod revoke_node_access;
mod rotate_node_credential;
mod rotate_webhook_secret;
mod set_master_package;
mod set_node_credential;
mod set_node_server_maintenance;
mod set_package_end;
mod show_package;
mod show_webhook;
mod update_node_client;
mod update_node_server;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

pub use adjust_quota::AdjustQuota;
pub use admin_list_clients::{AdminClients, AdminListClients};
pub use admin_list_packages::{AdminListPackages, AdminPackages};
pub use admin_list_servers::{AdminListServers, AdminServers};
pub use admin_show_client::AdminShowClient;
pub use admin_show_server::AdminShowServer;
pub use archive_node_client::ArchiveNodeClient;
pub use archive_node_server::ArchiveNodeServer;
pub use cancel_order::CancelOrder;
pub use cancel_queued_package::{CancelQueuedPackage, ChangedItem};
pub use correct_usage::{CorrectUsage, CorrectedUsage};
pub use count_queued_packages::{CountQueuedPackages, QueuedPackageCounts};
pub use create_node_client::CreateNodeClient;
pub use create_node_server::CreateNodeServer;
pub use create_package::{CreatePackage, ShownPackage};
pub use create_webhook::{CreateWebhook, SecretWebhook};
pub use decide_doubtful_push::{DecideDoubtfulPush, DecidedPush, PushRemedy, UncorrectedUser};
pub use deliver_order::{DeliverOrder, ShownOrder};
pub use disable_webhook::{DisableWebhook, ShownWebhook};
pub use explain_package_usage::{ExplainPackageUsage, PackageUsageExplanation};
pub use explain_usage::{ExplainUsage, UsageExplanation};
pub use extend_packages::{ExtendPackages, RequestedExtension};
pub use get_fleet_overview::{FleetOverview, GetFleetOverview};
pub use get_node_server_availability::{GetNodeServerAvailability, NodeServerAvailability};
pub use get_node_server_metrics::{GetNodeServerMetrics, NodeServerMetricsHistory};
pub use get_online_users::{GetOnlineUsers, OnlineUsers};
pub use get_traffic_usage::{GetTrafficUsage, TrafficUsage};
pub use issue_node_access::{IssueNodeAccess, IssuedNodeAccess};
pub use list_audit_entries::{AuditEntries, ListAuditEntries};
pub use list_dead_letters::{DeadLetters, ListDeadLetters};
pub use list_doubtful_pushes::{DoubtfulPushes, ListDoubtfulPushes};
pub use list_job_runs::{JobRunPage, ListJobRuns};
pub use list_node_access::{ListNodeAccess, NodeAccessPage};
pub use list_package_series::{ListPackageSeries, PackageSeriesPage};
pub use list_parked_events::{ListParkedEvents, ParkedEvents};
pub use list_quarantined_reports::{ListQuarantinedReports, QuarantinedReports};
pub use list_top_nodes::{ListTopNodes, TopNodes};
pub use list_top_users::{ListTopUsers, TopUsers};
pub use list_usage_corrections::{ListUsageCorrections, UsageCorrections};
pub use list_usage_drifts::{ListUsageDrifts, UsageDrifts};
pub use list_webhook_deliveries::{ListWebhookDeliveries, WebhookDeliveries};
pub use list_webhooks::{ListWebhooks, Webhooks};
pub use node_settings::Patch;
pub use redeliver_webhook::{RedeliverWebhook, ShownWebhookDelivery};
pub use release_quarantined_report::{ReleaseQuarantinedReport, ReleasedReport};
pub use retire_package::RetirePackage;
pub use retry_parked_events::{RetriedEvents, RetryParkedEvents};
pub use revoke_node_access::{RevokeNodeAccess, ShownNodeAccess};
pub use rotate_node_credential::{NodeCredential, RotateNodeCredential, RotateUserNodeCredential};
pub use rotate_webhook_secret::RotateWebhookSecret;
pub use set_master_package::SetMasterPackage;
pub use set_node_credential::{ChangedNodeCredential, SetUserNodeCredential, is_random};
pub use set_node_server_maintenance::{NodeServerMaintenance, SetNodeServerMaintenance};
pub use set_package_end::SetPackageEnd;
pub use show_package::ShowPackage;
pub use show_webhook::ShowWebhook;
pub use update_node_client::UpdateNodeClient;
pub use update_node_server::UpdateNodeServer;

use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::config::TelecomConfig;
use crate::db::{Connection, audit};
use crate::domain::audit::{Actor, AuditEntry, Target};
use crate::error::Error;
use crate::services::Processor;
use crate::services::change::{self, Change, Requested, WebhookSetup};

/// Processes the operations that require the administrator's scope.
#[derive(Debug, Clone)]
pub struct ManageService {
    pool: PgPool,
    context: Context,
    config: TelecomConfig,
    webhooks: WebhookSetup,
}

impl ManageService {
    /// Creates a service that uses the database of `pool`.
    #[must_use]
    pub fn new(pool: PgPool, context: Context, config: TelecomConfig) -> Self {
        Self {
            pool,
            context,
            config,
            webhooks: WebhookSetup::default(),
        }
    }

    /// Lets the service create webhooks.
    #[must_use]
    pub fn with_webhooks(self, webhooks: WebhookSetup) -> Self {
        Self { webhooks, ..self }
    }
}

#[async_trait]
impl FromApp for ManageService {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        let config = app.webhooks()?;
        let webhooks = WebhookSetup {
            keys: app.webhook_keys(&config).await,
            receivers: config.receivers,
        };
        let service = Self::new(app.database()?, app.context(), app.config()?);
        Ok(service.with_webhooks(webhooks))
    }
}

#[async_trait]
impl<C: Change> Processor<Requested<C>> for ManageService {
    type Output = C::Output;

    #[tracing::instrument(name = "change", skip_all, fields(operation = C::NAME))]
    async fn process(&self, requested: Requested<C>) -> Result<C::Output, Error> {
        change::make(
            &self.pool,
            &self.context,
            &self.config,
            &self.webhooks,
            requested,
        )
        .await
    }
}

/// Records that the secrets of `target` are revealed to the `actor`. An error must fail the call,
/// so that no secret is revealed without a record.
async fn record_reveal(
    tx: &mut Connection,
    actor: &Actor,
    target: Target,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    let entry = AuditEntry {
        at,
        actor,
        action: "RevealSecrets",
        target,
        before: None,
        after: None,
        reason: None,
    };
    audit::write(tx, &[entry]).await
}
