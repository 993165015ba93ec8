//! What collectors and other publishers send.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::clock::Clock as _;
use uuid::Uuid;

use super::{Cast, Server, pushes};
use crate::cloud::queue::Origin;
use crate::ledger::{Charge, Line, Report};
use crate::random::Random;
use crate::run::{After, Run};

/// Collectors pause while more reports than this are waiting.
const BACKLOG: usize = 300;

/// Sends reports at the plan's pace until all lines are sent and the storm is over.
pub async fn report(run: Arc<Run>, mut random: Random) -> Result<()> {
    let began = Instant::now();
    while run.is_storm() {
        let sent = run.ledger.open().lines;
        let due = run
            .plan
            .lines_per_second
            .saturating_mul(began.elapsed().as_millis().try_into()?)
            / 1_000;
        if sent >= due || run.cloud.reports.length() > BACKLOG {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        send_report(&run, &mut random);
    }
    Ok(())
}

fn send_report(run: &Run, random: &mut Random) {
    let cast = run.cast();
    let archived = random.pick(&cast.archived).filter(|_| random.chance(40));
    let (server, (start, end)) = match (archived, random.pick(&cast.servers)) {
        (Some(archived), _) => (&archived.server, period_around(archived.at, random)),
        (None, Some(server)) => (server, period(run.clock.now(), random)),
        (None, None) => return,
    };
    let (wire, kept) = any_lines(&cast, server, random);
    let lines = kept.len();
    let id = random.uuid();
    let body = json!({
        "type": "usage.report.v1", "report_id": id, "server_id": server.id, "period_start": start,
            "period_end": end,
        "usage": wire, "metrics": {"cpu_percent": random.int(0..=100), "online_users": lines},
    });
    let report = Report {
        server: server.id,
        start,
        end,
        lines: kept,
        is_push: false,
        repeat: None,
        delivered: None,
        accepted: None,
    };
    {
        let mut books = run.ledger.open();
        books.lines += u64::try_from(lines).unwrap_or_default();
        books.reports.insert(id, report);
    }
    // Some collectors send over HTTPS.
    if server.is_lasting() && random.chance(200) {
        let content = json!({ "report": body });
        pushes::send(
            run,
            server.id,
            None,
            (random.uuid(), id),
            run.clock.now(),
            &content,
        );
        run.count("reports over HTTPS");
        return;
    }
    let text = body.to_string();
    if random.chance(80) {
        // The collector received no response and sends the report again.
        run.cloud
            .reports
            .send(text.clone(), Origin::Report(id), true, run.clock.now());
        run.count("reports sent twice");
    }
    // The report of a server that is archived may never be accepted.
    if server.is_lasting() && random.chance(5) {
        plant_other_payload(run, body, id);
    }
    run.cloud
        .reports
        .send(text, Origin::Report(id), true, run.clock.now());
}

/// Up to 500 lines, as the message and as the books have them. Some reports have none.
fn any_lines(cast: &Cast, server: &Server, random: &mut Random) -> (Vec<Value>, Vec<Line>) {
    let lines = if random.chance(60) {
        0
    } else {
        random.index(1..=500)
    };
    let mut wire = Vec::with_capacity(lines);
    let mut kept = Vec::with_capacity(lines);
    for _ in 0..lines {
        let (line, named) = any_line(cast, server, random);
        wire.push(if named {
            json!({"user": line.user, "node_client_id": line.client, "upload": line.upload,
                "download": line.download})
        } else {
            json!({"user": line.user, "upload": line.upload, "download": line.download})
        });
        kept.push(line);
    }
    (wire, kept)
}

/// A minute that has just ended by the collector's clock, or one that ended up to 10 hours ago.
fn period(now: DateTime<Utc>, random: &mut Random) -> (DateTime<Utc>, DateTime<Utc>) {
    let skew = TimeDelta::milliseconds(random.int(-200_000..=90_000));
    let late = if random.chance(60) {
        TimeDelta::minutes(random.int(30..=600))
    } else {
        TimeDelta::zero()
    };
    let end = now + skew - late;
    (end - TimeDelta::seconds(60), end)
}

/// A minute near the time at which a server was archived. Half of them begin before it.
fn period_around(at: DateTime<Utc>, random: &mut Random) -> (DateTime<Utc>, DateTime<Utc>) {
    let distance = match random.int(0..=3) {
        0 => TimeDelta::zero(),
        1 => TimeDelta::seconds(random.int(1..=60)),
        2 => TimeDelta::microseconds(-1),
        _ => TimeDelta::seconds(random.int(-600..=-1)),
    };
    let start = at + distance;
    (start, start + TimeDelta::seconds(60))
}

fn any_line(cast: &Cast, server: &Server, random: &mut Random) -> (Line, bool) {
    let oldest = server.clients.first().copied().unwrap_or_default();
    let named = random.chance(800);
    let nameable = if random.chance(30) && !server.ghosts.is_empty() {
        &server.ghosts
    } else {
        &server.clients
    };
    let client = if named {
        random.pick(nameable).copied().unwrap_or(oldest)
    } else {
        oldest
    };
    let most = random
        .pick(&[0, 3, 1_000, 2_000_000, 8_000_000, 20_000_000])
        .copied()
        .unwrap_or_default();
    let (upload, download) = (random.int(0..=most / 4 + 1), random.int(0..=most));
    (
        Line {
            user: cast.user(random),
            client,
            upload,
            download,
        },
        named,
    )
}

/// Plants the same id with another payload, to be sent after the first payload is accepted. It must
/// be refused.
fn plant_other_payload(run: &Run, mut body: Value, id: Uuid) {
    if let Some(usage) = body.get_mut("usage").and_then(Value::as_array_mut) {
        usage.push(json!({"user": Uuid::nil(), "upload": 1, "download": 1}));
    }
    let text = body.to_string();
    run.ledger
        .open()
        .poison
        .insert(text.clone(), "id used again");
    run.plant_after(After::Report(id), text);
}

/// Sends charges of other publishers and messages that no function can accept until the storm is
/// over.
pub async fn charge(run: Arc<Run>, mut random: Random) -> Result<()> {
    while run.is_storm() {
        tokio::time::sleep(random.millis(50..=400)).await;
        send_charges(&run, &mut random);
        if random.chance(120) {
            plant_poison(&run, &mut random);
        }
    }
    Ok(())
}

fn send_charges(run: &Run, random: &mut Random) {
    let cast = run.cast();
    let lasting: Vec<&Server> = cast
        .servers
        .iter()
        .filter(|server| server.is_lasting())
        .collect();
    let alone = random.chance(500);
    let number = if alone { 1 } else { random.index(1..=20) };
    let charges: Vec<Charge> = (0..number)
        .filter_map(|_| any_charge(run, &cast, &lasting, random))
        .collect();
    let id = random.uuid();
    let events: Vec<Value> = charges.iter().map(event).collect();
    // Without an event id, the message id is the idempotency key, so a redrive would charge again.
    let by_message_id = alone && random.chance(300);
    let body = match events.first() {
        Some(event) if alone => {
            let mut event = event.clone();
            if let (false, Some(fields)) = (by_message_id, event.as_object_mut()) {
                fields.insert("event_id".to_owned(), json!(id));
            }
            event
        }
        _ => json!({"batch_id": id, "events": events}),
    };
    run.ledger.open().charges.insert(id, charges);
    if !by_message_id && random.chance(100) {
        run.cloud.billing.send(
            body.to_string(),
            Origin::ThirdParty(id),
            true,
            run.clock.now(),
        );
    }
    run.cloud.billing.send(
        body.to_string(),
        Origin::ThirdParty(id),
        !by_message_id,
        run.clock.now(),
    );
    run.count("messages of other publishers");
}

fn any_charge(run: &Run, cast: &Cast, servers: &[&Server], random: &mut Random) -> Option<Charge> {
    let server = random.pick(servers)?;
    let client = if random.chance(500) {
        server.clients.first().copied()
    } else {
        None
    };
    let time = run.clock.now() - TimeDelta::seconds(random.int(0..=7_200));
    let (upload, download) = (random.int(0..=100_000), random.int(0..=3_000_000));
    Some(Charge {
        server: server.id,
        client,
        user: cast.user(random),
        time,
        upload,
        download,
    })
}

fn event(charge: &Charge) -> Value {
    json!({
        "server_id": charge.server, "node_client_id": charge.client, "user": charge.user,
        "time": charge.time.timestamp(), "billed_upload": charge.upload,
            "billed_download": charge.download,
    })
}

fn plant_poison(run: &Run, random: &mut Random) {
    let (user, id) = (random.uuid(), random.uuid());
    let now = run.clock.now();
    let report = |server: i64, kind: &str, upload: i64| {
        json!({
            "type": kind, "report_id": id, "server_id": server,
                "period_start": now - TimeDelta::seconds(60),
            "period_end": now, "usage": [{"user": user, "upload": upload, "download": 1}],
        })
        .to_string()
    };
    let charge = |upload: i64| {
        json!({"server_id": 1, "user": user, "time": now.timestamp(), "billed_upload": upload,
            "billed_download": 1})
        .to_string()
    };
    let (queue, what, body) = match random.int(0..=6) {
        0 => (
            &run.cloud.reports,
            "no such server",
            report(999_999, "usage.report.v1", 1),
        ),
        1 => (
            &run.cloud.reports,
            "negative bytes",
            report(1, "usage.report.v1", -1),
        ),
        2 => (
            &run.cloud.reports,
            "another type",
            report(1, "usage.report.v9", 1),
        ),
        3 => (&run.cloud.reports, "no JSON", format!("{{\"{id}")),
        4 => (&run.cloud.billing, "negative bytes", charge(-1)),
        5 => (&run.cloud.billing, "no JSON", format!("[{id}")),
        _ => (&run.cloud.expiring, "no JSON", format!("{id}")),
    };
    run.ledger.open().poison.insert(body.clone(), what);
    queue.send(body, Origin::Poison(what), false, now);
    run.count("poison messages");
}
