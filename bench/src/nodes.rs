//! Nodes of a running system: how long pulls and pushes of 1,200 nodes take, and how long it takes
//! from a push that uses up a package to the pull that lacks its user.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use local::demo::node::{Call, HttpPanel, Program, Pull, Sender};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use shared::clock::{Clock as _, System};
use sqlx::PgPool;
use tokio::time::{Instant, sleep_until};

use crate::progress::step;
use crate::table::Table;

/// Nodes that push the traffic of all users of one list.
const NODES: i32 = 1_000;
/// Users in that list.
const USERS: i32 = 500;
/// Users in the long list.
const LONG_LIST: i32 = 30_000;
/// Nodes that push until a package is used up, one user after another.
const ENDING_NODES: i32 = 200;
/// Their users, and the intervals for which the nodes run.
const INTERVALS: i32 = 4;
const INTERVAL: Duration = Duration::from_mins(1);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Pulls of the long list.
const LONG_PULLS: u32 = 20;

/// Measures the system at `url`, whose database is `pool`, and returns the tables.
pub async fn measure(pool: &PgPool, url: &str, markdown: bool) -> Result<String> {
    let seeded = step("Adding nodes and users", seed(pool)).await?;
    let panel = HttpPanel::new(url);
    let mut durations = Durations::default();
    for _ in 0..LONG_PULLS {
        let took = pull(&panel, &seeded.long, None).await?.took;
        durations.long_list.push(took);
    }
    let began = Instant::now() + Duration::from_secs(1);
    let nodes = seeded.nodes.iter().enumerate().map(|(seed, sender)| {
        let (panel, sender) = (panel.clone(), sender.clone());
        let users = Arc::clone(&seeded.users);
        tokio::spawn(async move { load(&panel, &sender, &users, began, seed).await })
    });
    let ending = seeded.ending.into_iter().enumerate().map(|(seed, node)| {
        let panel = panel.clone();
        tokio::spawn(async move { end_packages(&panel, node, began, seed).await })
    });
    let (nodes, ending): (Vec<_>, Vec<_>) = (nodes.collect(), ending.collect());
    let run = async { Ok((join_all(nodes).await, join_all(ending).await)) };
    let (nodes, ending) = step("Running 1,200 nodes for six minutes", run).await?;
    for node in nodes {
        durations.add(node??);
    }
    let ending: Result<Vec<_>> = ending.into_iter().map(|node| node?).collect();
    let ended = ending?.into_iter().flatten().collect();
    let cut_off = step("Reading when packages ended", CutOff::of(pool, ended)).await?;
    Ok(format!(
        "{}\n{}",
        durations.table(markdown),
        cut_off.table(markdown)
    ))
}

/// Nodes and users that were added.
struct Seeded {
    nodes: Vec<Sender>,
    users: Arc<Vec<i32>>,
    long: Sender,
    ending: Vec<EndingNode>,
}

/// A node whose users' packages end, one after another.
struct EndingNode {
    sender: Sender,
    users: Vec<i32>,
}

async fn seed(pool: &PgPool) -> Result<Seeded> {
    let group: i32 = rand::rng().random_range(1_000_000..2_000_000_000);
    let users = Arc::new(users(pool, group, USERS, None).await?);
    let nodes = senders(pool, group, NODES).await?;
    self::users(pool, group + 1, LONG_LIST, None).await?;
    let mut long = senders(pool, group + 1, 1).await?;
    let mut ending = Vec::new();
    for number in 0..ENDING_NODES {
        let group = group + 2 + number;
        let users = self::users(pool, group, INTERVALS, Some(1_000_000)).await?;
        let sender = senders(pool, group, 1).await?.pop();
        let sender = sender.context("No node was added")?;
        ending.push(EndingNode { sender, users });
    }
    let long = long.pop().context("No node was added")?;
    Ok(Seeded {
        nodes,
        users,
        long,
        ending,
    })
}

/// Adds users with an active package of an access group. Returns their numbers.
async fn users(pool: &PgPool, group: i32, count: i32, limit: Option<i64>) -> Result<Vec<i32>> {
    let statement = "/* bench.add_users */
        with package as (
            insert into telecom.package (series, version, is_master, name, available_group,
                max_client_number, expire_duration_seconds, traffic_limit_bytes)
            values (gen_random_uuid(), 1, true, 'bench', $1, 3, 2592000, $3) returning id
        )
        insert into telecom.package_queue (user_id, package_id, status, activated_at, expires_at)
        select gen_random_uuid(), package.id, 'active', now(), now() + interval '30 days'
        from package, generate_series(1, $2)";
    let inserted = sqlx::query(statement).bind(group).bind(count).bind(limit);
    inserted.execute(pool).await?;
    let numbers = "/* bench.user_numbers */
        select u.number from telecom.package p
        join telecom.package_queue q on q.package_id = p.id
        join telecom.node_user u using (user_id)
        where p.available_group = $1 order by 1";
    Ok(sqlx::query_scalar(numbers)
        .bind(group)
        .fetch_all(pool)
        .await?)
}

