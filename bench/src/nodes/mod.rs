//! Nodes of a running system: how long it takes from a push that uses up a package to the pull that
//! lacks its user, and how long the pulls and pushes of 1,000 nodes take.

mod copies;
mod cut_off;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use local::demo::node::{Call, HttpPanel, Program, Pull, Sender};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sqlx::PgPool;
use tokio::time::{Instant, sleep_until};

use crate::cli::Cli;
use crate::percentile::percentile;
use crate::progress::step;
use crate::table::Table;
use copies::{Copies, Queue};
use cut_off::end_packages;

/// Nodes that push the traffic of all users of one list.
const NODES: i32 = 1_000;
/// Users in that list.
const USERS: i32 = 500;
/// Users in the long list.
const LONG_LIST: i32 = 30_000;
/// Nodes that push until a package is used up, one user after another.
const ENDING_NODES: i32 = 200;
/// Their users, and the intervals for which the nodes run.
const INTERVALS: i32 = 3;
const INTERVAL: Duration = Duration::from_mins(1);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Pulls of the long list.
const LONG_PULLS: u32 = 20;

/// Measures the running system whose database is that of `cli`, and returns the tables.
///
/// The pushes that use up packages go to the queue of the system, which bills them. Those of the
/// 1,000 nodes go to a queue that only keeps them, unless they go through the emulator: its queue
/// would take most of the time.
pub async fn measure(cli: &Cli) -> Result<String> {
    let pool = PgPool::connect(&cli.database_url).await?;
    let seeded = step("Adding nodes and users", seed(&pool)).await?;
    let system = Target::new(cli, Some(Queue { aws: &cli.aws })).await?;
    let ends = end_packages(&pool, &system.panel, seeded.ending);
    let cut_off = step("Ending 600 packages of 200 nodes, in five minutes", ends).await?;
    drop(system);
    let target = Target::new(cli, None).await?;
    let mut durations = Durations::default();
    for _ in 0..LONG_PULLS {
        let took = pull(&target.panel, &seeded.long, None).await?.took;
        durations.long_list.push(took);
    }
    let loads = load(&target.panel, seeded.nodes, &seeded.users);
    durations.add(step("Running 1,000 nodes for four minutes", loads).await?);
    if let Some(copies) = target.copies {
        let (kept, pushes) = (copies.kept_reports()?, durations.pushes.len());
        ensure!(
            kept == pushes,
            "{kept} of {pushes} pushes reached the queue"
        );
    }
    Ok(format!(
        "{}\n{}",
        durations.table(cli.markdown),
        cut_off.table(cli.markdown)
    ))
}

/// Where nodes send their requests.
struct Target {
    panel: HttpPanel,
    /// `None` if the requests go through the emulator.
    copies: Option<Copies>,
}

impl Target {
    async fn new(cli: &Cli, queue: Option<Queue<'_>>) -> Result<Self> {
        if let Some(url) = &cli.through {
            let panel = HttpPanel::new(url);
            return Ok(Self {
                panel,
                copies: None,
            });
        }
        let copies = Copies::start(cli, queue).await?;
        Ok(Self {
            panel: HttpPanel::new(&copies.url()),
            copies: Some(copies),
        })
    }
}

/// Runs all nodes at once.
async fn load(panel: &HttpPanel, nodes: Vec<Sender>, users: &Arc<Vec<i32>>) -> Result<Durations> {
    let began = Instant::now() + Duration::from_secs(1);
    let nodes = nodes.into_iter().enumerate().map(|(seed, sender)| {
        let (panel, users) = (panel.clone(), Arc::clone(users));
        tokio::spawn(async move { load_one(&panel, &sender, &users, began, seed).await })
    });
    let mut durations = Durations::default();
    for node in join_all(nodes.collect::<Vec<_>>()).await {
        durations.add(node??);
    }
    Ok(durations)
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

async fn push(panel: &HttpPanel, call: Call) -> Result<Duration> {
    let pushed = send(panel, call).await?;
    ensure!(
        pushed.status == 200,
        "A push was refused: {} {}",
        pushed.status,
        String::from_utf8_lossy(&pushed.body)
    );
    Ok(pushed.took)
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
async fn load_one(
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
        let call = sender.push(&rows.collect(), &mut rng);
        let pulls = async {
            sleep_until(pull_at).await;
            pull(panel, sender, tag.clone()).await
        };
        let pushes = async {
            sleep_until(push_at).await;
            push(panel, call).await
        };
        let (list, push) = tokio::try_join!(pulls, pushes)?;
        durations.pushes.push(push);
        if list.status == 304 {
            durations.unchanged.push(list.took);
        } else {
            durations.lists.push(list.took);
        }
        tag = list.tag;
    }
    Ok(durations)
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

fn row(name: &str, mut durations: Vec<Duration>, per_second: f64) -> Vec<String> {
    durations.sort_unstable();
    let count = durations.len();
    let at = |percent| {
        let took = percentile(&durations, percent).as_secs_f64();
        format!("{:.1}", took * per_second)
    };
    vec![name.to_owned(), count.to_string(), at(50), at(99)]
}
