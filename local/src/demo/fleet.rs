//! The demo fleet, in memory and in the database. The same seed yields the same fleet.

use anyhow::{Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng;
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::types::Json;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::catalog::{
    ACCESS_GROUPS, CLIENTS_PER_SERVER, DEMO_QUEUE, FACTORS, LONGEST_QUEUE, MIX, ROUTE_CLASSES,
    SERIES, SERVERS, SITES, SPEED_LIMITS, USERS,
};
use super::node::program::Program;
use super::node_software;
use super::past::Past;

/// The user for demonstrations: a `Day` package of 20 GB is active, a `Week` and a `Month` package
/// are in the queue.
pub const DEMO_USER: Uuid = Uuid::from_u128(0xde30_0000_0000_4000_8000_0000_0000_0001);
/// The administrator, who owns no package.
pub const ADMIN: Uuid = Uuid::from_u128(0xad31_0000_0000_4000_8000_0000_0000_0001);

/// A node server and its clients. The last server of a fleet has no clients, so its traffic is
/// billed at factor 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Server {
    pub id: i32,
    pub name: String,
    /// ISO 3166-1 alpha-2 code.
    pub country: &'static str,
    pub location: &'static str,
    /// Ids of its clients, ascending.
    pub clients: Vec<i32>,
    /// What its nodes run. `None` if a collector reports for it.
    #[serde(skip)]
    pub program: Option<Program>,
    /// Configuration of its nodes.
    pub config: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    pub seed: u64,
    /// In ascending order of ids.
    pub servers: Vec<Server>,
    /// [`DEMO_USER`] comes first.
    pub users: Vec<Uuid>,
}

impl Fleet {
    /// Computes the fleet of `seed` without the database.
    #[must_use]
    pub fn plan(seed: u64) -> Self {
        let namespace = Uuid::new_v5(
            &Uuid::NAMESPACE_OID,
            format!("telecom-demo-{seed}").as_bytes(),
        );
        let user = |number: u32| Uuid::new_v5(&namespace, format!("user-{number}").as_bytes());
        let users = std::iter::once(DEMO_USER)
            .chain((1..USERS).map(user))
            .collect();
        Self {
            seed,
            servers: servers(),
            users,
        }
    }
}

fn servers() -> Vec<Server> {
    let mut next_client = 1;
    let layout = (1..=SERVERS)
        .zip(SITES.into_iter().cycle())
        .zip(CLIENTS_PER_SERVER.into_iter().cycle());
    let server =
        |((id, (country, location)), clients): ((i32, (&'static str, &'static str)), i32)| {
            let first = next_client;
            next_client += if id == SERVERS { 0 } else { clients };
            let name = format!("{}-{id:02}", country.to_lowercase());
            let program = node_software::program(id);
            Server {
                id,
                config: node_software::config(program, &name, id),
                name,
                country,
                location,
                clients: (first..next_client).collect(),
                program,
            }
        };
    layout.map(server).collect()
}

/// Inserts the fleet of `seed` into the database, unless it is there, and returns it. The users'
/// oldest packages are active since up to 55 minutes before `now`.
///
/// A fleet that is new also gets a past of `past_days` days, in the same transaction. Packages that
/// last a week or longer are then active for up to some weeks.
///
/// Servers and clients get ids from 1 on. Returns an error if these ids belong to another fleet.
pub async fn seed(pool: &PgPool, seed: u64, now: DateTime<Utc>, past_days: u16) -> Result<Fleet> {
    let fleet = Fleet::plan(seed);
    let mut tx = pool.begin().await?;
    sqlx::query(
        "/* demo.lock */ select pg_advisory_xact_lock(hashtextextended('telecom_demo_seed', 0))",
    )
    .execute(&mut *tx)
    .await?;
    let created_at = now - TimeDelta::days(i64::from(past_days) + 1);
    let is_new = insert_servers(&mut tx, &fleet, created_at).await? > 0;
    insert_clients(&mut tx, &fleet, created_at).await?;
    insert_packages(&mut tx, &fleet, created_at).await?;
    let past = Past {
        seed,
        now,
        days: past_days,
        servers: fleet.servers.len(),
        users: &fleet.users,
        series: (0..SERIES.len()).map(|s| series_id(&fleet, s)).collect(),
        admin: ADMIN,
    };
    // Before the items of the fleet, because users see their items in the order of ids.
    let reserved_from = if is_new && past_days > 0 {
        past.reserve_ids(&mut tx).await?
    } else {
        None
    };
    insert_items(&mut tx, &fleet, now).await?;
    if let Some(reserved_from) = reserved_from {
        past.write(&mut tx, reserved_from).await?;
    }
    tx.commit().await?;
    Ok(fleet)
}

