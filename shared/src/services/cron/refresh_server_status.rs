//! `RefreshServerStatus`: marks servers that went silent or came back, says so once, and corrects the log by what came
//! late.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{Run, TelecomCronExecutor};
use crate::db::node_log::{self, LateSigns};
use crate::db::outbox::OutboxMessage;
use crate::db::{self, Transaction, node_status};
use crate::domain::node_status::{Heard, Judgement, Patience, Silence, Verdict, judge, own_silences};
use crate::domain::node_watch::{self, Edge, Hindsight, Watched};
use crate::error::Error;
use crate::events::facts::Fact;
use crate::services::Processor;
use crate::services::outbox::{self, Outbox};
use crate::telemetry;

/// The log is corrected so far back.
const MENDED: TimeDelta = TimeDelta::hours(48);
/// A report is committed so soon after the moment of its arrival.
const COMMIT: TimeDelta = TimeDelta::minutes(2);

/// The job.
#[derive(Debug, Clone, Copy)]
pub struct RefreshServerStatus(pub Run);

/// What changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Refreshed {
    /// Servers that came online.
    pub online: usize,
    /// Servers that went offline.
    pub offline: usize,
    /// Other servers whose log was corrected.
    pub mended: usize,
    /// No server is heard: nothing is known of any.
    pub collection_stopped: bool,
}

#[async_trait]
impl Processor<RefreshServerStatus> for TelecomCronExecutor {
    type Output = Refreshed;

    #[tracing::instrument(name = "refresh_server_status", skip_all)]
    async fn process(&self, _: RefreshServerStatus) -> Result<Refreshed, Error> {
        let (refreshed, messages) = db::retry_conflicts("refresh_server_status", || self.refresh()).await?;
        outbox::send(&self.pool, &self.publisher, messages).await;
        // Each run says it, so that an alarm on it lasts as long as the outage does.
        telemetry::count("CollectionStopped", usize::from(refreshed.collection_stopped));
        Ok(refreshed)
    }
}

impl TelecomCronExecutor {
    async fn refresh(&self) -> Result<(Refreshed, Vec<OutboxMessage>), Error> {
        let now = self.context.now();
        let mut tx = self.pool.begin().await?;
        if !db::try_job_lock(&mut tx, "refresh_server_status").await? {
            return Ok((Refreshed::default(), Vec::new()));
        }
        let mut outbox = Outbox::new(&self.context, now);
        let heard = node_status::heard(&mut tx).await?;
        let judgement = self.judge_collection(&mut tx, &heard, &mut outbox).await?;
        let settled = self.settle(&mut tx, judgement.as_ref()).await?;
        let (mended, edges) = self.judge_servers(&mut tx, &heard, judgement, settled.as_ref()).await?;
        let mut refreshed = Refreshed { mended, collection_stopped: judgement.is_none(), ..Refreshed::default() };
        for fact in edges.iter().filter_map(Fact::of_edge) {
            match &fact {
                Fact::NodeServerCameOnline { .. } => refreshed.online += 1,
                _ => refreshed.offline += 1,
            }
            outbox.fact(&fact)?;
        }
        let heard_from = judgement.map_or(heard.heard_from, |judgement| judgement.heard_from);
        let unsettled_from = judgement.map_or(heard.unsettled_from, |judgement| judgement.unsettled_from);
        node_status::save_watch(&mut tx, now, heard_from, unsettled_from.filter(|_| settled.is_none())).await?;
        let messages = outbox.write(&mut tx).await?;
        tx.commit().await?;
        Ok((refreshed, messages))
    }

    /// By what servers are judged; none: the collection is broken.
    async fn judge_collection(
        &self,
        tx: &mut Transaction,
        heard: &Heard,
        outbox: &mut Outbox<'_>,
    ) -> Result<Option<Judgement>, Error> {
        let now = self.context.now();
        match judge(heard, &Patience::from(self.config.node_health_check), now) {
            Verdict::CollectionStopped { since, begins } => {
                if begins {
                    node_status::open_collection_outage(tx, since).await?;
                    outbox.fact(&Fact::CollectionStopped { since })?;
                }
                Ok(None)
            }
            Verdict::Judge { resumed, judgement } => {
                if let Some(since) = resumed {
                    node_status::close_collection_outage(tx, heard.last.unwrap_or(now)).await?;
                    outbox.fact(&Fact::CollectionResumed { since })?;
                }
                Ok(Some(judgement))
            }
        }
    }

