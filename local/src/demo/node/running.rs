//! One node while it runs: the users that it serves, and the traffic that it has counted.

use std::time::Duration;

use anyhow::Result;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use shared::clock::Clock;
use uuid::Uuid;

use super::account::{Account, Fate, Push, Rows, add};
use super::network::{Network, Passage};
use super::panel::{Answer, Panel};
use super::program::Counters;
use super::request::{Call, Pull, Sender};

/// Number of the user who stands in for an empty list. No one can connect as this user.
const DECOY: i32 = i32::MAX;
/// Maximum number of users with traffic in an interval.
const MAX_ACTIVE: usize = 25;

/// What the nodes of a fleet did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub pushes: u64,
    /// Attempts after the first one of a push.
    pub repeats: u64,
    /// Pushes without a response that the program takes for success.
    pub unacknowledged: u64,
    /// Lists of users that were sent.
    pub lists: u64,
    /// Lists of users that had not changed.
    pub unchanged: u64,
    /// Requests that failed, or were refused.
    pub failed: u64,
}

/// What a node needs for its requests, shared by all nodes.
pub struct Surroundings<'s, P> {
    pub panel: P,
    pub network: Network,
    pub account: Account,
    pub clock: &'s dyn Clock,
    pub totals: Totals,
    /// Pause between the attempts of a push.
    pub pause: Duration,
}

/// A node with its program.
pub struct Node {
    server: i32,
    sender: Sender,
    rng: ChaCha8Rng,
    config_tag: Option<String>,
    users_tag: Option<String>,
    users: Vec<i32>,
    /// What the program has counted and still has to push.
    counted: Rows,
    /// What users moved since the last line of the account.
    moved: Rows,
    /// Pushes in a row that were not acknowledged.
    failures: u32,
    /// Intervals in which it will push nothing.
    left_out: u32,
}

impl Node {
    /// `counted` is what an earlier run still had to push. The same `seed` yields the same traffic.
    pub fn new(server: i32, sender: Sender, counted: Rows, seed: u64) -> Self {
        Self {
            server,
            rng: ChaCha8Rng::seed_from_u64(seed.wrapping_add(sender.node.unsigned_abs().into())),
            sender,
            config_tag: None,
            users_tag: None,
            users: Vec::new(),
            counted,
            moved: Rows::new(),
            failures: 0,
            left_out: 0,
        }
    }

    /// Does what the program does in an interval: users move traffic, the program pushes it, pulls
    /// the list of users, and reports the rest.
    pub async fn interval<P: Panel>(&mut self, around: &mut Surroundings<'_, P>) -> Result<()> {
        self.traffic(MAX_ACTIVE, 25);
        let connected = self.connected();
        match self.left_out.checked_sub(1) {
            Some(left_out) => self.left_out = left_out,
            None => self.push(around).await?,
        }
        self.pull(around).await;
        let others = [self.sender.addresses(&connected), self.sender.status()];
        for call in others.into_iter().flatten() {
            self.request(call, around).await;
        }
        Ok(())
    }

    /// Some users of the list move traffic, each at most about `2^magnitude` bytes.
    fn traffic(&mut self, at_most: usize, magnitude: u32) {
        let users = self.users.iter().copied();
        for user in users.choose_multiple(&mut self.rng, at_most) {
            // Large amounts are rare.
            let scale = 1_i64 << self.rng.random_range(8..=magnitude);
            let bytes = [
                self.rng.random_range(0..=scale / 8),
                self.rng.random_range(1..=scale),
            ];
            let row = Rows::from([(user, bytes)]);
            add(&mut self.counted, &row);
            add(&mut self.moved, &row);
        }
    }

    /// The users with traffic, each with an address from the block for documentation.
    fn connected(&self) -> Vec<(i32, String)> {
        let address = |user: &i32| (*user, format!("198.51.100.{}", user % 250 + 1));
        self.counted.keys().map(address).collect()
    }

