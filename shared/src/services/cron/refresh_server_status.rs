//! `RefreshServerStatus`: marks servers that went silent or came back, says so once, and corrects
//! the log by what came late.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{Run, TelecomCronExecutor};
use crate::db::node_log::{self, LateSigns};
use crate::db::outbox::OutboxMessage;
use crate::db::{self, Connection, node_status};
use crate::domain::node_status::{
    Heard, Judgement, Patience, Silence, Verdict, judge, own_silences,
};
use crate::domain::node_watch::{self, Edge, Watched};
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
    /// Logs of other servers that were corrected.
    pub mended: usize,
    /// No server is heard: nothing is known of any.
    pub collection_stopped: bool,
    /// Servers were evaluated; `false` if another run was at it.
    pub complete: bool,
}

#[async_trait]
impl Processor<RefreshServerStatus> for TelecomCronExecutor {
    type Output = Refreshed;

    #[tracing::instrument(name = "refresh_server_status", skip_all)]
    async fn process(&self, _: RefreshServerStatus) -> Result<Refreshed, Error> {
        let (mut refreshed, messages, unsettled) =
            db::write_tx(&self.pool, "refresh_server_status", async |tx| {
                self.refresh(tx).await
            })
            .await?;
        outbox::send(&self.pool, &self.publisher, messages).await;
        // Each run says it, so that an alarm on it lasts as long as the outage does.
        telemetry::count(
            "CollectionStopped",
            usize::from(refreshed.collection_stopped),
        );
        if let Some(time) = unsettled {
            let settled = db::write_tx(&self.pool, "settle_server_status", async |tx| {
                self.settle(tx, time).await
            });
            refreshed.mended += settled.await?;
        }
        Ok(refreshed)
    }
}

impl TelecomCronExecutor {
    /// Judges servers. Answers what changed, what to publish, and of which time it is to be settled
    /// what servers were.
    async fn refresh(
        &self,
        tx: &mut Connection,
    ) -> Result<(Refreshed, Vec<OutboxMessage>, Option<Silence>), Error> {
        let now = self.context.now();
        if !db::try_job_lock(tx, "refresh_server_status").await? {
            return Ok((Refreshed::default(), Vec::new(), None));
        }
        let mut outbox = Outbox::new(&self.context, now);
        let heard = node_status::heard(tx).await?;
        let oldest = now - MENDED;
        let arrived_from = heard
            .ran_at
            .map_or(oldest, |ran_at| (ran_at - COMMIT).max(oldest));
        let judgement = self.judge_collection(tx, &heard, &mut outbox).await?;
        let (mended, edges) = self.judge_servers(tx, arrived_from, judgement).await?;
        let mut refreshed = Refreshed {
            mended,
            collection_stopped: judgement.is_none(),
            complete: true,
            ..Refreshed::default()
        };
        for fact in edges.iter().filter_map(Fact::of_edge) {
            match &fact {
                Fact::NodeServerCameOnline { .. } => refreshed.online += 1,
                _ => refreshed.offline += 1,
            }
            outbox.fact(&fact)?;
        }
        let watch = self
            .remembered(tx, &heard, arrived_from, judgement.as_ref())
            .await?;
        node_status::save_watch(tx, &watch).await?;
        let messages = outbox.write(tx).await?;
        let unsettled = judgement
            .and_then(|judgement| judgement.unjudged())
            .filter(|_| !watch.is_settled);
        Ok((refreshed, messages, unsettled))
    }

