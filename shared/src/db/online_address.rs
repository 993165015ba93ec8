//! Addresses from which users are connected, as salted hashes.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Connection, column, statements};
use crate::domain::online::{
    ClientDevices, Filter, MAX_CLIENTS, OnlineClient, OnlineDevices, OnlineTotals, OnlineUser,
};
use crate::domain::page::Page;
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

/// Totals and a page of users. The arrays with the same prefix have the same length.
struct Found {
    users: i64,
    addresses: i64,
    client_count: i64,
    user_numbers: Vec<i32>,
    user_addresses: Vec<i64>,
    user_clients: Vec<i64>,
    client_ids: Vec<i32>,
    client_users: Vec<i64>,
    client_addresses: Vec<i64>,
}

/// Addresses of one user. The arrays have the same length.
struct OfUser {
    addresses: i64,
    device_limit: Option<i32>,
    client_ids: Vec<i32>,
    client_addresses: Vec<i64>,
}

statements! {
    /// Users that do not exist, and clients of other servers, are left out.
    fn insert(
        node_client_id: i32,
        node_server_id: i32,
        numbers: &[i32],
        addresses: &[String],
        now: DateTime<Utc>,
    ) -> Done {
        "/* online_address.insert */
        insert into telecom.online_address as o (
            user_number, node_client_id, address_hash, seen_at
        )
        select distinct u.number, c.id,
            substr(sha256(convert_to(s.salt::text || a.address, 'UTF8')), 1, 16), $5::timestamptz
        from unnest($3::int[], $4::text[]) as a (number, address)
        join telecom.node_user u on u.number = a.number
        join telecom.node_client c on c.id = $1 and c.node_server_id = $2
        cross join telecom.online_address_salt s
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

    /// Only the arm of the union for the filter reads rows. Without a filter, all rows are read,
    /// which are those of a few minutes.
    fn find(filter: Filter, since: DateTime<Utc>, page: Page) -> Row<Found> {
        r#"/* online_address.find */
        with seen as materialized (
            select o.user_number, o.node_client_id, o.address_hash from telecom.online_address o
            where o.user_number = (select number from telecom.node_user where user_id = $1::uuid)
                and ($2::int is null or o.node_client_id = $2) and o.seen_at > $3
            union all
            select o.user_number, o.node_client_id, o.address_hash from telecom.online_address o
            where $1::uuid is null and o.node_client_id = $2::int and o.seen_at > $3
            union all
            select o.user_number, o.node_client_id, o.address_hash from telecom.online_address o
            where $1::uuid is null and $2::int is null and o.seen_at > $3
        ), connected as materialized (
            select user_number, count(distinct address_hash) as addresses,
                count(distinct node_client_id) as clients
            from seen group by user_number
        ), client as materialized (
            select node_client_id, count(distinct user_number) as users, count(*) as addresses
            from seen group by node_client_id
        ), page as materialized (
            select *, row_number() over (order by addresses desc, user_number) as rank
            from connected order by rank limit $4 offset $5
        ), listed as materialized (
            select *, row_number() over (order by addresses desc, node_client_id) as rank
            from client order by rank limit $6
        )
        select (select count(*) from connected) as "users!",
            (select coalesce(sum(addresses), 0)::bigint from connected) as "addresses!",
            (select count(*) from client) as "client_count!",
            array(select user_number from page order by rank) as "user_numbers!",
            array(select addresses from page order by rank) as "user_addresses!",
            array(select clients from page order by rank) as "user_clients!",
            array(select node_client_id from listed order by rank) as "client_ids!",
            array(select users from listed order by rank) as "client_users!",
            array(select addresses from listed order by rank) as "client_addresses!""#,
        filter.user, filter.node_client_id, since, page.limit, page.offset, MAX_CLIENTS
    }

    fn users(numbers: &[i32], addresses: &[i64], clients: &[i64]) -> Rows<OnlineUser> {
        r#"/* online_address.users */
        select u.user_id as "user", u.number, a.addresses as "addresses!",
            a.clients as "client_count!", p.max_client_number as "device_limit?"
        from unnest($1::int[], $2::bigint[], $3::bigint[]) with ordinality
            as a (number, addresses, clients, rank)
        join telecom.node_user u on u.number = a.number
        left join telecom.package_queue q on q.user_id = u.user_id and q.status = 'active'
        left join telecom.package p on p.id = q.package_id
        order by a.rank"#
    }

    fn of_user(user: Uuid, since: DateTime<Utc>) -> Row<OfUser> {
        r#"/* online_address.of_user */
        with seen as materialized (
            select node_client_id, address_hash from telecom.online_address
            where user_number = (select number from telecom.node_user where user_id = $1)
                and seen_at > $2
        ), client as materialized (
            select node_client_id, count(*) as addresses,
                row_number() over (order by count(*) desc, node_client_id) as rank
            from seen group by node_client_id order by rank limit $3
        )
        select (select count(distinct address_hash) from seen) as "addresses!",
            (
                select p.max_client_number from telecom.package_queue q
                join telecom.package p on p.id = q.package_id
                where q.user_id = $1 and q.status = 'active'
            ) as device_limit,
            array(select node_client_id from client order by rank) as "client_ids!",
            array(select addresses from client order by rank) as "client_addresses!""#,
        user, since, MAX_CLIENTS
    }

    fn delete_before(before: DateTime<Utc>) -> Changed {
        "/* online_address.delete */ delete from telecom.online_address where seen_at <= $1"
    }
}

/// The time after which a reported address counts at `now`.
#[must_use]
pub fn counted_since(now: DateTime<Utc>) -> DateTime<Utc> {
    now - SEEN
}

/// Records the addresses from which users are connected to a client of a server.
pub async fn record(
    connection: &mut Connection,
    node_client_id: i32,
    node_server_id: i32,
    connected: &[(i32, IpAddr)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let numbers = column(connected, |(number, _)| *number);
    let addresses = column(connected, |(_, address)| address.to_canonical().to_string());
    insert(
        connection,
        node_client_id,
        node_server_id,
        &numbers,
        &addresses,
        now,
    )
    .await
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

/// A page of the users who were connected within the last three minutes, those with the most
/// addresses first, then by number, and the totals of all of them.
pub async fn list(
    connection: &mut Connection,
    filter: Filter,
    page: Page,
    now: DateTime<Utc>,
) -> Result<(Vec<OnlineUser>, OnlineTotals), Error> {
    let found = find(connection, filter, now - SEEN, page).await?;
    let users = users(
        connection,
        &found.user_numbers,
        &found.user_addresses,
        &found.user_clients,
    );
    Ok((users.await?, found.totals()))
}

impl Found {
    fn totals(self) -> OnlineTotals {
        let figures = self.client_users.into_iter().zip(self.client_addresses);
        let clients = self.client_ids.into_iter().zip(figures);
        let clients = clients.map(|(node_client_id, (users, addresses))| OnlineClient {
            node_client_id,
            users,
            addresses,
        });
        OnlineTotals {
            users: self.users,
            addresses: self.addresses,
            client_count: self.client_count,
            clients: clients.collect(),
        }
    }
}

/// Counts the addresses from which a user was connected within the last three minutes.
pub async fn devices(
    connection: &mut Connection,
    user: Uuid,
    now: DateTime<Utc>,
) -> Result<OnlineDevices, Error> {
    let found = of_user(connection, user, now - SEEN).await?;
    let clients = found.client_ids.into_iter().zip(found.client_addresses);
    let clients = clients.map(|(node_client_id, addresses)| ClientDevices {
        node_client_id,
        addresses,
    });
    Ok(OnlineDevices {
        as_of: now,
        addresses: found.addresses,
        device_limit: found.device_limit,
        clients: clients.collect(),
    })
}

/// Deletes the addresses that no longer count. Returns their number.
pub async fn delete_old(connection: &mut Connection, now: DateTime<Utc>) -> Result<u64, Error> {
    delete_before(connection, now - SEEN).await
}
