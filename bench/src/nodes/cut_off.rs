//! From the push that uses up a package to the pull that lacks its user.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use local::demo::node::HttpPanel;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use shared::clock::{Clock as _, System};
use sqlx::PgPool;
use tokio::time::{Instant, sleep_until};

use super::{ENDING_NODES, EndingNode, INTERVAL, INTERVALS, pull, push, row};
use crate::table::Table;

/// When a package ended, for the node and for the system.
struct Ended {
    user: i32,
    pushed_at: DateTime<Utc>,
    /// The first pull that lacked the user.
    lacked_at: DateTime<Utc>,
}

/// Lets all nodes use up the packages of their users, and measures how long each stage took.
pub async fn end_packages(
    pool: &PgPool,
    panel: &HttpPanel,
    nodes: Vec<EndingNode>,
) -> Result<CutOff> {
    let began = Instant::now() + Duration::from_secs(1);
    let nodes = nodes.into_iter().enumerate().map(|(seed, node)| {
        let panel = panel.clone();
        tokio::spawn(async move { end_packages_of(&panel, node, began, seed).await })
    });
    let mut ended = Vec::new();
    for node in join_all(nodes.collect::<Vec<_>>()).await {
        ended.extend(node??);
    }
    CutOff::of(pool, ended).await
}

/// Lets a node use up the package of one user in each interval, and pull the list at another time
/// of the interval. Users that the last pull still has are left out.
async fn end_packages_of(
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
            push(panel, sender.push(&rows, &mut rng)).await?;
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

/// How long each stage took, from a push that uses up a package.
#[derive(Default)]
pub struct CutOff {
    recorded: Vec<Duration>,
    ended: Vec<Duration>,
    waited: Vec<Duration>,
    total: Vec<Duration>,
}

impl CutOff {
    async fn of(pool: &PgPool, ended: Vec<Ended>) -> Result<Self> {
        ensure!(!ended.is_empty(), "No package has ended");
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

    pub fn table(self, markdown: bool) -> String {
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
