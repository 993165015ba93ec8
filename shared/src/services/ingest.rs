//! `IngestUsageReports`: raw rows, report ids, heartbeats and metrics of a batch of reports, in one transaction.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Batch, Consumer, Outcomes, Processor, Received};
use crate::app::{App, FromApp, StartError};
use crate::clock::Context;
use crate::db::node::{self, ClientFactor, Heartbeat};
use crate::db::usage_report::{self, NewUsageReport, RawUsage};
use crate::db::{self, Connection};
use crate::domain::traffic::Factor;
use crate::error::{Error, ErrorKind};
use crate::events::usage_report::UsageReport;

/// Records usage reports, each once.
#[derive(Debug, Clone)]
pub struct IngestUsageReports {
    pool: PgPool,
    context: Context,
}

impl IngestUsageReports {
    /// Over a database.
    #[must_use]
    pub fn new(pool: PgPool, context: Context) -> Self {
        Self { pool, context }
    }
}

#[async_trait]
impl FromApp for IngestUsageReports {
    async fn from_app(app: &App) -> Result<Self, StartError> {
        Ok(Self::new(app.database()?, app.context()))
    }
}

/// A report, when it shows its server alive, and the hash of its payload.
#[derive(Debug, Clone, PartialEq)]
pub struct HashedReport {
    /// The report.
    pub report: UsageReport,
    /// The end of its period, but not after it was sent, nor a moment still to come: what counts is when the server was
    /// seen, never when the report arrived.
    pub seen_at: DateTime<Utc>,
    /// Of its payload.
    pub payload_hash: Vec<u8>,
}

impl Consumer for IngestUsageReports {
    type Message = HashedReport;

    fn parse(&self, received: &Received, body: &str) -> Result<HashedReport, Error> {
        let now = self.context.now();
        let report = UsageReport::parse(body, now)?;
        let seen_at = report.period_end.min(received.sent_at.unwrap_or(now)).min(now);
        let payload_hash = report.payload_hash();
        Ok(HashedReport { report, seen_at, payload_hash })
    }
}

#[async_trait]
impl Processor<Batch<HashedReport>> for IngestUsageReports {
    type Output = Outcomes;

    #[tracing::instrument(name = "ingest_usage_reports", skip_all, fields(reports = reports.len()))]
    async fn process(&self, reports: Batch<HashedReport>) -> Result<Outcomes, Error> {
        db::write_tx(&self.pool, "ingest_usage_reports", async |tx| self.record(tx, &reports).await).await
    }
}

impl IngestUsageReports {
    async fn record(&self, tx: &mut Connection, reports: &Batch<HashedReport>) -> Result<Outcomes, Error> {
        let now = self.context.now();
        let servers: Vec<i32> = reports.iter().map(|hashed| hashed.report.server_id).collect();
        let fleet = Fleet(node::client_factors(tx, &servers).await?);
        let checked: Vec<Result<(), Error>> = reports.iter().map(|hashed| fleet.check(&hashed.report)).collect();
        let known = reports.iter().zip(&checked).filter(|(_, check)| check.is_ok()).map(|(hashed, _)| &**hashed);
        let hashes = Recorded::write(tx, known, &fleet, now).await?;
        let outcomes = reports.iter().zip(checked).map(|(hashed, check)| check.and_then(|()| hashes.judge(hashed)));
        Ok(outcomes.collect())
    }
}

/// The servers that the batch names, with their clients.
struct Fleet(HashMap<i32, Vec<ClientFactor>>);

impl Fleet {
    fn check(&self, report: &UsageReport) -> Result<(), Error> {
        let Some(clients) = self.0.get(&report.server_id) else {
            let message = format!("there is no node server {}", report.server_id);
            return Err(Error::invalid("unknown_server", "server_id", message));
        };
        let foreign = report.usage.iter().enumerate().find_map(|(index, line)| {
            let id = line.node_client_id?;
            (!clients.iter().any(|client| client.node_client_id == id)).then_some((index, id))
        });
        match foreign {
            Some((index, id)) => Err(Error::invalid(
                "unknown_node_client",
                format!("usage[{index}].node_client_id"),
                format!("node server {} has no node client {id}", report.server_id),
            )),
            None => Ok(()),
        }
    }

