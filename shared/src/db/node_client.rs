//! Node clients, as administrators change them.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::node_server::Stored;
use super::{Connection, from_row, object, statements};
use crate::domain::node_settings::NodeClientSettings;
use crate::error::Error;

/// Returns the settings of a client, and locks it until the transaction ends. `None` if it does not
/// exist.
pub async fn lock(
    connection: &mut Connection,
    id: i32,
) -> Result<Option<Stored<NodeClientSettings>>, Error> {
    let row = sqlx::query!(
        r#"/* node_client.lock */
        select node_server_id, name, traffic_factor::float8 as "traffic_factor!", display_order,
            speed_limit_bits_per_second as speed_limit, country, location, route_class,
            access_groups, client_config, revision, archived_at
        from telecom.node_client where id = $1
        for no key update"#,
        id
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(Stored {
            revision: row.revision,
            archived_at: row.archived_at,
            settings: from_row!(row => NodeClientSettings {
                name, traffic_factor, display_order, speed_limit, country, location, route_class,
                access_groups;
                server_id: row.node_server_id, client_config: object(row.client_config)?
            }),
        })
    })
    .transpose()
}

/// The configuration of a client.
#[derive(Debug)]
pub struct ClientConfig {
    /// Id of the client.
    pub id: i32,
    /// The configuration, an object.
    pub client_config: Value,
}

statements! {
    /// Adds a client, and returns its id: the next one of the sequence, or the one after those of
    /// rows that were inserted by hand.
    pub fn insert(settings: &NodeClientSettings, now: DateTime<Utc>) -> Value<i32> {
        "/* node_client.insert */
        insert into telecom.node_client (
            id, node_server_id, name, traffic_factor, display_order, speed_limit_bits_per_second,
            country, location, route_class, access_groups, client_config, created_at, updated_at
        )
        select greatest(nextval('telecom.node_client_id_seq'), coalesce(max(id), 0) + 1),
            $1, $2, $3::float8::numeric, $4, $5, $6, $7, $8, $9, $10, $11, $11
        from telecom.node_client
        returning id",
        settings.server_id, settings.name, settings.traffic_factor, settings.display_order,
        settings.speed_limit, settings.country, settings.location, settings.route_class,
        &settings.access_groups, Value::Object(settings.client_config.clone()), now
    }

    /// Replaces the settings of a client that [`lock`] locked in this transaction. A trigger counts
    /// the revision.
    pub fn update(id: i32, settings: &NodeClientSettings) -> Done {
        "/* node_client.update */
        update telecom.node_client
        set node_server_id = $2, name = $3, traffic_factor = $4::float8::numeric,
            display_order = $5, speed_limit_bits_per_second = $6, country = $7, location = $8,
            route_class = $9, access_groups = $10, client_config = $11
        where id = $1",
        id, settings.server_id, settings.name, settings.traffic_factor, settings.display_order,
        settings.speed_limit, settings.country, settings.location, settings.route_class,
        &settings.access_groups, Value::Object(settings.client_config.clone())
    }

    /// The configurations of a server's clients that are in use, by id.
    pub fn configs_of_server(server: i32) -> Rows<ClientConfig> {
        "/* node_client.configs_of_server */
        select id, client_config from telecom.node_client
        where node_server_id = $1 and archived_at is null
        order by id"
    }

    /// Archives a client that [`lock`] locked in this transaction.
    pub fn archive(id: i32, now: DateTime<Utc>) -> Done {
        "/* node_client.archive */
        update telecom.node_client set archived_at = $2 where id = $1"
    }

    /// Archives all clients of a server, and returns the ids of those that were in use.
    pub fn archive_of_server(server: i32, now: DateTime<Utc>) -> Values<i32> {
        "/* node_client.archive_of_server */
        update telecom.node_client set archived_at = $2
        where id = any(array(
            select id from telecom.node_client where node_server_id = $1 and archived_at is null
            order by id for no key update
        ))
        returning id"
    }
}
