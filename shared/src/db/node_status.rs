//! Whether node servers carry traffic: who was heard, and what each server is.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Connection, columns, stored};
use crate::domain::node_status::{Heard, Silence};
use crate::domain::node_watch::{Edge, Logged, Watched};
use crate::error::Error;

/// Who was heard, and whether anybody could be.
pub async fn heard(connection: &mut Connection) -> Result<Heard, Error> {
    let row = sqlx::query!(
        r#"/* node_status.heard */
        select (
                select count(*) from telecom.node_server s
                join telecom.node_server_heartbeat h on h.node_server_id = s.id
                where s.status = 'online'
            ) as "online!",
            (select max(last_online_at) from telecom.node_server_heartbeat) as last,
            (select since from telecom.collection_outage where until is null) as outage_since,
            w.ran_at, w.heard_from, w.unjudged_from, w.is_settled
        from telecom.node_status_watch w"#
    )
    .fetch_one(connection)
    .await?;
    Ok(Heard {
        online: row.online,
        last: row.last,
        outage_since: row.outage_since,
        ran_at: row.ran_at,
        heard_from: row.heard_from,
        unjudged_from: row.unjudged_from,
        is_settled: row.is_settled,
    })
}

/// Remembers when servers were judged and from when on silence counts, and what is to be settled of
/// the time before.
pub async fn save_watch(connection: &mut Connection, heard: &Heard) -> Result<(), Error> {
    sqlx::query!(
        r#"/* node_status.save_watch */
        update telecom.node_status_watch set ran_at = $1, heard_from = $2, unjudged_from = $3,
        is_settled = $4"#,
        heard.ran_at,
        heard.heard_from,
        heard.unjudged_from,
        heard.is_settled
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that no server was heard since `since`.
pub async fn open_collection_outage(
    connection: &mut Connection,
    since: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        r#"/* node_status.open_collection_outage */ insert into telecom.collection_outage (since)
        values ($1)"#,
        since
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that servers are heard again since `until`.
pub async fn close_collection_outage(
    connection: &mut Connection,
    until: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        r#"/* node_status.close_collection_outage */
        update telecom.collection_outage set until = greatest(since, $1) where until is null"#,
        until
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts what is known in hindsight in place of the outages of the collection that are over and
/// touch `[since, until)`. One that began longer than twice the timeout before it stays: of that
/// time nothing was looked at.
pub async fn replace_collection_outages(
    connection: &mut Connection,
    (since, until): Silence,
    timeout: TimeDelta,
    outages: &[Silence],
) -> Result<(), Error> {
    let (sinces, untils) = columns!(outages, |outage| outage.0, |outage| outage.1);
    sqlx::query!(
        r#"/* node_status.replace_collection_outages */
        with gone as (
            delete from telecom.collection_outage
            where since >= $1::timestamptz - 2 * $3::interval and since < $2 and until > $1
        )
        insert into telecom.collection_outage (since, until) select *
        from unnest($4::timestamptz[], $5::timestamptz[])"#,
        since,
        until,
        timeout as TimeDelta,
        &sinces,
        &untils
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that it is settled what servers were while nobody was judged.
pub async fn set_settled(connection: &mut Connection) -> Result<(), Error> {
    sqlx::query!(
        r#"/* node_status.set_settled */ update telecom.node_status_watch set is_settled = true"#
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// All servers, or those of `ids`, by id.
pub async fn watched(
    connection: &mut Connection,
    ids: Option<&[i32]>,
) -> Result<Vec<Watched>, Error> {
    let rows = sqlx::query!(
        r#"/* node_status.watched */
        select s.id, s.name, s.status::text as "status!", h.last_online_at as "last_online_at?",
            t.to_status::text as logged, t.since as "since?", t.detected_at as "detected_at?"
        from telecom.node_server s
        left join telecom.node_server_heartbeat h on h.node_server_id = s.id
        left join telecom.node_status_transition t on t.node_server_id = s.id and t.until is null
        where $1::int[] is null or s.id = any($1)
        order by s.id"#,
        ids
    )
    .fetch_all(connection)
    .await?;
    let servers = rows.into_iter().map(|row| {
        let logged = match (row.logged, row.since, row.detected_at) {
            (Some(status), Some(since), Some(detected_at)) => Some(Logged {
                status: stored(&status)?,
                since,
                detected_at,
            }),
            _ => None,
        };
        let (name, status, last_online_at) = (row.name, stored(&row.status)?, row.last_online_at);
        Ok(Watched {
            node_server_id: row.id,
            name,
            status,
            last_online_at,
            logged,
        })
    });
    servers.collect()
}

/// Locks servers in the order of their ids until the transaction ends: their statuses and logs are
/// the caller's.
pub async fn lock(connection: &mut Connection, ids: &[i32]) -> Result<(), Error> {
    sqlx::query!(
        r#"/* node_status.lock */
        select id from telecom.node_server where id = any($1) order by id for no key update"#,
        ids
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}

/// Writes the statuses of servers that [`lock`] locked.
pub async fn set_statuses(connection: &mut Connection, edges: &[Edge]) -> Result<(), Error> {
    let servers: Vec<i32> = edges.iter().map(|edge| edge.node_server_id).collect();
    let statuses: Vec<&str> = edges.iter().map(|edge| edge.to.into()).collect();
    sqlx::query!(
        r#"/* node_status.set_statuses */
        update telecom.node_server s set status = e.status::telecom.node_server_status
        from unnest($1::int[], $2::text[]) as e (id, status)
        where s.id = e.id"#,
        &servers,
        &statuses as &[&str]
    )
    .execute(connection)
    .await?;
    Ok(())
}