    async fn push<P: Panel>(&mut self, around: &mut Surroundings<'_, P>) -> Result<()> {
        if self.counted.is_empty() {
            return Ok(());
        }
        let program = self.sender.program;
        let push = Push {
            id: Uuid::from_u128(self.rng.random()),
            server: self.server,
            node: self.sender.node,
            program,
            moved: std::mem::take(&mut self.moved),
            rows: self.counted.clone(),
        };
        around.account.intend(&push)?;
        let call = self.sender.push(&push.rows, &mut self.rng);
        let (accepted, acknowledged) = self.attempts(&call, around).await;
        if program.counters() == Counters::ZeroedAfterwards {
            // Users move traffic during the request, too.
            self.traffic(1, 14);
        }
        if acknowledged || program.counters() == Counters::Cleared {
            self.counted.clear();
        }
        self.failures = if acknowledged { 0 } else { self.failures + 1 };
        self.left_out = program.pause(self.failures);
        around.totals.pushes += 1;
        around.totals.unacknowledged += u64::from(!acknowledged);
        around.account.ended(&Fate {
            id: push.id,
            at: around.clock.now(),
            accepted,
            acknowledged,
            moved: std::mem::take(&mut self.moved),
            left: self.counted.clone(),
        })
    }

    /// Sends a push until there is a response, or the program gives up. Returns whether the push
    /// was accepted, if that is known, and whether the program takes it for a success.
    async fn attempts<P: Panel>(
        &self,
        call: &Call,
        around: &mut Surroundings<'_, P>,
    ) -> (Option<bool>, bool) {
        let program = self.sender.program;
        let mut accepted = Some(false);
        for attempt in 0..=program.repeats() {
            if attempt > 0 {
                around.totals.repeats += 1;
                tokio::time::sleep(around.pause).await;
            }
            let passage = around.network.passage();
            if passage == Passage::RequestLost {
                continue;
            }
            let Ok(answer) = around.panel.call(call.clone(), program.timeout()).await else {
                around.totals.failed += 1;
                accepted = accepted.filter(|accepted| *accepted);
                continue;
            };
            if answer.status < 300 {
                accepted = Some(true);
            } else {
                around.totals.failed += 1;
            }
            if passage == Passage::Whole {
                return (accepted, program.is_success(answer.status, &answer.body));
            }
        }
        (accepted, false)
    }

    /// Pulls the configuration and the list of users. If that fails, the program keeps what it has.
    async fn pull<P: Panel>(&mut self, around: &mut Surroundings<'_, P>) {
        if let Some(call) = self.sender.pull(Pull::Config, self.config_tag.clone())
            && let Some(answer) = self.request(call, around).await
        {
            self.config_tag = answer.tag;
        }
        if let Some(call) = self.sender.pull(Pull::Users, self.users_tag.clone())
            && let Some(answer) = self.request(call, around).await
        {
            self.users_tag = answer.tag;
            if answer.status == 304 {
                around.totals.unchanged += 1;
            } else if let Some(users) = users(&answer.body) {
                around.totals.lists += 1;
                self.users = users;
            }
        }
        if let Some(call) = self.sender.pull(Pull::Devices, None) {
            self.request(call, around).await;
        }
    }

    /// The response, if the request was not refused.
    async fn request<P: Panel>(
        &self,
        call: Call,
        around: &mut Surroundings<'_, P>,
    ) -> Option<Answer> {
        let answered = around.panel.call(call, self.sender.program.timeout()).await;
        let answer = answered.ok().filter(|answer| answer.status < 400);
        around.totals.failed += u64::from(answer.is_none());
        answer
    }
}

/// The numbers of the users in a list, as UniProxy (`users`) or `mod_mu` (`data`) writes it. `None`
/// for a list without users, which programs ignore.
fn users(body: &[u8]) -> Option<Vec<i32>> {
    let list: Value = serde_json::from_slice(body).ok()?;
    let list = list.get("users").or_else(|| list.get("data"))?.as_array()?;
    let number = |user: &Value| i32::try_from(user.get("id")?.as_i64()?).ok();
    let numbers: Vec<i32> = list.iter().filter_map(number).collect();
    let users = numbers.iter().copied().filter(|number| *number != DECOY);
    (!numbers.is_empty()).then(|| users.collect())
}
