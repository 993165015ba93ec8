//! `RefreshServerStatus`: marks servers that went silent or came back, publishes each change once,
//! and corrects timelines by reports that came late.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{Job, Run, TelecomCronExecutor};
use crate::db::node_status_transition::{self, LateHeartbeats, TimelineStart};
use crate::db::{self, Connection, node_status_watch};
use crate::domain::job_run::JobName;
use crate::domain::server_status::{
    CollectionHealth, Evaluation, FleetSnapshot, ServerState, SilenceCutoffs, StatusChange,
    WatchState, evaluate,
};
use crate::error::Error;
use crate::events::facts::Fact;
use crate::events::outbox::OutboxMessage;
use crate::services::Processor;
use crate::services::outbox::{self, Outbox};
use crate::telemetry;

/// Timelines are corrected this far back.
const CORRECTION_WINDOW: TimeDelta = TimeDelta::hours(48);
/// A report is committed at most this long after the instant of its arrival that is stored with it.
const COMMIT_LAG: TimeDelta = TimeDelta::minutes(2);

/// Input of the job, which does not check the deadline of its [`Run`].
#[derive(Debug, Clone, Copy)]
pub struct RefreshServerStatus(pub Run);

impl Job for RefreshServerStatus {
    const NAME: JobName = JobName::RefreshServerStatus;
}

/// What a run changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Refreshed {
    /// Servers that came online.
    pub online: usize,
    /// Servers that went offline.
    pub offline: usize,
    /// Timelines of other servers that late heartbeats corrected.
    pub corrected: usize,
    /// No server is heard, and nothing is known of any server.
    pub collection_stopped: bool,
    /// `false` if another run was evaluating servers, and this one did nothing.
    pub complete: bool,
}

#[async_trait]
impl Processor<RefreshServerStatus> for TelecomCronExecutor {
    type Output = Refreshed;

    #[tracing::instrument(name = "refresh_server_status", skip_all)]
    async fn process(&self, _: RefreshServerStatus) -> Result<Refreshed, Error> {
        let (refreshed, messages) = db::write_tx(&self.pool, "refresh_server_status", async |tx| {
            self.refresh(tx).await
        })
        .await?;
        outbox::send(&self.pool, &self.publisher, messages).await;
        // Every run reports it, so that the alarm lasts as long as the outage.
        telemetry::count(
            "CollectionStopped",
            usize::from(refreshed.collection_stopped),
        );
        Ok(refreshed)
    }
}

impl TelecomCronExecutor {
    /// One run, from top to bottom. Returns what changed, and the facts to publish.
    async fn refresh(&self, tx: &mut Connection) -> Result<(Refreshed, Vec<OutboxMessage>), Error> {
        let now = self.context.now();
        // 1. Only one run at a time evaluates servers.
        if !db::try_job_lock(tx, "refresh_server_status").await? {
            return Ok((Refreshed::default(), Vec::new()));
        }
        let mut outbox = Outbox::new(&self.context, now);

        // 2. Does the collection work, and from which instant on does a server count as silent?
        let (fleet, state) = node_status_watch::load(tx).await?;
        let health = evaluate(&fleet, &state, &self.config.node_health_check, now);
        record_health(tx, &fleet, health, now, &mut outbox).await?;
        let by = Evaluation {
            cutoffs: health.cutoffs(),
            offline_timeout: self.config.node_health_check.offline_timeout,
            now,
        };

        // 3. Which reports arrived late, since shortly before the last run?
        let oldest = now - CORRECTION_WINDOW;
        let arrived_from = state
            .last_run_at
            .map_or(oldest, |last_run_at| (last_run_at - COMMIT_LAG).max(oldest));
        let timeout = by.offline_timeout;
        let late = node_status_transition::late_heartbeats(tx, arrived_from, oldest, timeout);
        let late = late.await?;

        // 4. Update the servers that change, and their timelines.
        let (changes, corrected) = update_servers(tx, &late, &by).await?;

        // 5. Publish each change.
        let facts: Vec<Fact> = changes.iter().filter_map(Fact::of_status_change).collect();
        for fact in &facts {
            outbox.fact(fact)?;
        }
        let is_online = |fact: &&Fact| matches!(fact, Fact::NodeServerCameOnline(_));
        let online = facts.iter().filter(is_online).count();

        // 6. Store the state for the next run.
        node_status_watch::save(tx, &next_state(&state, &by)).await?;
        let refreshed = Refreshed {
            online,
            offline: facts.len().saturating_sub(online),
            corrected,
            collection_stopped: by.cutoffs.is_none(),
            complete: true,
        };
        Ok((refreshed, outbox.write(tx).await?))
    }
}

