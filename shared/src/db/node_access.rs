//! Access of node software and of collectors.

use chrono::{DateTime, Utc};

use super::{Connection, from_row, statements, stored};
use crate::domain::node_access::{NodeAccess, NodeAccessSettings};
use crate::domain::page::Page;
use crate::error::Error;

/// A row of `node_access`, without the hash of the token.
struct Row {
    id: i64,
    protocol: String,
    software: String,
    node_server_id: i32,
    node_client_id: Option<i32>,
    allowed_networks: Vec<String>,
    interval_seconds: i32,
    client_timeout_seconds: i32,
    created_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for NodeAccess {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(from_row!(row => NodeAccess {
            id, node_client_id, allowed_networks, interval_seconds, client_timeout_seconds,
            created_at, revoked_at;
            server_id: row.node_server_id, protocol: stored(&row.protocol)?,
            software: stored(&row.software)?
        }))
    }
}

/// Selects accesses. An access must match every field that is not `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// Server of the access.
    pub server_id: Option<i32>,
    /// Whether revoked accesses match, too.
    pub include_revoked: bool,
}

statements! {
    /// Stores an access under the hash of its token, and returns its id.
    pub fn insert(
        token_hash: &[u8],
        settings: &NodeAccessSettings,
        now: DateTime<Utc>,
    ) -> Value<i64> {
        "/* node_access.insert */
        insert into telecom.node_access (
            token_hash, protocol, software, node_server_id, node_client_id, allowed_networks,
            interval_seconds, client_timeout_seconds, created_at
        )
        values ($1, $2::text::telecom.node_protocol, $3, $4, $5, $6, $7, $8, $9)
        returning id",
        token_hash, <&str>::from(settings.protocol), <&str>::from(settings.software),
        settings.server_id, settings.node_client_id, &settings.allowed_networks,
        settings.interval_seconds, settings.client_timeout_seconds, now
    }

    /// Revokes an access that [`lock`] locked in this transaction.
    pub fn revoke(id: i64, now: DateTime<Utc>) -> Done {
        "/* node_access.revoke */ update telecom.node_access set revoked_at = $2 where id = $1"
    }

    fn lock_row(id: i64) -> FirstRow<Row> {
        r#"/* node_access.lock */
        select id, protocol::text as "protocol!", software, node_server_id, node_client_id,
            allowed_networks, interval_seconds, client_timeout_seconds, created_at, revoked_at
        from telecom.node_access where id = $1
        for no key update"#
    }

    fn find_row(token_hash: &[u8]) -> FirstRow<Row> {
        r#"/* node_access.find */
        select a.id, a.protocol::text as "protocol!", a.software, a.node_server_id,
            a.node_client_id, a.allowed_networks, a.interval_seconds, a.client_timeout_seconds,
            a.created_at, a.revoked_at
        from telecom.node_access a
        join telecom.node_server s on s.id = a.node_server_id
        left join telecom.node_client c on c.id = a.node_client_id
        where a.token_hash = $1 and a.revoked_at is null
            and s.archived_at is null and c.archived_at is null"#
    }

    fn list_rows(filter: Filter, page: Page) -> Rows<Row> {
        r#"/* node_access.list */
        select id, protocol::text as "protocol!", software, node_server_id, node_client_id,
            allowed_networks, interval_seconds, client_timeout_seconds, created_at, revoked_at
        from telecom.node_access
        where ($1::int is null or node_server_id = $1) and ($2 or revoked_at is null)
        order by id desc
        limit $3 offset $4"#,
        filter.server_id, filter.include_revoked, page.limit, page.offset
    }

    fn count(filter: Filter) -> Value<i64> {
        r#"/* node_access.count */
        select count(*) as "total!" from telecom.node_access
        where ($1::int is null or node_server_id = $1) and ($2 or revoked_at is null)"#,
        filter.server_id, filter.include_revoked
    }

    /// Returns the server of a client in use. `None` if there is no such client.
    pub fn server_of_client(id: i32) -> FirstValue<i32> {
        "/* node_access.server_of_client */
        select node_server_id from telecom.node_client where id = $1 and archived_at is null
        for share"
    }
}

/// Returns an access, and locks it until the transaction ends. `None` if it does not exist.
pub async fn lock(connection: &mut Connection, id: i64) -> Result<Option<NodeAccess>, Error> {
    let row = lock_row(connection, id).await?;
    row.map(NodeAccess::try_from).transpose()
}

/// Returns the access with a token, if it is not revoked, and neither its server nor its client is
/// archived.
pub async fn find(
    connection: &mut Connection,
    token_hash: &[u8],
) -> Result<Option<NodeAccess>, Error> {
    let row = find_row(connection, token_hash).await?;
    row.map(NodeAccess::try_from).transpose()
}

/// A page of matching accesses, newest first, and the number of all of them.
pub async fn list(
    connection: &mut Connection,
    filter: Filter,
    page: Page,
) -> Result<(Vec<NodeAccess>, i64), Error> {
    let total = count(connection, filter).await?;
    let rows = list_rows(connection, filter, page).await?;
    let accesses = rows.into_iter().map(NodeAccess::try_from);
    Ok((accesses.collect::<Result<_, _>>()?, total))
}
