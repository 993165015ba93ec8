//! What each program for nodes loses and repeats when requests and responses are lost: the bill is
//! what users moved, except what the program drops, and all that is billed twice is listed.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use lambda_http::Body;
use local::demo::fleet::{self, Fleet};
use local::demo::node::{Answer, Call, Network, Nodes as Fleets, Panel, Program, Totals};
use local::demo::verify::{self, Outcome};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use shared::clock::Clock;
use sqlx::PgPool;
use telecom_tests::node::{Asked, Nodes, header};
use telecom_tests::{NOW, assert_all_accepted, at};
use tempfile::TempDir;
use tokio::sync::Notify;

const SEED: u64 = 5;

/// The functions, which nodes reach without a network.
struct Functions<'f> {
    nodes: &'f Nodes,
    /// Number of requests until the nodes are killed. The last one arrives.
    until_killed: Cell<Option<u32>>,
    killed: Notify,
}

impl Panel for &Functions<'_> {
    async fn call(&self, call: Call, _timeout: Duration) -> anyhow::Result<Answer> {
        let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
        let asked = Asked {
            method: call.method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: call
                .tag
                .into_iter()
                .map(|tag| ("if-none-match", tag))
                .collect(),
            body: call.body.into_bytes(),
        };
        let response = self.nodes.send(&asked).await;
        if let Some(left) = self.until_killed.get() {
            self.until_killed.set(left.checked_sub(1));
            if left == 0 {
                self.killed.notify_one();
                std::future::pending::<()>().await;
            }
        }
        Ok(Answer {
            status: response.status().as_u16(),
            tag: Some(header(&response, "etag")).filter(|tag| !tag.is_empty()),
            body: match response.into_body() {
                Body::Text(text) => text.into_bytes(),
                body => body.to_vec(),
            },
        })
    }
}

/// The demo fleet with one server for each program, and the functions for its nodes.
struct Run {
    nodes: Arc<Nodes>,
    fleet: Fleet,
    tokens: BTreeMap<i32, String>,
    folder: TempDir,
    rng: ChaCha8Rng,
    delivered: usize,
}

impl Run {
    async fn new(pool: PgPool) -> Self {
        let nodes = Nodes::new(pool).await;
        let world = nodes.world();
        for table in ["node_client", "node_server"] {
            world.sql(&format!("delete from telecom.{table}")).await;
        }
        let mut fleet = fleet::seed(&world.pool, SEED, at(NOW), 0).await.unwrap();
        let mut programs = BTreeSet::new();
        let mut is_first = |program: Program| programs.insert(program);
        let servers = &mut fleet.servers;
        servers.retain(|server| server.program.is_some_and(&mut is_first));
        let mut tokens = BTreeMap::new();
        for server in &fleet.servers {
            let program = server.program.unwrap();
            let fields = json!({ "server_id": server.id, "software": program.software() });
            let (_, token) = nodes.access(program.protocol(), fields).await;
            tokens.insert(server.id, token);
        }
        let rng = ChaCha8Rng::seed_from_u64(SEED);
        let folder = tempfile::tempdir().unwrap();
        Self {
            nodes: Arc::new(nodes),
            fleet,
            tokens,
            folder,
            rng,
            delivered: 0,
        }
    }

    /// Runs the nodes for some intervals, and then kills them during a request.
    async fn intervals(&mut self, intervals: u32) -> Totals {
        let nodes = Arc::clone(&self.nodes);
        let world = nodes.world();
        let functions = Functions {
            nodes: &nodes,
            until_killed: Cell::new(None),
            killed: Notify::new(),
        };
        let clock = &*world.clock;
        let network = Network::new(self.rng.random(), 30);
        let account = self.folder.path().join("nodes.jsonl");
        let way = (&functions, network);
        let token = |server| self.tokens.get(&server).cloned();
        let mut fleets = Fleets::open(&self.fleet, token, &account, way, clock).unwrap();
        let mut totals = Totals::default();
        for interval in 0..intervals {
            if interval + 1 == intervals {
                functions
                    .until_killed
                    .set(Some(self.rng.random_range(10..60)));
            }
            let ended = tokio::select! {
                totals = fleets.round(async |_| true) => Some(totals.unwrap()),
                () = functions.killed.notified() => None,
            };
            totals = ended.unwrap_or(totals);
            self.deliver().await;
            world.clock.set(world.clock.now() + TimeDelta::seconds(60));
        }
        totals
    }

    /// Delivers the new messages in any order and some twice, and bills.
    async fn deliver(&mut self) {
        let bodies = self.nodes.queue.bodies();
        let mut new = bodies[self.delivered..].to_vec();
        self.delivered = bodies.len();
        new.shuffle(&mut self.rng);
        new.extend_from_within(..new.len() / 3);
        let world = self.nodes.world();
        for bodies in new.chunks(10) {
            assert_all_accepted(&world.ingest_node_usage(), bodies).await;
        }
        world.deliver_all().await;
    }

    async fn verify(&self) -> Outcome {
        let settings = verify::Settings {
            account: self.folder.path().join("account.jsonl"),
            node_account: self.folder.path().join("nodes.jsonl"),
            wait: Duration::ZERO,
            others_allowed: false,
            api: None,
        };
        let world = self.nodes.world();
        verify::verify(&world.pool, &settings, &*world.clock, |_| {})
            .await
            .unwrap()
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn what_users_moved_is_billed_except_what_the_program_lost_or_repeats(pool: PgPool) {
    let mut run = Run::new(pool).await;
    let totals = run.intervals(12).await;
    assert!(totals.repeats > 0 && totals.unacknowledged > 0, "{totals}");
    assert!(totals.lists > 0 && totals.unchanged > 0, "{totals}");
    run.intervals(8).await;
    let outcome = run.verify().await;
    assert!(outcome.agrees(), "{outcome}");
    println!("{outcome}");

    for program in Program::ALL {
        let [lost, twice] =
            [&outcome.moved.lost, &outcome.moved.twice].map(|bytes| bytes[&program]);
        let name = program.name();
        match program {
            Program::Xrayr | Program::XrayrModMu => assert!(twice > 0, "{name}"),
            Program::XboardNode => assert!(twice > 0 && lost == 0, "{name}"),
            // It loses traffic only if four attempts are lost.
            Program::V2bx => assert_eq!(twice, 0, "{name}"),
            Program::V2node | Program::XboardNodeRust | Program::Ss22v2b => {
                assert!(twice == 0 && lost > 0, "{name}");
            }
        }
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn verify_detects_a_push_that_is_missing_altered_or_not_listed(pool: PgPool) {
    let mut run = Run::new(pool).await;
    run.intervals(8).await;
    let world = run.nodes.world();
    let cases = [
        (
            "… billed twice and listed as doubtful",
            "delete from telecom.doubtful_push",
        ),
        (
            "node pushes recorded",
            "update telecom.traffic_usage set upload_bytes = upload_bytes + 1
             where ctid = (select min(ctid) from telecom.traffic_usage)",
        ),
    ];
    assert!(run.verify().await.agrees());
    for (what, change) in cases {
        world.sql(change).await;
        let outcome = run.verify().await;
        let check = outcome.checks.iter().find(|check| check.what == what);
        assert!(!check.unwrap().agrees(), "{outcome}");
    }
}
