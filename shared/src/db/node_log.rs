//! The log of servers' statuses. It is read, changed in memory, and written where it changed; the
//! caller has locked the servers.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Connection, columns, stored};
use crate::domain::node_log::{ByHand, ServerLog, Signs, Spell};
use crate::domain::node_status::Silence;
use crate::error::Error;

/// What came late of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateSigns {
    /// The beginning of the first outage that they fell into.
    pub since: DateTime<Utc>,
    /// Signs of life within outages, ascending.
    pub signs: Vec<Signs>,
}

/// Signs of life since `from` that arrived since `arrived_from` and fall into recorded outages, by
/// server; those that are no further apart than `timeout` as one.
///
/// For each sign the interval is looked up that it falls into: a server's intervals follow each
/// other without a gap.
pub async fn late_signs(
    connection: &mut Connection,
    arrived_from: DateTime<Utc>,
    from: DateTime<Utc>,
    timeout: TimeDelta,
) -> Result<BTreeMap<i32, LateSigns>, Error> {
    let rows = sqlx::query!(
        r#"/* node_log.late_signs */
        with sign as (
            select node_server_id, coalesce(seen_at, least(period_end, received_at)) as seen_at
            from telecom.usage_report
            where received_at >= $1
                -- Most servers have none, and most runs nothing to look up.
                and node_server_id = any(array(
                    select node_server_id from telecom.node_status_transition
                    where to_status = 'offline' and (until is null or until > $2)
                ))
        ), late as (
            select t.*, s.seen_at, s.seen_at - lag(s.seen_at) over (partition by t.id
            order by s.seen_at) <= $3 as follows
            from sign s
            cross join lateral (
                select id, node_server_id, to_status, since
                from telecom.node_status_transition
                where node_server_id = s.node_server_id and since < s.seen_at and (until is null
                or until > s.seen_at)
                order by since desc
                limit 1
            ) t
            where s.seen_at >= $2 and t.to_status = 'offline'
        ), chain as (
            select *, count(*) filter (where follows is not true) over (partition by id
            order by seen_at) as number
            from late
        )
        select node_server_id as "node_server_id!", min(since) as "since!",
        min(seen_at) as "first!",
            max(seen_at) as "last!"
        from chain
        group by node_server_id, id, number
        order by node_server_id, min(seen_at)"#,
        arrived_from,
        from,
        timeout as TimeDelta
    )
    .fetch_all(connection)
    .await?;
    let mut late: BTreeMap<i32, LateSigns> = BTreeMap::new();
    for row in rows {
        let of_server = late.entry(row.node_server_id).or_insert(LateSigns {
            since: row.since,
            signs: Vec::new(),
        });
        of_server.signs.push((row.first, row.last));
    }
    Ok(late)
}

