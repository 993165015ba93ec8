//! Hourly snapshots of the status of servers, and the time that servers spent in each status.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::statement::all_rows;
use super::{Connection, statements};
use crate::domain::server_status::{KnownTimes, StatusTimes};
use crate::error::Error;

statements! {
    /// Records the status of all servers for the hour of `now`, ordered by id. Existing snapshots
    /// of that hour are kept. Skips archived servers. Also skips offline servers that never sent a
    /// heartbeat, because their status is unknown. Returns the number of new rows.
    pub fn record(now: DateTime<Utc>) -> Changed {
        r#"/* node_status_history.record */
        insert into telecom.node_status_history (node_server_id, status, created_at)
        select id, status, $1 from telecom.node_server s
        where s.archived_at is null and (
            status <> 'offline'
            or exists (select from telecom.node_server_heartbeat h where h.node_server_id = s.id)
        )
        order by id
        on conflict (date_trunc('hour', created_at at time zone 'UTC'),
        node_server_id) do nothing"#
    }

    /// Seals the hours before `open_from`. Readers stop reading these hours from the view at once,
    /// and the next refresh removes them from the view. Data before `kept_from` may be deleted from
    /// now on and counts as unknown.
    pub fn seal(open_from: DateTime<Utc>, kept_from: DateTime<Utc>) -> Done {
        r#"/* node_status_history.seal */
        update telecom.node_status_seal
        set open_from = greatest(open_from, date_trunc('hour', $1::timestamptz at time zone 'UTC')),
            kept_from = greatest(kept_from, $2)"#
    }
}

/// Refreshes and analyzes the view of the open hours within a transaction, while readers continue.
/// The history is not analyzed here. It grows evenly, so autovacuum suffices, and sampling years of
/// it would cost more than the rest of the refresh.
pub async fn refresh_view(connection: &mut Connection) -> Result<(), Error> {
    sqlx::query!(
        r#"/* node_status_history.refresh_view */ select telecom.refresh_node_status_view()"#
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

statements! {
    /// Deletes at most `limit` snapshots made before `before`. Returns their number.
    pub fn delete_snapshots(before: DateTime<Utc>, limit: i64) -> Changed {
        r#"/* node_status_history.delete_snapshots */
        delete from telecom.node_status_history where id = any(array(
            select id from telecom.node_status_history
            where date_trunc('hour', created_at at time zone 'UTC')
                < date_trunc('hour', $1::timestamptz at time zone 'UTC')
            order by date_trunc('hour', created_at at time zone 'UTC')
            limit $2
        ))"#
    }
}

/// Deletes status intervals and outages of the collection that ended before `before`, at most
/// `limit` of each. Returns their number.
pub async fn delete_transitions(
    connection: &mut Connection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, Error> {
    let done = sqlx::query!(
        r#"/* node_status_history.delete_transitions */
        with outages as (
            delete from telecom.collection_outage where id = any(array(
                select id from telecom.collection_outage where until < $1 limit $2
            ))
            returning id
        ), transitions as (
            delete from telecom.node_status_transition where id = any(array(
                select id from telecom.node_status_transition where until < $1 limit $2
            ))
            returning id
        )
        select (select count(*) from outages) + (select count(*) from transitions) as "deleted!""#,
        before,
        limit
    )
    .fetch_one(connection)
    .await?;
    u64::try_from(done.deleted).map_err(Error::internal)
}

/// The servers that [`status_times`] reads.
#[derive(Debug, Clone, Copy)]
pub enum Servers {
    /// The server with this id.
    One(i32),
    /// The servers of the node clients that the active package of this user opens.
    OfUser(Uuid),
}

/// Returns the time that each server spent in each status within `[start, end)`, ordered by server.
pub async fn status_times(
    connection: &mut Connection,
    servers: Servers,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Result<Vec<(i32, StatusTimes)>, Error> {
    let found = known_times(connection, servers, &[start, end]).await?;
    let times = found
        .into_iter()
        .map(|(id, _, known)| (id, known.within(end - start)));
    Ok(times.collect())
}

/// Returns the recorded time that a server spent in each status between consecutive `edges`, which
/// are ascending. `None` if there is no such server.
pub async fn times_between(
    connection: &mut Connection,
    server: i32,
    edges: &[DateTime<Utc>],
) -> Result<Option<Vec<KnownTimes>>, Error> {
    let found = known_times(connection, Servers::One(server), edges).await?;
    if found.is_empty() {
        return Ok(None);
    }
    let by_bucket: HashMap<i32, KnownTimes> = found
        .into_iter()
        .map(|(_, bucket, known)| (bucket, known))
        .collect();
    let buckets = (1..).take(edges.len().saturating_sub(1));
    let times = buckets.map(|bucket| by_bucket.get(&bucket).copied().unwrap_or_default());
    Ok(Some(times.collect()))
}

/// The recorded time of each server in each status, as `(server, bucket, time)`. Buckets are
/// counted from 1 and lie between consecutive `edges`. A server without recorded time has one row.
///
/// Maintenance, which an administrator sets, is known throughout the retention period. Other
/// statuses are known only while the collection worked. Only the intervals that begin in the range
/// and the interval at its start are read for each server.
async fn known_times(
    connection: &mut Connection,
    servers: Servers,
    edges: &[DateTime<Utc>],
) -> Result<Vec<(i32, i32, KnownTimes)>, Error> {
    let (server, user) = match servers {
        Servers::One(id) => (Some(id), None),
        Servers::OfUser(user) => (None, Some(user)),
    };
    let rows = all_rows(
        sqlx::query_file!(
            "src/db/sql/node_status_history.status_times.sql",
            server,
            user,
            edges.first().copied(),
            edges.last().copied(),
            edges
        ),
        connection,
    )
    .await?;
    let known = rows.into_iter().map(|row| {
        let [online, offline, maintenance] =
            [row.online, row.offline, row.maintenance].map(TimeDelta::microseconds);
        let known = KnownTimes {
            online,
            offline,
            maintenance,
        };
        (row.id, row.bucket, known)
    });
    Ok(known.collect())
}

/// The node clients that a user's active package opens, as `(client, server)`, by display order,
/// then id, at most `limit`, and their total number.
pub async fn user_clients(
    connection: &mut Connection,
    user_id: Uuid,
    limit: i64,
) -> Result<(Vec<(i32, i32)>, i64), Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* node_status_history.user_clients */
        select id as "id!", node_server_id as "node_server_id!", count(*) over () as "count!"
        from telecom.user_node_client
        where user_id = $1
        order by display_order, id
        limit $2"#,
            user_id,
            limit
        ),
        connection,
    )
    .await?;
    let count = rows.first().map_or(0, |row| row.count);
    Ok((
        rows.into_iter()
            .map(|row| (row.id, row.node_server_id))
            .collect(),
        count,
    ))
}