/// Runs an insert whose rows are the JSON array `$1`, and whose `created_at` is `$2`. Returns the
/// number of inserted rows.
async fn insert(
    tx: &mut Transaction<'static, Postgres>,
    statement: &'static str,
    rows: &[impl Serialize + Sync],
    created_at: DateTime<Utc>,
) -> Result<u64> {
    let query = sqlx::query(statement).bind(Json(rows)).bind(created_at);
    Ok(query.execute(&mut **tx).await?.rows_affected())
}

/// Returns the number of servers that were not there.
async fn insert_servers(
    tx: &mut Transaction<'static, Postgres>,
    fleet: &Fleet,
    created_at: DateTime<Utc>,
) -> Result<u64> {
    let statement = "/* demo.insert_servers */
        insert into telecom.node_server (id, name, compatibility, server_config, created_at)
        select id, name, (case when id % 3 = 0 then 'ssp'
        else 'new_v2b' end)::telecom.node_server_compatibility, config, $2
        from jsonb_to_recordset($1) as s (id int, name text, config jsonb)
        on conflict (id) do nothing";
    let inserted = insert(tx, statement, &fleet.servers, created_at).await?;
    let foreign: i64 = sqlx::query_scalar(
        "/* demo.foreign_servers */
        select count(*) from jsonb_to_recordset($1) as s (id int, name text)
        join telecom.node_server n using (id)
        where n.name <> s.name",
    )
    .bind(Json(&fleet.servers))
    .fetch_one(&mut **tx)
    .await?;
    if foreign > 0 && inserted > 0 {
        bail!(
            "The database already has other servers with the demo fleet's ids. Use an empty \
             database."
        );
    }
    advance_ids(tx, "telecom.node_server", inserted).await?;
    Ok(inserted)
}

async fn insert_clients(
    tx: &mut Transaction<'static, Postgres>,
    fleet: &Fleet,
    created_at: DateTime<Utc>,
) -> Result<()> {
    let statement = "/* demo.insert_clients */
        insert into telecom.node_client (id, node_server_id, name, traffic_factor, display_order,
            speed_limit_bits_per_second, country, location, route_class, access_groups,
            created_at)
        select id, server, name, factor / 10000.0, (id * 37) % 100, speed, country, location,
            route, groups, $2
        from jsonb_to_recordset($1) as c (id int, server int, name text, factor bigint,
            speed bigint, country text, location text, route text, groups int[])
        on conflict (id) do nothing";
    let (mut factors, mut speeds) = (FACTORS.iter().cycle(), SPEED_LIMITS.iter().cycle());
    let (mut routes, mut groups) = (ROUTE_CLASSES.iter().cycle(), ACCESS_GROUPS.iter().cycle());
    let mut clients = Vec::new();
    for server in &fleet.servers {
        for id in &server.clients {
            clients.push(json!({
                "id": id,
                "server": server.id,
                "name": format!("{} {} #{id}", server.country, server.location),
                "factor": factors.next(),
                "speed": speeds.next(),
                "country": server.country,
                "location": server.location,
                "route": routes.next(),
                "groups": groups.next(),
            }));
        }
    }
    let inserted = insert(tx, statement, &clients, created_at).await?;
    advance_ids(tx, "telecom.node_client", inserted).await
}

/// The rows were inserted with explicit ids, so the sequence must advance past them.
async fn advance_ids(
    tx: &mut Transaction<'static, Postgres>,
    table: &str,
    inserted: u64,
) -> Result<()> {
    if inserted > 0 {
        let statement = format!(
            "/* demo.advance_ids */ select setval(pg_get_serial_sequence('{table}', 'id'), \
             max(id)) from {table}"
        );
        sqlx::query(&statement).execute(&mut **tx).await?;
    }
    Ok(())
}

