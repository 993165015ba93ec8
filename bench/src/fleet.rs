//! The fleet: servers, clients with all kinds of factors, and users with packages.

use anyhow::Result;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::run;

pub const SERVERS: i32 = 200;
/// Lines per report of a server, which is the number of its connected users.
pub const LINES_PER_SERVER: i32 = 100;
/// Users per server whose first device is connected to it. The rest of a server's lines are second
/// devices of other servers' users.
const USERS_PER_SERVER: i32 = 75;
/// Number of users with packages.
pub const USERS: i32 = SERVERS * USERS_PER_SERVER;
/// The clients of a server have the factors 0, 0.5, 1, 1.5 and 2.
const CLIENTS_PER_SERVER: i32 = 5;
/// Distance in servers between a user's first and second device.
const SERVERS_APART: i32 = 37;

/// A user's device, connected to a client.
#[derive(Debug, Clone, Copy)]
pub struct Device {
    /// The user's number, from 0.
    pub user: i32,
    pub user_id: Uuid,
    pub server_id: i32,
    pub client_id: i32,
    /// The client's factor, in halves.
    pub halves: i64,
}

/// All devices in the order of servers. One user in three has two devices. User ids are unrelated
/// to servers, as in production.
pub fn devices() -> Vec<Device> {
    let devices = |server: i32| {
        (0..LINES_PER_SERVER).map(move |line| match line - USERS_PER_SERVER {
            second @ 0.. => device(
                ((server + SERVERS_APART) % SERVERS) * USERS_PER_SERVER + second,
                server,
                line,
            ),
            _ => device(server * USERS_PER_SERVER + line, server, line),
        })
    };
    (0..SERVERS).flat_map(devices).collect()
}

fn device(user: i32, server: i32, line: i32) -> Device {
    let client = line % CLIENTS_PER_SERVER;
    Device {
        user,
        user_id: user_id(user),
        server_id: server + 1,
        client_id: server * CLIENTS_PER_SERVER + client + 1,
        halves: client.into(),
    }
}

/// Ids of all users in the order of their numbers.
pub fn user_ids() -> Vec<Uuid> {
    (0..USERS).map(user_id).collect()
}

fn user_id(number: i32) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &number.to_be_bytes())
}

/// Each user has an active package, of which any share of the quota may be used, so that thresholds
/// and ends of packages occur as in production. Up to three more packages are waiting.
const SEED: &str = "
insert into telecom.node_server (id, name, compatibility, status)
select n, 'server ' || n, 'new_v2b', 'online' from generate_series(1, SERVERS) n;
insert into telecom.node_client (id, node_server_id, name, traffic_factor, country)
select n, (n - 1) / 5 + 1, 'client ' || n, ((n - 1) % 5) * 0.5, 'DE' from generate_series(1,
SERVERS * 5) n;
insert into telecom.package
    (id, series, version, is_master, name, available_group, max_client_number,
    expire_duration_seconds, traffic_limit_bytes)
select n, gen_random_uuid(), 1, true, 'package ' || n, 1, 3, 30 * 86400, n * 50 * 1024::bigint ^ 3
from generate_series(1, 4) n;
insert into telecom.package_queue
    (user_id, package_id, status, upload_bytes, download_bytes, announced_percent, activated_at,
    expires_at)
select u.id, u.package_id, 'active', (p.traffic_limit_bytes * u.used * 0.1)::bigint,
    (p.traffic_limit_bytes * u.used * 0.9)::bigint,
    case when u.used >= 0.95 then 95 when u.used >= 0.8 then 80 when u.used >= 0.5 then 50
    else 0 end,
    now() - interval '10 days', now() + interval '20 days'
from (
    select id, n % 4 + 1 as package_id, (n * 7919 % 10000) / 10001.0 as used
    from unnest($1::uuid[]) with ordinality as u (id, n)
) u
join telecom.package p on p.id = u.package_id;
insert into telecom.package_queue (user_id, package_id)
select u.id, n % 4 + 1 from unnest($1::uuid[]) with ordinality as u (id, n), generate_series(1,
n % 4);
";

pub async fn seed(connection: &mut PgConnection) -> Result<()> {
    let ids = user_ids();
    let seed = SEED.replace("SERVERS", &SERVERS.to_string());
    for statement in seed
        .split(';')
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
    {
        if statement.contains("$1") {
            sqlx::query(statement)
                .bind(&ids)
                .execute(&mut *connection)
                .await?;
        } else {
            run(connection, statement).await?;
        }
    }
    run(connection, "vacuum analyze telecom.package_queue").await?;
    run(connection, "analyze").await
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_user_has_one_device_or_two_on_different_servers() {
        let devices = devices();
        let places: HashSet<(i32, i32)> = devices
            .iter()
            .map(|device| (device.user, device.server_id))
            .collect();
        let users: HashSet<i32> = devices.iter().map(|device| device.user).collect();
        assert_eq!(
            (devices.len(), places.len(), users.len()),
            (20_000, 20_000, 15_000)
        );
    }
}
