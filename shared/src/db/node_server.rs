//! Node servers, as administrators change them.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{Connection, object, statements, stored};
use crate::domain::node::NodeServerCompatibility;
use crate::domain::node_settings::NodeServerSettings;
use crate::error::Error;

/// The stored settings of a node server or a node client.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<S> {
    /// The settings, secrets included.
    pub settings: S,
    /// Number of their current version.
    pub revision: i64,
    /// When the server or the client was archived. `None` if it is in use.
    pub archived_at: Option<DateTime<Utc>>,
}

/// Returns the settings of a server, and locks it until the transaction ends. `None` if it does not
/// exist.
pub async fn lock(
    connection: &mut Connection,
    id: i32,
) -> Result<Option<Stored<NodeServerSettings>>, Error> {
    let row = sqlx::query!(
        r#"/* node_server.lock */
        select name, compatibility::text as "compatibility!", server_config, revision, archived_at
        from telecom.node_server where id = $1
        for no key update"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(Stored {
            settings: NodeServerSettings {
                name: row.name,
                compatibility: stored(&row.compatibility)?,
                server_config: object(row.server_config)?,
            },
            revision: row.revision,
            archived_at: row.archived_at,
        })
    })
    .transpose()
}

statements! {
    /// Adds a server, and returns its id: the next one of the sequence, or the one after those of
    /// rows that were inserted by hand.
    pub fn insert(settings: &NodeServerSettings, now: DateTime<Utc>) -> Value<i32> {
        "/* node_server.insert */
        insert into telecom.node_server
            (id, name, compatibility, server_config, created_at, updated_at)
        select greatest(nextval('telecom.node_server_id_seq'), coalesce(max(id), 0) + 1),
            $1, $2::text::telecom.node_server_compatibility, $3, $4, $4
        from telecom.node_server
        returning id",
        settings.name, <&str>::from(settings.compatibility),
        Value::Object(settings.server_config.clone()), now
    }

    /// Replaces the settings of a server that [`lock`] locked in this transaction. A trigger counts
    /// the revision.
    pub fn update(id: i32, settings: &NodeServerSettings) -> Done {
        "/* node_server.update */
        update telecom.node_server
        set name = $2, compatibility = $3::text::telecom.node_server_compatibility,
            server_config = $4
        where id = $1",
        id, settings.name, <&str>::from(settings.compatibility),
        Value::Object(settings.server_config.clone())
    }

    /// Archives a server that [`lock`] locked in this transaction.
    pub fn archive(id: i32, now: DateTime<Utc>) -> Done {
        "/* node_server.archive */
        update telecom.node_server set archived_at = $2 where id = $1"
    }
}

/// What its clients depend on.
#[derive(Debug)]
pub struct ServerOfClients {
    /// Id of the server.
    pub id: i32,
    /// Whether the server is not archived.
    pub in_use: bool,
    /// Panel protocol of the server.
    pub compatibility: NodeServerCompatibility,
    /// Configuration of the server.
    pub server_config: Map<String, Value>,
}

/// A row of the server of a client.
struct ServerRow {
    id: i32,
    in_use: bool,
    compatibility: String,
    server_config: Value,
}

impl TryFrom<ServerRow> for ServerOfClients {
    type Error = Error;

    fn try_from(row: ServerRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            in_use: row.in_use,
            compatibility: stored(&row.compatibility)?,
            server_config: object(row.server_config)?,
        })
    }
}

/// Returns a server, and keeps it as it is until the transaction ends. `None` if it does not exist.
pub async fn lock_for_clients(
    connection: &mut Connection,
    id: i32,
) -> Result<Option<ServerOfClients>, Error> {
    let row = for_clients(connection, id).await?;
    row.map(TryInto::try_into).transpose()
}

/// Returns the server that a client has now, and keeps the server as it is until the transaction
/// ends. The client may get another server before it is locked. `None` if the client does not
/// exist.
pub async fn lock_of_client(
    connection: &mut Connection,
    client: i32,
) -> Result<Option<ServerOfClients>, Error> {
    let row = of_client(connection, client).await?;
    row.map(TryInto::try_into).transpose()
}

statements! {
    fn for_clients(id: i32) -> FirstRow<ServerRow> {
        r#"/* node_server.lock_for_clients */
        select id, archived_at is null as "in_use!", compatibility::text as "compatibility!",
            server_config
        from telecom.node_server where id = $1
        for share"#
    }

    fn of_client(client: i32) -> FirstRow<ServerRow> {
        r#"/* node_server.lock_of_client */
        select id, archived_at is null as "in_use!", compatibility::text as "compatibility!",
            server_config
        from telecom.node_server
        where id = (select node_server_id from telecom.node_client where id = $1)
        for share"#
    }
}
