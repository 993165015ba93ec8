//! Sets up, deletes and replaces servers and clients, and changes their factors.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use sqlx::Executor as _;

use super::{Cast, Server, any_factor};
use crate::random::Random;
use crate::run::Run;

/// The factor at which lines of deleted clients are released, in ten-thousandths.
pub const RELEASE_FACTOR: i64 = 15_000;

/// Adds the initial servers and the packages.
pub async fn set_up(run: &Run, cast: &Cast, random: &mut Random) -> Result<()> {
    for server in &cast.servers {
        add_server(run, server, random).await?;
    }
    run.operator
        .until_done(async |connection| {
            connection
                .execute(
                    "insert into telecom.package (id, series, version, name, available_group,
                    max_client_number,
                        expire_duration_seconds, traffic_limit_bytes)
                     select n, gen_random_uuid(), 1, 'p' || n, 1, 3, (array[600, 1800, 3600,
                     10800])[n % 4 + 1],
                        (array[20, 60, 200, 500, 1500])[n % 5 + 1] * 1000000::bigint
                     from generate_series(1, 20) n on conflict do nothing",
                )
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

/// Changes factors, deletes clients and servers, and adds servers, until the storm is over.
pub async fn live(run: Arc<Run>, mut random: Random) -> Result<()> {
    let mut next_server = super::SERVERS + 1;
    while run.is_storm() {
        tokio::time::sleep(random.millis(500..=2_500)).await;
        match random.int(0..=9) {
            0 => {
                replace_server(&run, next_server, &mut random).await?;
                next_server += 1;
            }
            1 => delete_client(&run, &mut random).await?,
            2 => release(&run).await?,
            _ => change_factor(&run, &mut random).await?,
        }
    }
    Ok(())
}

async fn change_factor(run: &Run, random: &mut Random) -> Result<()> {
    let cast = run.cast();
    let clients: Vec<i32> = cast
        .servers
        .iter()
        .flat_map(|server| server.clients.iter().copied())
        .collect();
    let Some(&client) = random.pick(&clients) else {
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
    run.count("factor changes");
    Ok(())
}

/// Replaces a server. The old server stops and is deleted as soon as all its reports are accepted,
/// when most of them are not billed yet.
async fn replace_server(run: &Run, next: i32, random: &mut Random) -> Result<()> {
    let candidates: Vec<Server> = run
        .cast()
        .servers
        .into_iter()
        .filter(|server| !server.is_lasting())
        .collect();
    let Some(old) = random.pick(&candidates).cloned() else {
        return Ok(());
    };
    let new = Server::new(next, random);
    add_server(run, &new, random).await?;
    run.change_cast(|cast| {
        cast.servers.retain(|server| server.id != old.id);
        cast.servers.push(new.clone());
    });
    until_accepted(run, |report| report.server == old.id).await;
    let id = old.id;
    run.operator
        .until_done(async |connection| {
            let sql = format!(
                "delete from telecom.node_client where node_server_id = {id}; delete \
                 from telecom.node_server where id = {id}"
            );
            connection.execute(sqlx::raw_sql(&sql)).await
        })
        .await?;
    run.count("servers deleted");
    Ok(())
}

/// Deletes a client that is not the oldest of its server. Reports continue to name the client.
async fn delete_client(run: &Run, random: &mut Random) -> Result<()> {
    let younger = |server: Server| server.clients.into_iter().skip(1);
    let clients: Vec<i32> = run.cast().servers.into_iter().flat_map(younger).collect();
    let Some(&client) = random.pick(&clients) else {
        return Ok(());
    };
    run.change_cast(|cast| {
        for server in cast
            .servers
            .iter_mut()
            .filter(|server| server.clients.contains(&client))
        {
            server.clients.retain(|&id| id != client);
            server.ghosts.push(client);
        }
    });
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
    run.count("clients deleted");
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