/// Adds nodes that are open to an access group, each with an access.
async fn senders(pool: &PgPool, group: i32, count: i32) -> Result<Vec<Sender>> {
    let statement = "/* bench.add_nodes */
        with server as (
            insert into telecom.node_server (name, compatibility, server_config)
            select 'bench-' || $1 || '-' || n, 'new_v2b',
                '{\"protocol\":\"vless\",\"server_port\":443,\"network\":\"tcp\",\"tls\":0}'
            from generate_series(1, $2) n returning id
        ), client as (
            insert into telecom.node_client (node_server_id, name, traffic_factor, country,
                access_groups)
            select id, 'bench', 1, 'DE', array[$1] from server returning id, node_server_id
        )
        insert into telecom.node_access (token_hash, protocol, software, node_server_id,
            node_client_id, interval_seconds, client_timeout_seconds, created_at)
        select sha256(convert_to('bench-' || id, 'UTF8')), 'uniproxy', 'v2bx', node_server_id, id,
            60, 30, now()
        from client returning node_client_id";
    let nodes: Vec<i32> = sqlx::query_scalar(statement)
        .bind(group)
        .bind(count)
        .fetch_all(pool)
        .await?;
    let sender = |node: i32| Sender {
        program: Program::V2bx,
        token: format!("bench-{node}"),
        node,
    };
    Ok(nodes.into_iter().map(sender).collect())
}

struct Pulled {
    took: Duration,
    status: u16,
    tag: Option<String>,
    body: Vec<u8>,
}

async fn pull(panel: &HttpPanel, sender: &Sender, tag: Option<String>) -> Result<Pulled> {
    let call = sender.pull(Pull::Users, tag).context("No list to pull")?;
    let pulled = send(panel, call).await?;
    ensure!(
        [200, 304].contains(&pulled.status),
        "A pull was refused: {}",
        pulled.status
    );
    Ok(pulled)
}

async fn send(panel: &HttpPanel, call: Call) -> Result<Pulled> {
    let panel = panel.clone();
    let sent = move || {
        let began = Instant::now();
        let answer = panel.send(&call, TIMEOUT)?;
        Ok(Pulled {
            took: began.elapsed(),
            status: answer.status,
            tag: answer.tag,
            body: answer.body,
        })
    };
    tokio::task::spawn_blocking(sent).await?
}

/// Lets a node push the traffic of all users and pull the list, in each interval at times of its
/// own. Nothing changes the list, so the response to each later pull is 304.
async fn load(
    panel: &HttpPanel,
    sender: &Sender,
    users: &[i32],
    began: Instant,
    seed: usize,
) -> Result<Durations> {
    let mut rng = ChaCha8Rng::seed_from_u64(u64::try_from(seed)?);
    let mut durations = Durations::default();
    let phases = [(); 2].map(|()| rng.random_range(Duration::ZERO..INTERVAL));
    let mut tag = None;
    for interval in 0..=INTERVALS.unsigned_abs() {
        let [pull_at, push_at] = phases.map(|phase| began + INTERVAL * interval + phase);
        let rows = users.iter().map(|user| {
            let bytes = [rng.random_range(1..100_000), rng.random_range(1..1_000_000)];
            (*user, bytes)
        });
        let push = sender.push(&rows.collect(), &mut rng);
        let pulls = async {
            sleep_until(pull_at).await;
            pull(panel, sender, tag.clone()).await
        };
        let pushes = async {
            sleep_until(push_at).await;
            send(panel, push).await
        };
        let (pulled, accepted) = tokio::try_join!(pulls, pushes)?;
        ensure!(
            accepted.status == 200,
            "A push was refused: {}",
            accepted.status
        );
        durations.pushes.push(accepted.took);
        if pulled.status == 304 {
            durations.unchanged.push(pulled.took);
        } else {
            durations.lists.push(pulled.took);
        }
        tag = pulled.tag;
    }
    Ok(durations)
}

/// When a package ended, for the node and for the system.
struct Ended {
    user: i32,
    pushed_at: DateTime<Utc>,
    /// The first pull that lacked the user.
    lacked_at: DateTime<Utc>,
}

