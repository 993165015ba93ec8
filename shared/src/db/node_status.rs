//! Whether node servers carry traffic: edges, and the log of them.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Connection, columns, stored};
use crate::domain::node::NodeServerStatus;
use crate::domain::node_status::{CollectionOutage, Edge, Heard, Judgement};
use crate::error::Error;

/// Who was heard, and whether anybody could be.
pub async fn heard(connection: &mut Connection) -> Result<Heard, Error> {
    let row = sqlx::query!(
        r#"/* node_status.heard */
        select (select count(*) from telecom.node_server) as "servers!",
            (select max(last_online_at) from telecom.node_server_heartbeat) as last,
            o.since as "since?", o.until as "until?"
        from (values (1)) one (n)
        left join (select * from telecom.collection_outage order by id desc limit 1) o on true"#
    )
    .fetch_one(connection)
    .await?;
    let outage = row.since.map(|since| CollectionOutage { since, until: row.until });
    Ok(Heard { servers: row.servers, last: row.last, outage })
}

/// Notes that no server was heard since `since`.
pub async fn open_collection_outage(connection: &mut Connection, since: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        r#"/* node_status.open_collection_outage */ insert into telecom.collection_outage (since) values ($1)"#,
        since
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that servers are heard again since `until`.
pub async fn close_collection_outage(connection: &mut Connection, until: Option<DateTime<Utc>>) -> Result<(), Error> {
    sqlx::query!(
        r#"/* node_status.close_collection_outage */
        update telecom.collection_outage set until = greatest(since, $1) where until is null"#,
        until
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Begins the log of servers that have none: what they are, since `now`.
pub async fn begin_log(connection: &mut Connection, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        r#"/* node_status.begin_log */
        insert into telecom.node_status_transition (node_server_id, to_status, since, detected_at)
        select s.id, s.status, $1, $1 from telecom.node_server s
        where not exists (
            select from telecom.node_status_transition t where t.node_server_id = s.id and t.until is null
        )
        on conflict do nothing"#,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Marks servers that went silent or came back, locked in the order of their ids; those in maintenance stay there.
pub async fn mark(connection: &mut Connection, judgement: Judgement) -> Result<Vec<Edge>, Error> {
    let rows = sqlx::query!(
        r#"/* node_status.mark */
        with edge as (
            select s.id, s.status, h.last_online_at
            from telecom.node_server s
            join telecom.node_server_heartbeat h on h.node_server_id = s.id
            left join telecom.node_status_transition t on t.node_server_id = s.id and t.until is null
            where s.status = 'online' and greatest(h.last_online_at, $3) < $1
                or s.status = 'offline' and (h.last_online_at >= $2 or h.last_online_at >= $1 and h.last_online_at - t.since >= $4)
            order by s.id
            for no key update of s
        )
        update telecom.node_server s
        set status = (case edge.status when 'online' then 'offline' else 'online' end)::telecom.node_server_status
        from edge
        where s.id = edge.id
        returning s.id, s.name, edge.status::text as "from!", s.status::text as "to!", edge.last_online_at"#,
        judgement.offline_before,
        judgement.online_from,
        judgement.heard_from,
        judgement.heard_for as TimeDelta
    )
    .fetch_all(connection)
    .await?;
    let edges = rows.into_iter().map(|row| {
        let (from, to) = (stored(&row.from)?, stored(&row.to)?);
        Ok(Edge { node_server_id: row.id, name: row.name, from, to, since: row.last_online_at })
    });
    edges.collect()
}

/// Who changed a status by hand, and why.
#[derive(Debug, Clone, Copy)]
pub struct ByHand<'r> {
    /// The administrator.
    pub actor: Uuid,
    /// In their words.
    pub reason: &'r str,
}

/// Ends the open interval of each edge's server and begins the next; the caller has locked the servers. No interval is
/// shorter than none: an edge begins at the earliest when the interval before it did.
pub async fn log_edges(
    connection: &mut Connection,
    edges: &[Edge],
    now: DateTime<Utc>,
    by: Option<ByHand<'_>>,
) -> Result<(), Error> {
    let (servers, sinces) = columns!(edges, |edge| edge.node_server_id, |edge| edge.since);
    let to: Vec<&str> = edges.iter().map(|edge| edge.to.into()).collect();
    sqlx::query!(
        r#"/* node_status.log_edges */
        with edge as (
            select * from unnest($1::int[], $2::text[], $3::timestamptz[]) as e (id, to_status, since)
        ), ended as (
            update telecom.node_status_transition t set until = greatest(t.since, e.since)
            from edge e
            where t.node_server_id = e.id and t.until is null and t.to_status::text <> e.to_status
            returning t.node_server_id, t.to_status, t.until
        )
        insert into telecom.node_status_transition
            (node_server_id, from_status, to_status, since, detected_at, actor_user_id, reason)
        select d.node_server_id, d.to_status, e.to_status::telecom.node_server_status, d.until, $4, $5, $6
        from ended d
        join edge e on e.id = d.node_server_id"#,
        &servers,
        &to as &[&str],
        &sinces,
        now,
        by.map(|by| by.actor),
        by.map(|by| by.reason)
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Reports that came late may show that a server was alive after what its open outage says: moves the outage's
/// beginning there. A sign of life since `offline_before` may be the outage's end instead, and is left alone.
pub async fn shorten_outages(connection: &mut Connection, offline_before: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        r#"/* node_status.shorten_outages */
        with late as (
            select t.id, t.node_server_id, t.since, h.last_online_at
            from telecom.node_status_transition t
            join telecom.node_server_heartbeat h on h.node_server_id = t.node_server_id
            where t.until is null and t.to_status = 'offline' and t.from_status = 'online' and h.last_online_at > t.since
                and h.last_online_at < $1
        ), outage as (
            update telecom.node_status_transition t set since = late.last_online_at from late where t.id = late.id
        )
        update telecom.node_status_transition t set until = late.last_online_at
        from late
        where t.node_server_id = late.node_server_id and t.until = late.since and t.to_status = 'online'
            and t.id < late.id"#,
        offline_before
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A server's name, status and last sign of life, locked until the transaction ends.
pub async fn lock_server(connection: &mut Connection, id: i32) -> Result<Option<LockedServer>, Error> {
    let row = sqlx::query!(
        r#"/* node_status.lock_server */
        select s.name, s.status::text as "status!", h.last_online_at as "last_online_at?"
        from telecom.node_server s
        left join telecom.node_server_heartbeat h on h.node_server_id = s.id
        where s.id = $1
        for no key update of s"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok(LockedServer { name: row.name, status: stored(&row.status)?, last_online_at: row.last_online_at }))
        .transpose()
}

/// A server that this transaction has locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedServer {
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: NodeServerStatus,
    /// Its last sign of life.
    pub last_online_at: Option<DateTime<Utc>>,
}

/// Writes the status of a server that [`lock_server`] locked.
pub async fn set_status(connection: &mut Connection, id: i32, status: NodeServerStatus) -> Result<(), Error> {
    let status: &'static str = status.into();
    sqlx::query!(
        r#"/* node_status.set_status */
        update telecom.node_server set status = $2::text::telecom.node_server_status where id = $1"#,
        id,
        status
    )
    .execute(connection)
    .await?;
    Ok(())
}
