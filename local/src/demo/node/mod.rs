//! Nodes that report through UniProxy and `mod_mu`: what each program sends, how it loses and
//! repeats traffic, and an account of both.

mod access;
pub mod account;
mod network;
mod panel;
pub(super) mod program;
mod request;
mod running;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use shared::clock::Clock;
use tokio::sync::watch;

pub use access::{Accesses, VISITOR_COLLECTOR, VISITOR_NODE, issue};
use account::Account;
pub use network::Network;
pub use panel::{Answer, HttpPanel, Panel};
pub use program::Program;
pub use request::{Call, Pull, Sender};
pub use running::Totals;
use running::{Node, Surroundings};

use super::fleet::Fleet;
use super::stop::stopped_within;

/// How often nodes push and pull. The system accepts no shorter interval.
pub const INTERVAL: Duration = Duration::from_mins(1);

/// The nodes of a fleet.
pub struct Nodes<'n, P> {
    all: Vec<Node>,
    around: Surroundings<'n, P>,
}

impl<'n, P: Panel> Nodes<'n, P> {
    /// Opens the account at `path`. `token` returns the token of a server's nodes, and a server
    /// without one has no nodes. Nodes continue where an earlier run stopped.
    pub fn open(
        fleet: &Fleet,
        token: impl Fn(i32) -> Option<String>,
        path: &Path,
        (panel, network): (P, Network),
        clock: &'n dyn Clock,
    ) -> Result<Self> {
        let (account, book) = Account::open(path)?;
        let last = book.last();
        let seed = fleet.seed ^ clock.now().timestamp_micros().unsigned_abs();
        let mut all = Vec::new();
        for server in &fleet.servers {
            let (Some(program), Some(token)) = (server.program, token(server.id)) else {
                continue;
            };
            for client in &server.clients {
                let sender = Sender {
                    program,
                    token: token.clone(),
                    node: *client,
                };
                let counted = last.get(client).map(|push| book.left(push));
                all.push(Node::new(
                    server.id,
                    sender,
                    counted.unwrap_or_default(),
                    seed,
                ));
            }
        }
        Ok(Self {
            all,
            around: Surroundings {
                panel,
                network,
                account,
                clock,
                totals: Totals::default(),
                pause: Duration::ZERO,
            },
        })
    }

    /// Lets each node run for an interval, one after another. `wait` waits until the node at a
    /// position may start, and returns false to end the round early.
    pub async fn round(&mut self, mut wait: impl AsyncFnMut(usize) -> bool) -> Result<Totals> {
        for (position, node) in self.all.iter_mut().enumerate() {
            if !wait(position).await {
                break;
            }
            node.interval(&mut self.around).await?;
        }
        Ok(self.around.totals)
    }

    /// Runs in real time until `stop` becomes true or its sender is dropped. The requests of the
    /// nodes are spread over the interval.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<Totals> {
        self.around.pause = Duration::from_millis(500);
        let count = u32::try_from(self.all.len()).unwrap_or(u32::MAX).max(1);
        let began = Instant::now();
        for round in 0_u32.. {
            let wait = async |position: usize| {
                let position = u32::try_from(position).unwrap_or(u32::MAX);
                let due = INTERVAL * round + INTERVAL / count * position;
                let left = due.saturating_sub(began.elapsed());
                !stopped_within(&mut stop, left).await
            };
            self.round(wait).await?;
            if *stop.borrow() || stop.has_changed().is_err() {
                break;
            }
        }
        Ok(self.around.totals)
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            pushes,
            repeats,
            unacknowledged,
            lists,
            unchanged,
            failed,
        } = self;
        write!(f, "{pushes} pushes, {repeats} repeated attempts")?;
        write!(f, ", {unacknowledged} without acknowledgement")?;
        write!(
            f,
            ", {lists} lists of users, {unchanged} unchanged, {failed} requests failed"
        )
    }
}