    /// By what servers are judged; none: the collection is broken.
    async fn judge_collection(
        &self,
        tx: &mut Connection,
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

    /// Marks servers and brings their logs up to date; answers how many logs late signs of life
    /// changed, and the edges.
    async fn judge_servers(
        &self,
        tx: &mut Connection,
        arrived_from: DateTime<Utc>,
        judgement: Option<Judgement>,
    ) -> Result<(usize, Vec<Edge>), Error> {
        let now = self.context.now();
        let timeout = Patience::from(self.config.node_health_check).offline_timeout;
        let late = node_log::late_signs(tx, arrived_from, now - MENDED, timeout).await?;
        let concerned = concerned(
            &node_status::watched(tx, None).await?,
            judgement.as_ref(),
            &late,
        );
        if concerned.is_empty() {
            return Ok((0, Vec::new()));
        }
        // Whoever had them locked may have changed them, and reports may have come: they are looked
        // at again.
        node_status::lock(tx, &concerned).await?;
        let servers = node_status::watched(tx, Some(&concerned)).await?;
        let before = node_log::logs(tx, &beginnings(&servers, &late, now)).await?;
        let mut after = before.clone();
        let edges: Vec<Edge> = servers
            .iter()
            .filter_map(|server| {
                let log = after.get_mut(&server.node_server_id)?;
                let late = late
                    .get(&server.node_server_id)
                    .map_or(&[][..], |late| &late.signs);
                node_watch::refresh(server, log, judgement.as_ref(), late, (timeout, now))
            })
            .collect();
        node_log::write(tx, &before, &after).await?;
        if !edges.is_empty() {
            node_status::set_statuses(tx, &edges).await?;
        }
        let is_edge = |id: &i32| edges.iter().any(|edge| edge.node_server_id == *id);
        let mended = late
            .keys()
            .filter(|id| before.get(id) != after.get(id) && !is_edge(id))
            .count();
        Ok((mended, edges))
    }

    /// What is to be remembered of this run. What nobody judged is to be settled again when
    /// something came of that time.
    async fn remembered(
        &self,
        tx: &mut Connection,
        heard: &Heard,
        arrived_from: DateTime<Utc>,
        judgement: Option<&Judgement>,
    ) -> Result<Heard, Error> {
        let now = self.context.now();
        let mut watch = Heard {
            ran_at: Some(now),
            ..*heard
        };
        let Some(judgement) = judgement else {
            return Ok(watch);
        };
        let is_news = judgement.heard_from == Some(now);
        (watch.heard_from, watch.unjudged_from) = (judgement.heard_from, judgement.unjudged_from);
        watch.is_settled = heard.is_settled && !is_news;
        match judgement.unjudged() {
            Some((_, until)) if until < now - MENDED => {
                (watch.unjudged_from, watch.is_settled) = (None, true)
            }
            Some(time) if watch.is_settled => {
                watch.is_settled = !node_log::has_arrived(tx, arrived_from, time).await?;
            }
            _ => {}
        }
        Ok(watch)
    }

    /// Settles what servers were while nobody was judged, by what is known by now: outages that are
    /// over, of servers and of the collection. Answers how many logs it changed. It may read two
    /// days of reports: servers are marked before it, and without it.
    async fn settle(&self, tx: &mut Connection, (since, until): Silence) -> Result<usize, Error> {
        let now = self.context.now();
        let timeout = Patience::from(self.config.node_health_check).offline_timeout;
        let since = since.max(now - MENDED);
        if !db::try_job_lock(tx, "refresh_server_status").await? {
            return Ok(0);
        }
        let found = node_log::silences(tx, (since, until), timeout).await?;
        let own = |(id, silences): (&i32, &Vec<Silence>)| {
            (*id, own_silences(silences, &found.of_all, timeout))
        };
        let own: BTreeMap<i32, Vec<Silence>> = found
            .by_server
            .iter()
            .map(own)
            .filter(|(_, own)| !own.is_empty())
            .collect();
        node_status::replace_collection_outages(tx, (since, until), timeout, &found.of_all).await?;
        node_status::lock(tx, &own.keys().copied().collect::<Vec<_>>()).await?;
        let firsts: Vec<_> = own
            .iter()
            .filter_map(|(id, own)| Some((*id, own.first()?.0)))
            .collect();
        let before = node_log::logs(tx, &firsts).await?;
        let mut after = before.clone();
        for (id, log) in &mut after {
            log.add_outages(own.get(id).map_or(&[][..], Vec::as_slice), timeout, now);
        }
        node_log::write(tx, &before, &after).await?;
        node_status::set_settled(tx).await?;
        Ok(before
            .iter()
            .filter(|(id, log)| after.get(id) != Some(log))
            .count())
    }
}

/// The servers of which something changes, by id.
fn concerned(
    servers: &[Watched],
    judgement: Option<&Judgement>,
    late: &BTreeMap<i32, LateSigns>,
) -> Vec<i32> {
    let changes = |server: &&Watched| {
        server.is_news_to_the_log()
            || judgement.is_some_and(|judgement| server.judge(judgement).is_some())
    };
    let changing = servers
        .iter()
        .filter(changes)
        .map(|server| server.node_server_id);
    changing
        .chain(late.keys().copied())
        .collect::<BTreeSet<i32>>()
        .into_iter()
        .collect()
}

/// From when on the servers' logs may change.
fn beginnings(
    servers: &[Watched],
    late: &BTreeMap<i32, LateSigns>,
    now: DateTime<Utc>,
) -> Vec<(i32, DateTime<Utc>)> {
    let beginning = |server: &Watched| {
        let open = server.logged.map_or(now, |logged| logged.since);
        let late = late
            .get(&server.node_server_id)
            .map_or(open, |late| late.since);
        (server.node_server_id, open.min(late))
    };
    servers.iter().map(beginning).collect()
}
