//! What the functions for nodes put on the queue `node-usage`: pushes of node software, some of
//! them repeated, and reports of collectors.

use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::clock::Clock as _;
use uuid::Uuid;

use super::Server;
use crate::cloud::queue::Origin;
use crate::ledger::{Line, Report};
use crate::random::Random;
use crate::run::Run;

/// Interval of the pushes of a node.
const INTERVAL: TimeDelta = TimeDelta::seconds(60);
/// A number that no user has.
const UNKNOWN: i32 = 2_000_000_000;

/// Lets each lasting server push once per interval until the storm is over.
pub async fn push(run: Arc<Run>, mut random: Random) -> Result<()> {
    let interval = INTERVAL.to_std()? / u32::try_from(run.plan.speed)?;
    while run.is_storm() {
        tokio::time::sleep(interval).await;
        let users: Vec<(i32, Uuid)> = run
            .operator
            .until_done(async |connection| {
                sqlx::query_as("select number, user_id from telecom.node_user order by number")
                    .fetch_all(connection)
                    .await
            })
            .await?;
        for server in run.cast().servers.iter().filter(|one| one.is_lasting()) {
            send_push(&run, server, &users, &mut random);
        }
    }
    Ok(())
}

fn send_push(run: &Run, server: &Server, users: &[(i32, Uuid)], random: &mut Random) {
    let Some(client) = server.clients.first().copied() else {
        return;
    };
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    // Each user at most once, by ascending number.
    for (number, user) in users {
        if !random.chance(30) {
            continue;
        }
        let (upload, download) = (random.int(0..=100_000), random.int(1..=1_000_000));
        rows.push((*number, upload, download));
        lines.push(Line {
            user: *user,
            client,
            upload,
            download,
        });
    }
    if random.chance(100) {
        rows.push((UNKNOWN, 1, 1));
    }
    if lines.is_empty() {
        return;
    }
    let arrived_at = run.clock.now();
    let (id, repeat) = (random.uuid(), random.chance(200).then(|| random.uuid()));
    let report = Report {
        server: server.id,
        start: arrived_at,
        end: arrived_at,
        lines,
        is_push: true,
        repeat,
        delivered: None,
        accepted: None,
    };
    {
        let mut books = run.ledger.open();
        books.lines += u64::try_from(report.lines.len()).unwrap_or_default();
        books.reports.insert(id, report);
    }
    let push = json!({ "push": { "rows": rows } });
    send(run, server.id, Some(client), (id, id), arrived_at, &push);
    if let Some(repeat) = repeat {
        // The node got no response, and pushes the same again.
        let again_at = arrived_at + TimeDelta::seconds(random.int(1..=40));
        send(run, server.id, Some(client), (repeat, id), again_at, &push);
        run.count("pushes repeated");
    }
    run.count("pushes of nodes");
}

/// Sends what a function for nodes received. `ids` are those of the message and of the report in
/// the books.
pub fn send(
    run: &Run,
    server: i32,
    client: Option<i32>,
    (id, report): (Uuid, Uuid),
    arrived_at: DateTime<Utc>,
    content: &Value,
) {
    let body = json!({
        "type": "node.usage.v1", "push_id": id, "access_id": server, "server_id": server,
        "node_client_id": client, "arrived_at": arrived_at, "interval_seconds": 60,
        "client_timeout_seconds": 30, "resends_larger": true, "content": content,
    });
    let origin = Origin::Report(report);
    let queue = &run.cloud.node_usage;
    queue.send(body.to_string(), origin, true, run.clock.now());
}