    /// Finds out what servers were while nobody was judged, once that is due: their own silences, by server.
    async fn settle(
        &self,
        tx: &mut Transaction,
        judgement: Option<&Judgement>,
    ) -> Result<Option<BTreeMap<i32, Vec<Silence>>>, Error> {
        let Some((since, until)) = judgement.and_then(Judgement::to_settle) else { return Ok(None) };
        let timeout = Patience::from(self.config.node_health_check).offline_timeout;
        let since = since.max(self.context.now() - MENDED);
        let mut found = node_log::silences(tx, since, timeout).await?;
        let is_of_then = |(from, _): &Silence| *from < until;
        found.of_all.retain(is_of_then);
        for silences in found.by_server.values_mut() {
            silences.retain(is_of_then);
            *silences = own_silences(silences, &found.of_all, timeout);
        }
        node_status::replace_collection_outages(tx, (since, until), &found.of_all).await?;
        found.by_server.retain(|_, silences| !silences.is_empty());
        Ok(Some(found.by_server))
    }

    /// Marks servers and brings their logs up to date; answers how many logs late signs of life changed, and the edges.
    async fn judge_servers(
        &self,
        tx: &mut Transaction,
        heard: &Heard,
        judgement: Option<Judgement>,
        settled: Option<&BTreeMap<i32, Vec<Silence>>>,
    ) -> Result<(usize, Vec<Edge>), Error> {
        let now = self.context.now();
        let timeout = Patience::from(self.config.node_health_check).offline_timeout;
        let oldest = now - MENDED;
        let arrived_from = heard.ran_at.map_or(oldest, |ran_at| (ran_at - COMMIT).max(oldest));
        let late = node_log::late_signs(tx, arrived_from, oldest, timeout).await?;
        let silences = settled.unwrap_or(const { &BTreeMap::new() });
        let in_hindsight: BTreeSet<i32> = late.keys().chain(silences.keys()).copied().collect();
        let concerned = concerned(&node_status::watched(tx, None).await?, judgement.as_ref(), &in_hindsight);
        if concerned.is_empty() {
            return Ok((0, Vec::new()));
        }
        // Whoever had them locked may have changed them, and reports may have come: they are looked at again.
        node_status::lock(tx, &concerned).await?;
        let servers = node_status::watched(tx, Some(&concerned)).await?;
        let before = node_log::logs(tx, &beginnings(&servers, &late, silences, now)).await?;
        let mut after = before.clone();
        let edges: Vec<Edge> = servers
            .iter()
            .filter_map(|server| {
                let log = after.get_mut(&server.node_server_id)?;
                let signs = late.get(&server.node_server_id).map_or(&[][..], |late| &late.signs);
                let silences = silences.get(&server.node_server_id).map_or(&[][..], Vec::as_slice);
                node_watch::refresh(server, log, judgement.as_ref(), Hindsight { signs, silences }, (timeout, now))
            })
            .collect();
        node_log::write(tx, &before, &after).await?;
        if !edges.is_empty() {
            node_status::set_statuses(tx, &edges).await?;
        }
        let is_edge = |id: &i32| edges.iter().any(|edge| edge.node_server_id == *id);
        let mended = in_hindsight.iter().filter(|id| before.get(id) != after.get(id) && !is_edge(id)).count();
        Ok((mended, edges))
    }
}

/// The servers of which something changes, by id.
fn concerned(servers: &[Watched], judgement: Option<&Judgement>, in_hindsight: &BTreeSet<i32>) -> Vec<i32> {
    let changes = |server: &&Watched| {
        server.is_news_to_the_log() || judgement.is_some_and(|judgement| server.judge(judgement).is_some())
    };
    let changing = servers.iter().filter(changes).map(|server| server.node_server_id);
    changing.chain(in_hindsight.iter().copied()).collect::<BTreeSet<i32>>().into_iter().collect()
}

/// From when on the servers' logs may change.
fn beginnings(
    servers: &[Watched],
    late: &BTreeMap<i32, LateSigns>,
    silences: &BTreeMap<i32, Vec<Silence>>,
    now: DateTime<Utc>,
) -> Vec<(i32, DateTime<Utc>)> {
    let beginning = |server: &Watched| {
        let open = server.logged.map(|logged| logged.since);
        let late = late.get(&server.node_server_id).map(|late| late.since);
        let silence = silences.get(&server.node_server_id).and_then(|silences| silences.first()).map(|first| first.0);
        (server.node_server_id, [open, late, silence].into_iter().flatten().fold(now, DateTime::min))
    };
    servers.iter().map(beginning).collect()
}