/// Lets a node use up the package of one user in each interval, and pull the list at another time
/// of the interval. Users that the last pull still has are left out.
async fn end_packages(
    panel: &HttpPanel,
    node: EndingNode,
    began: Instant,
    seed: usize,
) -> Result<Vec<Ended>> {
    let EndingNode { sender, users } = node;
    let mut rng = ChaCha8Rng::seed_from_u64(u64::try_from(seed)?);
    let [pull_at, push_at] = [(); 2].map(|()| began + rng.random_range(Duration::ZERO..INTERVAL));
    let pushes = async {
        let mut used_up = Vec::new();
        for (interval, user) in (0..).zip(&users) {
            sleep_until(push_at + INTERVAL * interval).await;
            let rows = [(*user, [0, 2_000_000])].into_iter().collect();
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            used_up.push((*user, System.now()));
            send(panel, sender.push(&rows, &mut rng)).await?;
        }
        Ok(used_up)
    };
    let pulls = async {
        let (mut lists, mut tag, mut last) = (Vec::new(), None, Vec::new());
        // The last package ends at most two intervals after the last push.
        for interval in 0..INTERVALS.unsigned_abs() + 2 {
            sleep_until(pull_at + INTERVAL * interval).await;
            let pulled = pull(panel, &sender, tag).await?;
            if pulled.status == 200 {
                last = numbers(&pulled.body)?;
            }
            tag = pulled.tag;
            lists.push((System.now(), last.clone()));
        }
        anyhow::Ok(lists)
    };
    let (used_up, lists) = tokio::try_join!(pushes, pulls)?;
    let ended = |(user, pushed_at): (i32, DateTime<Utc>)| {
        let lacking = lists
            .iter()
            .find(|(at, list)| *at > pushed_at && !list.contains(&user))?;
        Some(Ended {
            user,
            pushed_at,
            lacked_at: lacking.0,
        })
    };
    Ok(used_up.into_iter().filter_map(ended).collect())
}

fn numbers(body: &[u8]) -> Result<Vec<i32>> {
    let list: Value = serde_json::from_slice(body)?;
    let users = list.get("users").and_then(Value::as_array);
    let users = users.context("The list has no users")?;
    let number = |user: &Value| i32::try_from(user.get("id")?.as_i64()?).ok();
    Ok(users.iter().filter_map(number).collect())
}

#[derive(Default)]
struct Durations {
    pushes: Vec<Duration>,
    unchanged: Vec<Duration>,
    lists: Vec<Duration>,
    long_list: Vec<Duration>,
}

impl Durations {
    fn add(&mut self, other: Self) {
        self.pushes.extend(other.pushes);
        self.unchanged.extend(other.unchanged);
        self.lists.extend(other.lists);
    }

    fn table(self, markdown: bool) -> String {
        let mut table = Table::new(&["request of a node", "number", "p50 ms", "p99 ms"]);
        let rows = [
            ("push of 500 users", self.pushes),
            ("pull of an unchanged list", self.unchanged),
            ("first pull of 500 users", self.lists),
            ("pull of 30,000 users", self.long_list),
        ];
        for (name, durations) in rows {
            table.push(row(name, durations, 1_000.0));
        }
        table.write(markdown)
    }
}

/// How long each stage took, from a push that uses up a package.
#[derive(Default)]
struct CutOff {
    recorded: Vec<Duration>,
    ended: Vec<Duration>,
    waited: Vec<Duration>,
    total: Vec<Duration>,
}

impl CutOff {
    async fn of(pool: &PgPool, ended: Vec<Ended>) -> Result<Self> {
        let statement = "/* bench.stages */
            select n.number, r.received_at, q.ended_at
            from telecom.node_user n
            join telecom.package_queue q using (user_id)
            join telecom.traffic_usage t using (user_id)
            join telecom.usage_report r on r.seq = t.usage_report_seq
            where n.number = any($1)";
        let users: Vec<i32> = ended.iter().map(|ended| ended.user).collect();
        let times: Vec<(i32, DateTime<Utc>, DateTime<Utc>)> = sqlx::query_as(statement)
            .bind(users)
            .fetch_all(pool)
            .await?;
        let times: HashMap<i32, (DateTime<Utc>, DateTime<Utc>)> = times
            .into_iter()
            .map(|(user, recorded_at, ended_at)| (user, (recorded_at, ended_at)))
            .collect();
        let mut cut_off = Self::default();
        for Ended {
            user,
            pushed_at,
            lacked_at,
        } in ended
        {
            let (recorded_at, ended_at) = times.get(&user).context("A push is not recorded")?;
            let stages = [
                (&mut cut_off.recorded, *recorded_at - pushed_at),
                (&mut cut_off.ended, *ended_at - *recorded_at),
                (&mut cut_off.waited, lacked_at - *ended_at),
                (&mut cut_off.total, lacked_at - pushed_at),
            ];
            for (durations, took) in stages {
                durations.push(took.to_std().unwrap_or_default());
            }
        }
        Ok(cut_off)
    }

    fn table(self, markdown: bool) -> String {
        let head = format!("end of a package, of {}", ENDING_NODES * INTERVALS);
        let mut table = Table::new(&[&head, "number", "p50 s", "p99 s"]);
        let rows = [
            ("push until it is recorded", self.recorded),
            ("record until the package ends", self.ended),
            ("end until the next pull", self.waited),
            ("push until the pull that lacks the user", self.total),
        ];
        for (name, durations) in rows {
            table.push(row(name, durations, 1.0));
        }
        table.write(markdown)
    }
}

fn row(name: &str, mut durations: Vec<Duration>, per_second: f64) -> Vec<String> {
    durations.sort_unstable();
    let count = durations.len();
    let at = |percent: usize| {
        let position = (count * percent / 100).min(count.saturating_sub(1));
        let took = durations.get(position).copied().unwrap_or_default();
        format!("{:.1}", took.as_secs_f64() * per_second)
    };
    vec![name.to_owned(), count.to_string(), at(50), at(99)]
}
