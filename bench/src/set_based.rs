//! The set-based way of the best panels, as another reference: usage is added to hourly rows and to
//! the counters of users, by one statement each for a batch. It keeps neither raw rows nor what is
//! needed to record a repeated report once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;

use crate::database::{Database, flush_statistics, run};
use crate::fleet;
use crate::reference::{Measured, check};
use crate::workload::Row;

/// Numbers of connections and of rows per transaction that are tried. The fastest one counts.
const WAYS: [(usize, usize); 4] = [(1, 10_000), (4, 10_000), (1, 1_000), (4, 1_000)];
/// How often a transaction runs that is the victim of a deadlock. The update of users takes locks
/// in the order of its plan.
const ATTEMPTS: usize = 10;

const TABLES: &str = "
drop table if exists public.set_user, public.set_usage;
create table public.set_user (
    id integer primary key, uuid uuid not null unique, used_traffic bigint not null default 0,
    data_limit bigint not null default 107374182400, status smallint not null default 1,
    expired_at timestamptz, online_at timestamptz
) with (fillfactor = 45);
create table public.set_usage (
    created_at timestamptz not null, user_id integer not null, node_id integer not null,
    used_traffic bigint not null, unique (created_at, user_id, node_id)
) with (fillfactor = 45)";

const USERS: &str = "insert into public.set_user (id, uuid) select n - 1, id \
    from unnest($1::uuid[]) with ordinality as u (id, n)";

const ADD_USAGE: &str = "
insert into public.set_usage as s (created_at, user_id, node_id, used_traffic)
select date_trunc('hour', now()), * from unnest($1::int[], $2::int[], $3::bigint[])
on conflict (created_at, user_id, node_id) do update
    set used_traffic = s.used_traffic + excluded.used_traffic";

const ADD_TO_USERS: &str = "
update public.set_user s set used_traffic = s.used_traffic + n.used_traffic, online_at = now()
from (
    select user_id, sum(used_traffic)::bigint as used_traffic
    from unnest($1::int[], $2::bigint[]) as n (user_id, used_traffic) group by user_id
) n
where s.id = n.user_id";

const RECORDED: &str = "select $1, (sum(used_traffic))::bigint from public.set_usage";

/// One number of connections and size of transactions.
#[derive(Debug)]
struct Way {
    connections: Vec<PgConnection>,
    batch: usize,
    time: Duration,
}

/// All ways, one after the other on the same tables.
#[derive(Debug)]
pub struct SetBased {
    ways: Vec<Way>,
    rows: Vec<Row>,
}

impl SetBased {
    pub async fn start(database: &Database) -> Result<Self> {
        let mut connection = database.connect().await?;
        run(&mut connection, TABLES).await?;
        sqlx::query(USERS)
            .bind(fleet::user_ids())
            .execute(&mut connection)
            .await?;
        run(&mut connection, "vacuum analyze public.set_user").await?;
        let mut ways = Vec::new();
        for (count, batch) in WAYS {
            let mut connections = Vec::new();
            for _ in 0..count {
                connections.push(database.connect().await?);
            }
            ways.push(Way {
                connections,
                batch,
                time: Duration::ZERO,
            });
        }
        Ok(Self {
            ways,
            rows: Vec::new(),
        })
    }

    /// Adds the rows of a minute once in each way.
    pub async fn add(&mut self, rows: &[Row]) -> Result<()> {
        for way in &mut self.ways {
            way.add(rows).await?;
        }
        self.rows.extend_from_slice(rows);
        Ok(())
    }

    /// Checks the recorded bytes and returns the measurement of the fastest way.
    pub async fn finish(mut self) -> Result<Measured> {
        let connection = self
            .ways
            .iter_mut()
            .find_map(|way| way.connections.first_mut());
        let recorded = self.rows.repeat(WAYS.len());
        let sums = RECORDED.replace("$1", &format!("{}::bigint", recorded.len()));
        check(
            connection.context("There is no connection.")?,
            &sums,
            &recorded,
        )
        .await
        .context("The set-based way")?;
        let time = self.ways.iter().map(|way| way.time).min();
        Ok(Measured {
            rows: self.rows.len(),
            time: time.unwrap_or_default(),
        })
    }
}

impl Way {
    async fn add(&mut self, rows: &[Row]) -> Result<()> {
        let began = Instant::now();
        let count = self.connections.len();
        let mut workers = JoinSet::new();
        for (number, mut connection) in self.connections.drain(..).enumerate() {
            let batches = rows.chunks(self.batch).skip(number).step_by(count);
            let batches: Vec<Vec<Row>> = batches.map(<[Row]>::to_vec).collect();
            workers.spawn(async move {
                for mut batch in batches {
                    batch.sort_unstable_by_key(|row| (row.device.user, row.device.client_id));
                    add_batch(&mut connection, &batch).await?;
                }
                anyhow::Ok(connection)
            });
        }
        while let Some(worker) = workers.join_next().await {
            self.connections
                .push(worker.context("A worker panicked.")??);
        }
        self.time += began.elapsed();
        for connection in &mut self.connections {
            flush_statistics(connection).await?;
        }
        Ok(())
    }
}

async fn add_batch(connection: &mut PgConnection, batch: &[Row]) -> Result<()> {
    for attempt in 1.. {
        match try_batch(connection, batch).await {
            Err(error) if attempt < ATTEMPTS && is_deadlock(&error) => {}
            done => return Ok(done?),
        }
    }
    Ok(())
}

async fn try_batch(connection: &mut PgConnection, batch: &[Row]) -> sqlx::Result<()> {
    let users: Vec<i32> = batch.iter().map(|row| row.device.user).collect();
    let nodes: Vec<i32> = batch.iter().map(|row| row.device.client_id).collect();
    let bytes: Vec<i64> = batch.iter().map(|row| row.upload + row.download).collect();
    let mut tx = connection.begin().await?;
    sqlx::query(ADD_USAGE)
        .bind(&users)
        .bind(&nodes)
        .bind(&bytes)
        .execute(&mut *tx)
        .await?;
    sqlx::query(ADD_TO_USERS)
        .bind(&users)
        .bind(&bytes)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

fn is_deadlock(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.as_deref() == Some("40P01")
}
