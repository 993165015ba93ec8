//! Sets up servers and packages, deletes servers and clients by hand, and changes factors by hand.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use sqlx::Executor as _;

use super::{Cast, GROUP, Server, any_factor, fleet};
use crate::random::Random;
use crate::run::Run;

/// The factor at which lines of deleted clients are released, in ten-thousandths.
pub const RELEASE_FACTOR: i64 = 15_000;

/// Adds the initial servers and the packages.
pub async fn set_up(run: &Run, cast: &Cast, random: &mut Random) -> Result<()> {
    for server in &cast.servers {
        add_server(run, server, random).await?;
    }
    add_packages(run, cast).await?;
    // The ids of calls begin after those of the rows that were inserted by hand.
    run.operator
        .until_done(async |connection| {
            let sql = "select setval('telecom.node_server_id_seq', 1000), \
                setval('telecom.node_client_id_seq', 1000)";
            connection.execute(sql).await
        })
        .await?;
    Ok(())
}

async fn add_packages(run: &Run, cast: &Cast) -> Result<()> {
    run.operator
        .until_done(async |connection| {
            sqlx::query(
                "insert into telecom.package (id, series, version, is_master, name,
                    available_group, max_client_number, expire_duration_seconds,
                    traffic_limit_bytes)
                 select n, s, 1, true, 'p' || n, case when n % 4 = 0 then $2 + 1 else $2 end, 3,
                    (array[600, 1800, 3600, 10800])[n % 4 + 1],
                    (array[20, 60, 200, 500, 1500])[n % 5 + 1] * 1000000::bigint
                 from unnest($1::uuid[]) with ordinality as series (s, n) on conflict do nothing",
            )
            .bind(&cast.series)
            .bind(GROUP)
            .execute(connection)
            .await
        })
        .await?;
    Ok(())
}

async fn add_server(run: &Run, server: &Server, random: &mut Random) -> Result<()> {
    let factors: Vec<(i32, i64)> = server
        .clients
        .iter()
        .map(|&client| (client, any_factor(random)))
        .collect();
    for &(client, factor) in &factors {
        run.ledger.open().factor_begins(client, factor);
    }
    let id = server.id;
    run.operator
        .until_done(async |connection| {
            sqlx::query(
                "insert into telecom.node_server (id, name, compatibility) values ($1, 's' || $1,
                'new_v2b')
                on conflict do nothing",
            )
            .bind(id)
            .execute(&mut *connection)
            .await?;
            for (client, factor) in &factors {
                sqlx::query(
                    "insert into telecom.node_client (id, node_server_id, name, traffic_factor,
                    country)
                    values ($1, $2, 'c' || $1, $3::bigint / 10000.0, 'DE') on conflict do nothing",
                )
                .bind(client)
                .bind(id)
                .bind(factor)
                .execute(&mut *connection)
                .await?;
            }
            Ok(())
        })
        .await?;
    Ok(())
}

/// How often servers and clients were changed.
pub const STEPS: &str = "changes of the fleet";
/// What [`live`] does first, so that a short run has some of each.
const FIRST: [i64; 7] = [6, 1, 19, 4, 9, 11, 3];

/// Changes factors, and creates, archives and deletes servers and clients, until the storm is over.
pub async fn live(run: Arc<Run>, mut random: Random) -> Result<()> {
    let mut first = FIRST.into_iter();
    while run.is_storm() {
        tokio::time::sleep(random.millis(200..=900)).await;
        let what = random.int(0..=19);
        run.count(STEPS);
        match first.next().unwrap_or(what) {
            0 => replace_server(&run, &mut random).await?,
            1..=2 => fleet::archive_server(&run, &mut random).await,
            3 => delete_client(&run, &mut random).await?,
            4..=5 => fleet::archive_client(&run, &mut random).await,
            6..=7 => fleet::add_client(&run, &mut random).await,
            8 => release(&run).await?,
            9..=10 => fleet::rename_server(&run, &mut random).await,
            11..=12 => change_factor(&run, &mut random).await?,
            _ => fleet::change_factor(&run, &mut random).await,
        }
    }
    Ok(())
}

async fn change_factor(run: &Run, random: &mut Random) -> Result<()> {
    let Some(client) = run.cast().client(random) else {
        return Ok(());
    };
    let factor = any_factor(random);
    run.ledger.open().factor_begins(client, factor);
    run.operator
        .until_done(async |connection| {
            sqlx::query(
                "update telecom.node_client set traffic_factor = $2::bigint / 10000.0 \
                where id = $1",
            )
            .bind(client)
            .bind(factor)
            .execute(connection)
            .await
        })
        .await?;
    run.ledger.open().factor_changed(client);
    run.count("factors changed by hand");
    Ok(())
}

/// Replaces a server. The old server stops and is deleted by hand as soon as all its reports are
/// accepted, when most of them are not billed yet.
async fn replace_server(run: &Run, random: &mut Random) -> Result<()> {
    let Some(old) = fleet::replace(run, random).await else {
        return Ok(());
    };
    until_accepted(run, |report| report.server == old.id).await;
    let id = old.id;
    let clients = [old.clients, old.ghosts].concat();
    run.ledger.open().deleted_servers.insert(id, clients);
    run.operator
        .until_done(async |connection| {
            let sql = format!(
                "delete from telecom.node_client where node_server_id = {id}; delete \
                 from telecom.node_server where id = {id}"
            );
            connection.execute(sqlx::raw_sql(&sql)).await
        })
        .await?;
    run.count("servers deleted by hand");
    Ok(())
}

/// Deletes a client that is not the oldest of its server. Reports continue to name the client.
async fn delete_client(run: &Run, random: &mut Random) -> Result<()> {
    let Some(client) = fleet::take_younger_client(run, random) else {
        return Ok(());
    };
    run.ledger.open().client_deletion_begins(client);
    run.operator
        .until_done(async |connection| {
            sqlx::query("delete from telecom.node_client where id = $1")
                .bind(client)
                .execute(connection)
                .await
        })
        .await?;
    run.ledger.open().client_deleted(client);
    run.count("clients deleted by hand");
    Ok(())
}

/// Releases the quarantined lines of deleted clients, which are billed at [`RELEASE_FACTOR`].
pub async fn release(run: &Run) -> Result<()> {
    run.operator
        .until_done(async |connection| {
            sqlx::query(
                "select telecom.release_quarantined_report(usage_report_seq, 'chaos',
                $1::bigint / 10000.0)
                 from telecom.quarantined_report where released_at is null",
            )
            .bind(RELEASE_FACTOR)
            .execute(connection)
            .await
        })
        .await?;
    run.count("releases");
    Ok(())
}

async fn until_accepted(run: &Run, is_relevant: impl Fn(&crate::ledger::Report) -> bool) {
    while run
        .ledger
        .open()
        .reports
        .values()
        .any(|report| report.accepted.is_none() && is_relevant(report))
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
