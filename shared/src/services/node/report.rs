//! What nodes report: usage, the addresses of their users, and metrics.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::NodeService;
use crate::db::usage_report::{self, ReportKey};
use crate::db::{self, Connection, online_address};
use crate::domain::node::Metrics;
use crate::domain::node_access::NodeAccess;
use crate::domain::node_push::PushRow;
use crate::error::Error;
use crate::events::node_usage::{self, MAX_ROWS, NodeUsage, NodeUsageContent, UnreadableRow};
use crate::events::usage_report::UsageReport;
use crate::node_protocol::online::Online;
use crate::node_protocol::push::{Push, PushedRow, RejectedRow};
use crate::services::idempotency::check_payload;

/// Whether a report was received before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is not recorded yet, and was put on the queue.
    New,
    /// It was recorded before.
    Recorded,
}

/// What a node reported about its users' traffic.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reported {
    /// The traffic since the previous push.
    pub push: Push,
    /// Metrics of the server, if the protocol sends them with the traffic.
    pub metrics: Option<Metrics>,
}

impl NodeService {
    /// Puts the traffic of a node on the queue, from which it is recorded. `node_client_id` is
    /// the client that the request names.
    ///
    /// A push of more rows than a message holds is split. If only some of its parts are sent, the
    /// node repeats the push, and the consumer recognizes the parts that it has.
    pub async fn push(
        &self,
        access: &NodeAccess,
        node_client_id: i32,
        reported: Reported,
    ) -> Result<(), Error> {
        let arrived_at = self.now();
        let message = |content| self.message(access, Some(node_client_id), arrived_at, content);
        let Reported { push, metrics } = reported;
        let mut usages: Vec<NodeUsage> = Vec::new();
        for (part, rows) in (0..).zip(push.chunks(MAX_ROWS)) {
            let content = node_usage::Push {
                rows: rows.iter().map(row).collect(),
                part,
                ..node_usage::Push::default()
            };
            usages.push(message(NodeUsageContent::Push(content)));
        }
        if usages.is_empty() {
            usages.push(message(NodeUsageContent::Push(node_usage::Push::default())));
        }
        if let Some(NodeUsageContent::Push(first)) =
            usages.first_mut().map(|usage| &mut usage.content)
        {
            first.metrics = metrics.filter(is_measured);
            first.unreadable_rows = i32::try_from(push.rejected_count).unwrap_or(i32::MAX);
            first.unreadable = push.rejected.iter().map(unreadable).collect();
        }
        self.publisher.send_node_usage(&usages).await
    }

    /// Puts a report of a collector on the queue, unless it is recorded. Lines without a client are
    /// those of the access's client.
    ///
    /// Fails if a line names another client than the access, or if the id of the report belongs to
    /// a report with another content.
    pub async fn report(
        &self,
        access: &NodeAccess,
        mut report: UsageReport,
    ) -> Result<Received, Error> {
        if let Some(only) = access.node_client_id {
            for (index, line) in report.usage.iter_mut().enumerate() {
                if *line.node_client_id.get_or_insert(only) != only {
                    let field = format!("usage[{index}].node_client_id");
                    let message = format!("the token is valid for the node client {only} only");
                    return Err(Error::invalid("node_client_not_allowed", field, message));
                }
            }
        }
        if self.is_recorded(&report).await? {
            return Ok(Received::Recorded);
        }
        let content = NodeUsageContent::Report(report);
        let usage = self.message(access, access.node_client_id, self.now(), content);
        usage.check()?;
        self.publisher.send_node_usage(&[usage]).await?;
        Ok(Received::New)
    }

    /// Whether a report is recorded. While the database cannot be read, no report is known to be:
    /// the consumer recognizes it later.
    async fn is_recorded(&self, report: &UsageReport) -> Result<bool, Error> {
        let key = ReportKey {
            report_id: report.report_id,
            node_server_id: report.server_id,
        };
        let read = async |connection: &mut Connection| {
            usage_report::payload_hashes(connection, &[key]).await
        };
        match db::on_connection(&self.pool, read).await {
            Ok(hashes) if hashes.is_empty() => Ok(false),
            Ok(hashes) => {
                let what = format!("Report {}", report.report_id);
                let hash = report.payload_hash();
                let hashes = HashMap::from_iter(hashes);
                check_payload(&hashes, &key, &hash, "report_id_reused", &what)?;
                Ok(true)
            }
            Err(error) => {
                tracing::warn!(
                    error_code = error.code(),
                    "cannot look for an earlier report"
                );
                Ok(false)
            }
        }
    }

    fn message(
        &self,
        access: &NodeAccess,
        node_client_id: Option<i32>,
        arrived_at: DateTime<Utc>,
        content: NodeUsageContent,
    ) -> NodeUsage {
        NodeUsage {
            kind: node_usage::TYPE.to_owned(),
            push_id: self.context.ids.next_id(),
            access_id: access.id,
            server_id: access.server_id,
            node_client_id,
            arrived_at,
            interval_seconds: access.interval_seconds,
            client_timeout_seconds: access.client_timeout_seconds,
            resends_larger: access.software.resends_larger(),
            content,
        }
    }

    /// Records from which addresses the users of a client are connected. Users that do not exist
    /// are left out, and so are clients of other servers than that of the access.
    pub async fn record_online(
        &self,
        access: &NodeAccess,
        node_client_id: i32,
        online: &Online,
    ) -> Result<(), Error> {
        let connected: Vec<_> = online
            .addresses
            .iter()
            .map(|online| (online.number, online.address))
            .collect();
        if connected.is_empty() {
            return Ok(());
        }
        let (server_id, now) = (access.server_id, self.now());
        db::on_connection(&self.pool, async |connection: &mut Connection| {
            online_address::record(connection, node_client_id, server_id, &connected, now).await
        })
        .await
    }

    /// Records that the server of an access is online, with its metrics.
    pub async fn record_metrics(&self, access: &NodeAccess, metrics: Metrics) -> Result<(), Error> {
        let server = access.server_id;
        let metrics = Some(metrics).filter(is_measured);
        db::on_connection(&self.pool, async |connection: &mut Connection| {
            self.hear(connection, server, metrics).await
        })
        .await
    }
}

/// Whether there is any metric. Metrics without values would replace those that were measured.
fn is_measured(metrics: &Metrics) -> bool {
    *metrics != Metrics::default()
}

fn row(row: &PushedRow) -> PushRow {
    PushRow {
        user_number: row.number,
        upload_bytes: row.upload,
        download_bytes: row.download,
    }
}

fn unreadable(row: &RejectedRow) -> UnreadableRow {
    UnreadableRow {
        key: row.key.as_str().to_owned(),
        reason: <&str>::from(row.reason).to_owned(),
    }
}