fn series_id(fleet: &Fleet, series: usize) -> Uuid {
    Uuid::new_v5(
        &Uuid::NAMESPACE_OID,
        format!("telecom-demo-{}-series-{series}", fleet.seed).as_bytes(),
    )
}

async fn insert_packages(
    tx: &mut Transaction<'static, Postgres>,
    fleet: &Fleet,
    created_at: DateTime<Utc>,
) -> Result<()> {
    let statement = "/* demo.insert_packages */
        insert into telecom.package (series, version, is_master, name, available_group,
            max_client_number, expire_duration_seconds, traffic_limit_bytes, created_at)
        select p.*, $2 from jsonb_to_recordset($1) as p (series uuid, version int, is_master bool,
            name text, available_group int, max_clients int, seconds bigint, bytes bigint)
        on conflict (series, version) do nothing";
    let mut packages = Vec::new();
    for (index, series) in SERIES.iter().enumerate() {
        for version in 1..=series.versions {
            packages.push(json!({
                "series": series_id(fleet, index),
                "version": version,
                "is_master": version == series.versions,
                "name": series.name,
                "available_group": series.group,
                "max_clients": series.max_clients,
                "seconds": series.seconds,
                "bytes": series.bytes / 10 * i64::from(10 - (series.versions - version)),
            }));
        }
    }
    insert(tx, statement, &packages, created_at).await?;
    Ok(())
}

#[derive(Serialize)]
struct Item {
    user_id: Uuid,
    series: Uuid,
    version: i32,
    by_order: Uuid,
    created_at: DateTime<Utc>,
    /// `None` if it is waiting.
    activated_at: Option<DateTime<Utc>>,
}

fn items(fleet: &Fleet, now: DateTime<Utc>) -> Vec<Item> {
    let mut rng = ChaCha8Rng::seed_from_u64(fleet.seed);
    fleet
        .users
        .iter()
        .flat_map(|&user| queue(fleet, user, now, &mut rng))
        .collect()
}

fn queue(fleet: &Fleet, user: Uuid, now: DateTime<Utc>, rng: &mut ChaCha8Rng) -> Vec<Item> {
    let series: Vec<usize> = if user == DEMO_USER {
        DEMO_QUEUE.to_vec()
    } else {
        let length = rng.random_range(1..=LONGEST_QUEUE);
        (0..length)
            .filter_map(|_| MIX.choose(rng).copied())
            .collect()
    };
    // One-hour packages then expire at different times, from the first minutes on.
    let active_minutes = if user == DEMO_USER {
        0
    } else {
        rng.random_range(0..=55)
    };
    let first_bought_at = now - TimeDelta::days(2);
    let item = |(position, index): (i64, usize)| Item {
        user_id: user,
        series: series_id(fleet, index),
        version: SERIES
            .get(index)
            .map_or(1, |series| rng.random_range(1..=series.versions)),
        by_order: Uuid::new_v5(
            &user,
            format!("telecom-demo-{}-order-{position}", fleet.seed).as_bytes(),
        ),
        created_at: first_bought_at + TimeDelta::minutes(position),
        activated_at: (position == 0).then(|| now - TimeDelta::minutes(active_minutes)),
    };
    (0..).zip(series).map(item).collect()
}

async fn insert_items(
    tx: &mut Transaction<'static, Postgres>,
    fleet: &Fleet,
    now: DateTime<Utc>,
) -> Result<()> {
    let statement = "/* demo.insert_items */
        insert into telecom.package_queue
            (user_id, package_id, by_order, created_at, status, activated_at, expires_at)
        select i.user_id, p.id, i.by_order, i.created_at,
            (case when i.activated_at is null then 'in_queue'
            else 'active' end)::telecom.package_queue_status,
            i.activated_at, i.activated_at + make_interval(secs => p.expire_duration_seconds)
        from jsonb_to_recordset($1) as i (user_id uuid, series uuid, version int, by_order uuid,
            created_at timestamptz, activated_at timestamptz)
        join telecom.package p on p.series = i.series and p.version = i.version
        -- Who owns anything was seeded before, or is not ours to give to.
        where not exists (select from telecom.package_queue q where q.user_id = i.user_id)
        order by i.created_at, i.user_id";
    let items = items(fleet, now);
    let query = sqlx::query(statement).bind(Json(items));
    query.execute(&mut **tx).await?;
    Ok(())
}