    /// The client that a line is billed by: the one it names, else the server's oldest; without any, factor 1.
    fn client(&self, server_id: i32, node_client_id: Option<i32>) -> (Option<i32>, Factor) {
        self.0
            .get(&server_id)
            .and_then(|clients| {
                clients.iter().find(|client| node_client_id.is_none_or(|id| client.node_client_id == id))
            })
            .map_or((None, Factor::ONE), |client| (Some(client.node_client_id), client.traffic_factor))
    }
}

/// The payload hash that stands recorded under each report id of the batch.
struct Recorded(HashMap<Uuid, Vec<u8>>);

impl Recorded {
    async fn write<'r>(
        tx: &mut Connection,
        reports: impl Iterator<Item = &'r HashedReport>,
        fleet: &Fleet,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        // By id: sorted, and each id once. Of two under one id in a batch the first stands.
        let mut by_id: BTreeMap<Uuid, &HashedReport> = BTreeMap::new();
        for hashed in reports {
            by_id.entry(hashed.report.report_id).or_insert(hashed);
        }
        let rows = by_id.values().map(|hashed| new_report(hashed)).collect::<Result<Vec<_>, _>>()?;
        let new = usage_report::insert_new(tx, &rows, now).await?;
        let ids: Vec<Uuid> = by_id.keys().copied().collect();
        let hashes = usage_report::payload_hashes(tx, &ids).await?;

        let new: Vec<(&HashedReport, i64)> =
            new.iter().filter_map(|(id, seq)| by_id.get(id).map(|hashed| (*hashed, *seq))).collect();
        usage_report::copy_raw_usage(tx, raw_usage(&new, fleet), now).await?;
        node::record_heartbeats(tx, &heartbeats(&new)).await?;
        Ok(Self(hashes.into_iter().collect()))
    }

    /// A repeat is as good as the first; another payload under a recorded id is not.
    fn judge(&self, HashedReport { report, payload_hash, .. }: &HashedReport) -> Result<(), Error> {
        match self.0.get(&report.report_id) {
            Some(recorded) if recorded == payload_hash => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::Conflict,
                "report_id_reused",
                format!("report {} was recorded with another payload; a new report needs a new id", report.report_id),
            )),
            None => Err(Error::internal(format!("report {} was not recorded", report.report_id))),
        }
    }
}

fn new_report(HashedReport { report, seen_at, payload_hash }: &HashedReport) -> Result<NewUsageReport, Error> {
    Ok(NewUsageReport {
        report_id: report.report_id,
        node_server_id: report.server_id,
        period_start: report.period_start,
        period_end: report.period_end,
        seen_at: *seen_at,
        payload_hash: payload_hash.clone(),
        line_count: i32::try_from(report.usage.len()).map_err(Error::internal)?,
    })
}

fn raw_usage(new: &[(&HashedReport, i64)], fleet: &Fleet) -> impl Iterator<Item = RawUsage> {
    new.iter().flat_map(move |&(HashedReport { report, .. }, usage_report_seq)| {
        report.usage.iter().map(move |line| {
            let (node_client_id, traffic_factor) = fleet.client(report.server_id, line.node_client_id);
            RawUsage {
                usage_report_seq,
                user_id: line.user,
                node_client_id,
                traffic_factor,
                upload_bytes: line.upload,
                download_bytes: line.download,
            }
        })
    })
}

/// One heartbeat a server, sorted by server: when it was last seen, and the newest metrics there are. Of two reports that
/// were seen at the same moment, as those from the future may be, the one of the later period is newer.
fn heartbeats(new: &[(&HashedReport, i64)]) -> Vec<Heartbeat> {
    let mut reports: Vec<&HashedReport> = new.iter().map(|(hashed, _)| *hashed).collect();
    reports.sort_by_key(|hashed| (hashed.seen_at, hashed.report.period_end));
    let mut by_server: BTreeMap<i32, Heartbeat> = BTreeMap::new();
    for HashedReport { report, seen_at, .. } in reports {
        let new = Heartbeat { node_server_id: report.server_id, online_at: *seen_at, metrics: None };
        let beat = by_server.entry(report.server_id).or_insert(new);
        beat.online_at = *seen_at;
        let metrics = report.metrics.clone().map(|metrics| (*seen_at, metrics));
        beat.metrics = metrics.or(beat.metrics.take());
    }
    by_server.into_values().collect()
}
