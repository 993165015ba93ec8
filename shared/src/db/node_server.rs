//! Node servers, as administrators change them.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Connection, object, statements, stored};
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

    /// Returns whether a server is in use, and keeps it so until the transaction ends. `None` if it
    /// does not exist.
    pub fn lock_for_clients(id: i32) -> FirstValue<bool> {
        r#"/* node_server.lock_for_clients */
        select archived_at is null as "in_use!" from telecom.node_server where id = $1 for share"#
    }
}
