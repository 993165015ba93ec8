//! The timelines of servers' statuses. The caller locks the servers, reads their timelines, changes
//! them in memory, and writes what changed.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::statement::all_rows;
use super::{Connection, column, statements, stored};
use crate::domain::server_status::{HeartbeatRun, ManualChange, StatusInterval, StatusTimeline};
use crate::error::Error;

/// Late heartbeats of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateHeartbeats {
    /// The beginning of the first outage that they fell into.
    pub outage_since: DateTime<Utc>,
    /// Heartbeats within outages, in ascending order.
    pub runs: Vec<HeartbeatRun>,
}

/// Reads heartbeats of at or after `from` that arrived at or after `arrived_from` and fall into
/// recorded outages, by server. Heartbeats that are no further apart than `timeout` make one run.
///
/// The statement looks up the interval that each heartbeat falls into. Intervals of a server follow
/// each other without a gap.
pub async fn late_heartbeats(
    connection: &mut Connection,
    arrived_from: DateTime<Utc>,
    from: DateTime<Utc>,
    timeout: TimeDelta,
) -> Result<BTreeMap<i32, LateHeartbeats>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* node_status_transition.late_heartbeats */
        with heartbeat as (
            select node_server_id, coalesce(seen_at, least(period_end, received_at)) as seen_at
            from telecom.usage_report
            where received_at >= $1
                -- Most servers have no outage, and most runs find nothing to look up.
                and node_server_id = any(array(
                    select node_server_id from telecom.node_status_transition
                    where to_status = 'offline' and (until is null or until > $2)
                ))
        ), late as (
            select t.*, h.seen_at,
                h.seen_at - lag(h.seen_at) over (partition by t.id order by h.seen_at) <= $3
                as follows
            from heartbeat h
            cross join lateral (
                select id, node_server_id, to_status, since
                from telecom.node_status_transition
                where node_server_id = h.node_server_id and since < h.seen_at
                    and (until is null or until > h.seen_at)
                order by since desc
                limit 1
            ) t
            where h.seen_at >= $2 and t.to_status = 'offline'
        ), run as (
            select *, count(*) filter (where follows is not true)
                over (partition by id order by seen_at) as number
            from late
        )
        select node_server_id as "node_server_id!", min(since) as "since!",
            min(seen_at) as "first!", max(seen_at) as "last!"
        from run
        group by node_server_id, id, number
        order by node_server_id, min(seen_at)"#,
            arrived_from,
            from,
            timeout as TimeDelta
        ),
        connection,
    )
    .await?;
    let mut late: BTreeMap<i32, LateHeartbeats> = BTreeMap::new();
    for row in rows {
        let of_server = late.entry(row.node_server_id).or_insert(LateHeartbeats {
            outage_since: row.since,
            runs: Vec::new(),
        });
        of_server.runs.push(HeartbeatRun {
            first: row.first,
            last: row.last,
        });
    }
    Ok(late)
}

/// From when on the timeline of a server is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineStart {
    /// The server, which the caller has locked.
    pub node_server_id: i32,
    /// Intervals that begin at or after this instant are read, and the one before them.
    pub since: DateTime<Utc>,
}

/// Reads the timelines of servers, each from its start on.
pub async fn timelines(
    connection: &mut Connection,
    starts: &[TimelineStart],
) -> Result<BTreeMap<i32, StatusTimeline>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* node_status_transition.timelines */
        select t.id as "id!", t.node_server_id as "node_server_id!", t.from_status::text,
            t.to_status::text as "to_status!", t.since as "since!", t.until,
            t.detected_at as "detected_at!", t.actor_user_id, t.reason
        from unnest($1::int[], $2::timestamptz[]) as s (id, since)
        cross join lateral (
            (select * from telecom.node_status_transition
             where node_server_id = s.id and since >= s.since)
            union all
            (select * from telecom.node_status_transition
             where node_server_id = s.id and since < s.since
             order by since desc, until desc limit 1)
        ) t
        order by t.node_server_id, t.since, t.until nulls last, t.id"#,
            &column(starts, |start| start.node_server_id),
            &column(starts, |start| start.since)
        ),
        connection,
    )
    .await?;
    let mut timelines: BTreeMap<i32, StatusTimeline> = starts
        .iter()
        .map(|start| start.node_server_id)
        .map(|id| (id, StatusTimeline::of(id)))
        .collect();
    for row in rows {
        let author = row.actor_user_id.zip(row.reason);
        let interval = StatusInterval {
            id: Some(row.id),
            from: row.from_status.as_deref().map(stored).transpose()?,
            to: stored(&row.to_status)?,
            since: row.since,
            until: row.until,
            detected_at: row.detected_at,
            by: author.map(|(actor, reason)| ManualChange { actor, reason }),
        };
        let timeline = timelines.entry(row.node_server_id).or_default();
        timeline.intervals.push(interval);
    }
    Ok(timelines)
}

/// Writes what changed between `before` and `after`, which are the timelines of the same servers.
pub async fn write(
    connection: &mut Connection,
    before: &BTreeMap<i32, StatusTimeline>,
    after: &BTreeMap<i32, StatusTimeline>,
) -> Result<(), Error> {
    let is_stored = |server: i32, interval: &StatusInterval| {
        let before = before.get(&server).map_or(&[][..], |t| &t.intervals);
        interval.id.is_some() && before.contains(interval)
    };
    let (kept, new): (Vec<_>, Vec<_>) = after
        .iter()
        .flat_map(|(&server, timeline)| timeline.intervals.iter().map(move |i| (server, i)))
        .partition(|&(server, interval)| is_stored(server, interval));
    let kept: HashSet<i64> = kept
        .iter()
        .filter_map(|(_, interval)| interval.id)
        .collect();
    let stored = before.values().flat_map(|timeline| &timeline.intervals);
    let gone: Vec<i64> = stored
        .filter_map(|interval| interval.id)
        .filter(|id| !kept.contains(id))
        .collect();
    if !gone.is_empty() {
        delete(connection, &gone).await?;
    }
    if !new.is_empty() {
        insert(connection, &new).await?;
    }
    Ok(())
}

statements! {
    fn delete(ids: &[i64]) -> Done {
        r#"/* node_status_transition.delete */
        delete from telecom.node_status_transition where id = any($1)"#
    }

    fn insert(intervals: &[(i32, &StatusInterval)]) -> Done {
        r#"/* node_status_transition.insert */
        insert into telecom.node_status_transition
            (node_server_id, from_status, to_status, since, until, detected_at, actor_user_id,
            reason)
        select id, from_status::telecom.node_server_status, to_status::telecom.node_server_status,
            since, until, detected_at, actor, reason
        from unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[],
            $6::timestamptz[], $7::uuid[], $8::text[]) with ordinality
            as s (id, from_status, to_status, since, until, detected_at, actor, reason, position)
        order by position"#,
        &column(intervals, |(server, _)| *server),
        &column(intervals, |(_, interval)| interval.from.map(<&str>::from)) as &[Option<&str>],
        &column(intervals, |(_, interval)| <&str>::from(interval.to)) as &[&str],
        &column(intervals, |(_, interval)| interval.since),
        &column(intervals, |(_, interval)| interval.until) as &[Option<DateTime<Utc>>],
        &column(intervals, |(_, interval)| interval.detected_at),
        &column(intervals, |(_, interval)| Some(interval.by.as_ref()?.actor)) as &[Option<Uuid>],
        &column(intervals, |(_, interval)| Some(interval.by.as_ref()?.reason.as_str()))
            as &[Option<&str>]
    }
}
