//! Lists of the users that may use a node client now.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Connection, from_row, object, statements, stored};
use crate::domain::node::NodeServerCompatibility;
use crate::error::Error;

/// How long an item may be overdue before its user is taken from the lists. The job that ends
/// items runs every minute and activates the user's next item in the same transaction, so that a
/// user with another item stays in the lists without a gap.
const OVERDUE: TimeDelta = TimeDelta::minutes(2);

/// A node client as its node needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Id of the client.
    pub id: i32,
    /// Id of its server.
    pub node_server_id: i32,
    /// Groups whose packages open the client.
    pub access_groups: Vec<i32>,
    /// Speed limit of each user. `None` if it has none.
    pub speed_limit_bits_per_second: Option<i64>,
    /// Changes of the lists of these groups. A list that differs has another number here, or in
    /// `overdue`.
    pub changes: i64,
    /// Fingerprint of the items that should have ended by now, whose users are not in the lists. 0
    /// if there are none.
    pub overdue: i64,
}

/// A user in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedUser {
    /// Number of the user.
    pub number: i32,
    /// The user's password on the node.
    pub secret: Uuid,
    /// Number of devices that may be connected at the same time.
    pub device_limit: i32,
}

/// The configurations that a node gets.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeConfigs {
    /// Id of the client.
    pub id: i32,
    /// Name of the client.
    pub name: String,
    /// Protocol of the server's node software.
    pub compatibility: NodeServerCompatibility,
    /// Configuration of the server.
    pub server_config: Map<String, Value>,
    /// Configuration of the client, whose fields take precedence.
    pub client_config: Map<String, Value>,
    /// Speed limit of each user of the client. `None` if it has none.
    pub speed_limit_bits_per_second: Option<i64>,
}

struct ConfigsRow {
    id: i32,
    name: String,
    compatibility: String,
    server_config: Value,
    client_config: Value,
    speed_limit_bits_per_second: Option<i64>,
}

statements! {
    fn node_row(id: i32, overdue: DateTime<Utc>) -> FirstRow<Node> {
        r#"/* user_list.node */
        select c.id, c.node_server_id, c.access_groups, c.speed_limit_bits_per_second,
            (
                select coalesce(sum(l.changes), 0)::bigint from telecom.user_list_change l
                where l.available_group = any(c.access_groups)
            ) as "changes!",
            (
                select coalesce(bit_xor(hashint8extended(q.id, 0)), 0)
                from telecom.package_queue q
                join telecom.package p on p.id = q.package_id
                where q.status = 'active' and q.expires_at <= $2
                    and p.available_group = any(c.access_groups)
            ) as "overdue!"
        from telecom.node_client c
        join telecom.node_server s on s.id = c.node_server_id
        where c.id = $1 and c.archived_at is null and s.archived_at is null"#
    }

    fn user_rows(access_groups: &[i32], overdue: DateTime<Utc>) -> Rows<ListedUser> {
        "/* user_list.users */
        select u.number, u.secret, p.max_client_number as device_limit
        from telecom.package p
        join telecom.package_queue q on q.package_id = p.id
        join telecom.node_user u on u.user_id = q.user_id
        where p.available_group = any($1) and q.status = 'active'
            and q.expiring_event_at is null and q.expires_at > $2
        order by u.number"
    }

    fn configs_rows(id: Option<i32>, node_server_id: i32) -> Rows<ConfigsRow> {
        r#"/* user_list.configs */
        select c.id, c.name, s.compatibility::text as "compatibility!", s.server_config,
            c.client_config, c.speed_limit_bits_per_second
        from telecom.node_client c
        join telecom.node_server s on s.id = c.node_server_id
        where s.id = $2 and ($1::int is null or c.id = $1)
            and c.archived_at is null and s.archived_at is null
        order by c.id"#
    }
}

/// Returns a client that is in use, with the version of its list at `now`. `None` if there is no
/// such client.
///
/// Two lists with the same version are equal, if each list was read by [`users`] in the snapshot of
/// its version and at the same time `now`.
pub async fn node(
    connection: &mut Connection,
    id: i32,
    now: DateTime<Utc>,
) -> Result<Option<Node>, Error> {
    node_row(connection, id, now - OVERDUE).await
}

/// Returns the users that may use clients with `access_groups` at `now`, by number: those whose
/// active item is neither exhausted nor overdue.
pub async fn users(
    connection: &mut Connection,
    access_groups: &[i32],
    now: DateTime<Utc>,
) -> Result<Vec<ListedUser>, Error> {
    user_rows(connection, access_groups, now - OVERDUE).await
}

/// Returns the configurations of the clients of a server that are in use, by id. Only that of the
/// client `id`, if it is given.
pub async fn configs(
    connection: &mut Connection,
    id: Option<i32>,
    node_server_id: i32,
) -> Result<Vec<NodeConfigs>, Error> {
    let rows = configs_rows(connection, id, node_server_id).await?;
    let configs = rows.into_iter().map(|row| {
        Ok(from_row!(row => NodeConfigs {
            id, name, speed_limit_bits_per_second;
            compatibility: stored(&row.compatibility)?,
            server_config: object(row.server_config)?, client_config: object(row.client_config)?
        }))
    });
    configs.collect()
}

/// Replaces rows of `user_list_change` by their sums: at most `limit` rows of access groups that
/// have several rows. Returns by how many rows the table became smaller.
///
/// No sum changes for any reader. A concurrent call waits for the rows that this call deletes, and
/// then skips them. Both delete in the order of `ctid`.
pub async fn fold_changes(connection: &mut Connection, limit: i64) -> Result<i64, Error> {
    let fewer = sqlx::query_scalar!(
        r#"/* user_list.fold_changes */
        with gone as (
            delete from telecom.user_list_change where ctid = any(array(
                select c.ctid from telecom.user_list_change c
                join (
                    select available_group from telecom.user_list_change
                    group by available_group having count(*) > 1
                ) several using (available_group)
                limit $1
            ))
            returning available_group, changes
        ), summed as (
            insert into telecom.user_list_change (available_group, changes)
            select available_group, sum(changes)::bigint from gone group by available_group
            returning 1
        )
        select (select count(*) from gone) - (select count(*) from summed) as "fewer!""#,
        limit
    );
    Ok(fewer.fetch_one(connection).await?)
}
