//! What the watch over node servers reads and writes: the fleet's last heartbeats, the state of the
//! refresh job, outages of the collection, and the status of each server.

use chrono::{DateTime, Utc};

use super::statement::all_rows;
use super::{Connection, column, statements, stored};
use crate::domain::server_status::{
    FleetSnapshot, OpenInterval, ServerState, StatusChange, WatchState,
};
use crate::domain::time_range::TimeRange;
use crate::error::Error;

/// Reads when servers were last heard, and the state that the last run of the job stored.
pub async fn load(connection: &mut Connection) -> Result<(FleetSnapshot, WatchState), Error> {
    let row = sqlx::query!(
        r#"/* node_status_watch.load */
        select (
                select count(*) from telecom.node_server s
                join telecom.node_server_heartbeat h on h.node_server_id = s.id
                where s.status = 'online'
            ) as "online_servers!",
            (select max(last_online_at) from telecom.node_server_heartbeat) as last_heartbeat_at,
            (select since from telecom.collection_outage where until is null) as open_outage_since,
            w.ran_at, w.heard_from
        from telecom.node_status_watch w"#
    )
    .fetch_one(connection)
    .await?;
    let fleet = FleetSnapshot {
        online_servers: row.online_servers,
        last_heartbeat_at: row.last_heartbeat_at,
        open_outage_since: row.open_outage_since,
    };
    let state = WatchState {
        last_run_at: row.ran_at,
        silence_counts_from: row.heard_from,
    };
    Ok((fleet, state))
}

statements! {
    /// Stores the state for the next run.
    pub fn save(state: &WatchState) -> Done {
        r#"/* node_status_watch.save */
        update telecom.node_status_watch set ran_at = $1, heard_from = $2"#,
        state.last_run_at,
        state.silence_counts_from
    }

    /// Records that no server has been heard since `since`.
    pub fn open_collection_outage(since: DateTime<Utc>) -> Done {
        r#"/* node_status_watch.open_collection_outage */
        insert into telecom.collection_outage (since) values ($1)"#
    }

    /// Records that servers are heard again since `until`.
    pub fn close_collection_outage(until: DateTime<Utc>) -> Done {
        r#"/* node_status_watch.close_collection_outage */
        update telecom.collection_outage set until = greatest(since, $1) where until is null"#
    }

    /// Records a time in which no server was evaluated. Their status during it counts as unknown.
    pub fn record_pause(pause: TimeRange) -> Done {
        r#"/* node_status_watch.record_pause */
        insert into telecom.collection_outage (since, until) values ($1, $2)"#,
        pause.start,
        pause.end
    }
}

/// The servers with these ids, or all servers, ordered by id. Archived servers are not watched.
pub async fn servers(
    connection: &mut Connection,
    ids: Option<&[i32]>,
) -> Result<Vec<ServerState>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* node_status_watch.servers */
        select s.id, s.name, s.status::text as "status!", h.last_online_at as "last_online_at?",
            t.to_status::text as open_status, t.since as "since?", t.detected_at as "detected_at?"
        from telecom.node_server s
        left join telecom.node_server_heartbeat h on h.node_server_id = s.id
        left join telecom.node_status_transition t on t.node_server_id = s.id and t.until is null
        where ($1::int[] is null or s.id = any($1)) and s.archived_at is null
        order by s.id"#,
            ids
        ),
        connection,
    )
    .await?;
    let servers = rows.into_iter().map(|row| {
        let open_interval = match (row.open_status, row.since, row.detected_at) {
            (Some(status), Some(since), Some(detected_at)) => Some(OpenInterval {
                status: stored(&status)?,
                since,
                detected_at,
            }),
            _ => None,
        };
        Ok(ServerState {
            node_server_id: row.id,
            name: row.name,
            status: stored(&row.status)?,
            last_heartbeat_at: row.last_online_at,
            open_interval,
        })
    });
    servers.collect()
}

statements! {
    /// Locks servers, in the order of their ids, until the transaction ends. The transaction that
    /// holds the lock may change their statuses and timelines.
    pub fn lock_servers(ids: &[i32]) -> Values<i32> {
        r#"/* node_status_watch.lock_servers */
        select id from telecom.node_server where id = any($1) order by id for no key update"#
    }

    /// Writes the new statuses of servers that [`lock_servers`] locked.
    pub fn set_statuses(changes: &[StatusChange]) -> Done {
        r#"/* node_status_watch.set_statuses */
        update telecom.node_server s set status = c.status::telecom.node_server_status
        from unnest($1::int[], $2::text[]) as c (id, status)
        where s.id = c.id"#,
        &column(changes, |change| change.node_server_id),
        &column(changes, |change| <&str>::from(change.to)) as &[&str]
    }
}