/// Records that an outage of the collection began or ended, or that the job paused.
async fn record_health(
    tx: &mut Connection,
    fleet: &FleetSnapshot,
    health: CollectionHealth,
    now: DateTime<Utc>,
    outbox: &mut Outbox<'_>,
) -> Result<(), Error> {
    match health {
        CollectionHealth::Stopped { since, is_new } => {
            if is_new {
                node_status_watch::open_collection_outage(tx, since).await?;
                outbox.fact(&Fact::CollectionStopped { since })?;
            }
        }
        CollectionHealth::Working { resumed, pause, .. } => {
            if let Some(since) = resumed {
                let until = fleet.last_heartbeat_at.unwrap_or(now);
                node_status_watch::close_collection_outage(tx, until).await?;
                outbox.fact(&Fact::CollectionResumed { since })?;
            }
            if let Some(pause) = pause {
                node_status_watch::record_pause(tx, pause).await?;
            }
        }
    }
    Ok(())
}

/// Updates the statuses and timelines of the servers that change. Returns the changes of status,
/// and the number of other timelines that late heartbeats corrected.
async fn update_servers(
    tx: &mut Connection,
    late: &BTreeMap<i32, LateHeartbeats>,
    by: &Evaluation,
) -> Result<(Vec<StatusChange>, usize), Error> {
    let fleet = node_status_watch::servers(tx, None).await?;
    let ids = servers_to_update(&fleet, by.cutoffs.as_ref(), late);
    if ids.is_empty() {
        return Ok((Vec::new(), 0));
    }
    // Another transaction may have changed them before the lock, and reports may have come.
    node_status_watch::lock_servers(tx, &ids).await?;
    let servers = node_status_watch::servers(tx, Some(&ids)).await?;
    let before =
        node_status_transition::timelines(tx, &timeline_starts(&servers, late, by.now)).await?;
    let mut after = before.clone();
    let changes: Vec<StatusChange> = servers
        .iter()
        .filter_map(|server| {
            let timeline = after.get_mut(&server.node_server_id)?;
            let late = late.get(&server.node_server_id);
            server.update(timeline, late.map_or(&[], |late| &late.runs), by)
        })
        .collect();
    node_status_transition::write(tx, &before, &after).await?;
    if !changes.is_empty() {
        node_status_watch::set_statuses(tx, &changes).await?;
    }
    let is_change = |id: &i32| changes.iter().any(|change| change.node_server_id == *id);
    let corrected = late
        .keys()
        .filter(|id| before.get(id) != after.get(id) && !is_change(id))
        .count();
    Ok((changes, corrected))
}

/// The ids of the servers that change in this run, in ascending order.
fn servers_to_update(
    fleet: &[ServerState],
    cutoffs: Option<&SilenceCutoffs>,
    late: &BTreeMap<i32, LateHeartbeats>,
) -> Vec<i32> {
    let changes = |server: &&ServerState| {
        server.is_missing_from_timeline()
            || cutoffs.is_some_and(|cutoffs| server.next_status(cutoffs).is_some())
    };
    let changing = fleet.iter().filter(changes).map(|s| s.node_server_id);
    let ids: BTreeSet<i32> = changing.chain(late.keys().copied()).collect();
    ids.into_iter().collect()
}

/// From when on the timelines may change.
fn timeline_starts(
    servers: &[ServerState],
    late: &BTreeMap<i32, LateHeartbeats>,
    now: DateTime<Utc>,
) -> Vec<TimelineStart> {
    let start = |server: &ServerState| {
        let node_server_id = server.node_server_id;
        let open = server.open_interval.map_or(now, |open| open.since);
        let outage = late.get(&node_server_id).map(|late| late.outage_since);
        TimelineStart {
            node_server_id,
            since: outage.map_or(open, |outage| outage.min(open)),
        }
    };
    servers.iter().map(start).collect()
}

fn next_state(state: &WatchState, by: &Evaluation) -> WatchState {
    WatchState {
        last_run_at: Some(by.now),
        silence_counts_from: by
            .cutoffs
            .map_or(state.silence_counts_from, |c| c.silence_counts_from),
    }
}