/// Whether anything arrived since `arrived_from` that says what servers were in `[since, until)`.
pub async fn has_arrived(
    connection: &mut Connection,
    arrived_from: DateTime<Utc>,
    (since, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<bool, Error> {
    let arrived = sqlx::query_scalar!(
        r#"/* node_log.has_arrived */
        select exists (
            select from telecom.usage_report
            where received_at >= $1 and coalesce(seen_at, least(period_end, received_at)) >= $2
                and coalesce(seen_at, least(period_end, received_at)) < $3
        ) as "arrived!""#,
        arrived_from,
        since,
        until
    )
    .fetch_one(connection)
    .await?;
    Ok(arrived)
}

/// Silences between signs of life of one server, and those of all servers together where there are
/// several.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Silences {
    /// Of each server.
    pub by_server: BTreeMap<i32, Vec<Silence>>,
    /// In which nobody was heard.
    pub of_all: Vec<Silence>,
}

/// Silences longer than `timeout` that touch `[since, until)`, for what no run of the job saw. It
/// reads all that arrived since twice the timeout before: a server that was not silent then was
/// heard at most a timeout before somebody who was.
pub async fn silences(
    connection: &mut Connection,
    (since, until): (DateTime<Utc>, DateTime<Utc>),
    timeout: TimeDelta,
) -> Result<Silences, Error> {
    let rows = sqlx::query!(
        r#"/* node_log.silences */
        with sign as materialized (
            select node_server_id, coalesce(seen_at, least(period_end, received_at)) as seen_at
            from telecom.usage_report
            where received_at >= $1::timestamptz - 2 * $3::interval
        ), silence as (
            select node_server_id, lag(seen_at) over (partition by node_server_id
            order by seen_at) as since, seen_at as until
            from sign
            union all
            select null, lag(seen_at) over (order by seen_at), seen_at
            from sign
            where (select min(node_server_id) <> max(node_server_id) from sign)
        )
        select node_server_id, since as "since!", until as "until!"
        from silence
        where until - since > $3 and until > $1 and since < $2
        and since >= $1::timestamptz - 2 * $3::interval
        order by until"#,
        since,
        until,
        timeout as TimeDelta
    )
    .fetch_all(connection)
    .await?;
    let mut silences = Silences::default();
    for row in rows {
        let of = match row.node_server_id {
            Some(id) => silences.by_server.entry(id).or_default(),
            None => &mut silences.of_all,
        };
        of.push((row.since, row.until));
    }
    Ok(silences)
}

/// The logs of `servers`, each from the interval on before the one that begins at its moment,
/// locked by the caller.
pub async fn logs(
    connection: &mut Connection,
    servers: &[(i32, DateTime<Utc>)],
) -> Result<BTreeMap<i32, ServerLog>, Error> {
    let (ids, sinces) = columns!(servers, |server| server.0, |server| server.1);
    let rows = sqlx::query!(
        r#"/* node_log.logs */
        select t.id as "id!", t.node_server_id as "node_server_id!", t.from_status::text,
        t.to_status::text as "to_status!",
            t.since as "since!", t.until, t.detected_at as "detected_at!", t.actor_user_id, t.reason
        from unnest($1::int[], $2::timestamptz[]) as s (id, since)
        cross join lateral (
            (select * from telecom.node_status_transition where node_server_id = s.id
            and since >= s.since)
            union all
            (select * from telecom.node_status_transition where node_server_id = s.id
            and since < s.since
             order by since desc, until desc limit 1)
        ) t
        order by t.node_server_id, t.since, t.until nulls last, t.id"#,
        &ids,
        &sinces
    )
    .fetch_all(connection)
    .await?;
    let log = |&(node_server_id, _): &(i32, _)| {
        (
            node_server_id,
            ServerLog {
                node_server_id,
                spells: Vec::new(),
            },
        )
    };
    let mut logs: BTreeMap<i32, ServerLog> = servers.iter().map(log).collect();
    for row in rows {
        let by = row
            .actor_user_id
            .zip(row.reason)
            .map(|(actor, reason)| ByHand { actor, reason });
        let from = row.from_status.as_deref().map(stored).transpose()?;
        let (id, to, detected_at) = (Some(row.id), stored(&row.to_status)?, row.detected_at);
        let spell = Spell {
            id,
            from,
            to,
            since: row.since,
            until: row.until,
            detected_at,
            by,
        };
        logs.entry(row.node_server_id)
            .or_default()
            .spells
            .push(spell);
    }
    Ok(logs)
}

/// Writes what changed between `before` and `after`, which are the same servers' logs.
pub async fn write(
    connection: &mut Connection,
    before: &BTreeMap<i32, ServerLog>,
    after: &BTreeMap<i32, ServerLog>,
) -> Result<(), Error> {
    let stays = |log: &ServerLog, spell: &Spell| {
        before
            .get(&log.node_server_id)
            .is_some_and(|before| spell.id.is_some() && before.spells.contains(spell))
    };
    let spells = || {
        after
            .values()
            .flat_map(|log| log.spells.iter().map(move |spell| (log, spell)))
    };
    let kept: HashSet<i64> = spells()
        .filter(|(log, spell)| stays(log, spell))
        .filter_map(|(_, spell)| spell.id)
        .collect();
    let stored = before
        .values()
        .flat_map(|log| &log.spells)
        .filter_map(|spell| spell.id);
    let gone: Vec<i64> = stored.filter(|id| !kept.contains(id)).collect();
    let new: Vec<(i32, &Spell)> = spells()
        .filter(|(log, spell)| !stays(log, spell))
        .map(|(log, spell)| (log.node_server_id, spell))
        .collect();
    if !gone.is_empty() {
        delete(connection, &gone).await?;
    }
    if !new.is_empty() {
        insert(connection, &new).await?;
    }
    Ok(())
}

async fn delete(connection: &mut Connection, ids: &[i64]) -> Result<(), Error> {
    sqlx::query!(
        r#"/* node_log.delete */ delete from telecom.node_status_transition where id = any($1)"#,
        ids
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert(connection: &mut Connection, spells: &[(i32, &Spell)]) -> Result<(), Error> {
    let (servers, sinces, untils, detected) =
        columns!(spells, |s| s.0, |s| s.1.since, |s| s.1.until, |s| s
            .1
            .detected_at);
    let from: Vec<Option<&str>> = spells
        .iter()
        .map(|(_, spell)| spell.from.map(Into::into))
        .collect();
    let to: Vec<&str> = spells.iter().map(|(_, spell)| spell.to.into()).collect();
    let actors: Vec<Option<Uuid>> = spells
        .iter()
        .map(|(_, spell)| spell.by.as_ref().map(|by| by.actor))
        .collect();
    let reasons: Vec<Option<&str>> = spells
        .iter()
        .map(|(_, spell)| spell.by.as_ref().map(|by| by.reason.as_str()))
        .collect();
    sqlx::query!(
        r#"/* node_log.insert */
        insert into telecom.node_status_transition
            (node_server_id, from_status, to_status, since, until, detected_at, actor_user_id,
            reason)
        select id, from_status::telecom.node_server_status, to_status::telecom.node_server_status,
        since, until, detected_at,
            actor, reason
        from unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[],
        $6::timestamptz[],
            $7::uuid[], $8::text[]) with ordinality
            as s (id, from_status, to_status, since, until, detected_at, actor, reason, position)
        order by position"#,
        &servers,
        &from as &[Option<&str>],
        &to as &[&str],
        &sinces,
        &untils as &[Option<DateTime<Utc>>],
        &detected,
        &actors as &[Option<Uuid>],
        &reasons as &[Option<&str>]
    )
    .execute(connection)
    .await?;
    Ok(())
}
