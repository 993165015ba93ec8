//! Addresses from which users are connected, as salted hashes.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Connection, column, statements};
use crate::error::Error;

/// How long an address counts after a node reported it.
const SEEN: TimeDelta = TimeDelta::minutes(3);

/// How many addresses a user is connected from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Online {
    /// Number of the user.
    pub user_number: i32,
    /// Number of different addresses, on all node clients together.
    pub addresses: i64,
}

statements! {
    fn insert(
        node_client_id: i32,
        numbers: &[i32],
        addresses: &[String],
        now: DateTime<Utc>,
    ) -> Done {
        "/* online_address.insert */
        insert into telecom.online_address as o (
            user_number, node_client_id, address_hash, seen_at
        )
        select distinct a.number, $1::int,
            substr(sha256(convert_to(s.salt::text || a.address, 'UTF8')), 1, 16), $4::timestamptz
        from unnest($2::int[], $3::text[]) as a (number, address), telecom.online_address_salt s
        order by 1, 3
        on conflict (user_number, node_client_id, address_hash) do update
        set seen_at = excluded.seen_at
        where o.seen_at < excluded.seen_at"
    }

    fn of_groups(access_groups: &[i32], since: DateTime<Utc>) -> Rows<Online> {
        r#"/* online_address.of_groups */
        select o.user_number, count(distinct o.address_hash) as "addresses!"
        from telecom.package p
        join telecom.package_queue q on q.package_id = p.id
        join telecom.node_user u on u.user_id = q.user_id
        join telecom.online_address o on o.user_number = u.number
        where p.available_group = any($1) and q.status = 'active' and o.seen_at > $2
        group by o.user_number
        order by o.user_number"#
    }

    fn delete_before(before: DateTime<Utc>) -> Changed {
        "/* online_address.delete */ delete from telecom.online_address where seen_at <= $1"
    }
}

/// Records the addresses from which users are connected to a client.
pub async fn record(
    connection: &mut Connection,
    node_client_id: i32,
    connected: &[(i32, IpAddr)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let numbers = column(connected, |(number, _)| *number);
    let addresses = column(connected, |(_, address)| address.to_canonical().to_string());
    insert(connection, node_client_id, &numbers, &addresses, now).await
}

/// Counts the addresses of the users with an active item of `access_groups` who were connected to
/// any client within the last three minutes.
pub async fn counts(
    connection: &mut Connection,
    access_groups: &[i32],
    now: DateTime<Utc>,
) -> Result<Vec<Online>, Error> {
    of_groups(connection, access_groups, now - SEEN).await
}

/// Deletes the addresses that no longer count. Returns their number.
pub async fn delete_old(connection: &mut Connection, now: DateTime<Utc>) -> Result<u64, Error> {
    delete_before(connection, now - SEEN).await
}
