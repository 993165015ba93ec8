//! The program is killed at random, between any two of its steps, while the node counts and the
//! receiver fails in every way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::collector::Place;
use crate::support::receiver::{Mode, Receiver, delivered};
use crate::support::stats::Node;
use crate::support::user;

const KILLS: usize = 20;
const USERS: u8 = 5;

pub struct Dice(ChaCha8Rng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// From 0 on, below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0.random_range(0..bound)
    }

    pub fn modes(&mut self, count: usize) -> Vec<Mode> {
        let modes = [
            Mode::Accept,
            Mode::Accept,
            Mode::Cut,
            Mode::Mute,
            Mode::Late,
            Mode::Status(503),
        ];
        let mut mode = || modes[usize::try_from(self.below(6)).unwrap()];
        (0..count).map(|_| mode()).collect()
    }
}

/// Kills the collector after a random number of queries or requests.
pub fn kill_at_random(place: &Place, receiver: &Receiver, dice: &mut Dice, node: Option<&Node>) {
    receiver.set(&dice.modes(8), Mode::Accept);
    let mut running = place.start();
    let more = usize::try_from(1 + dice.below(6)).unwrap();
    match node.filter(|_| dice.below(2) == 0) {
        Some(node) => node.wait_queries(more),
        None => receiver.wait_requests(more, Duration::from_millis(1500)),
    }
    running.kill();
}

#[test]
fn killed_at_random_it_loses_and_doubles_nothing() {
    let (node, receiver, mut dice) = (Node::start(), Receiver::start(), Dice::new(1));
    let source = format!(
        "[[source]]\nkind = \"v2ray\"\naddress = \"{}\"\nnode_client_id = 19\n",
        node.address
    );
    let place = Place::new(&receiver.url(), &source);
    // Counted before the installation, so never reported.
    node.carry(&user(0).to_string(), 1_000_000, 1_000_000);
    let first = place.start();
    receiver.wait("no heartbeat", |reports| !reports.is_empty());
    assert!(first.stop());
    let baseline = node.counters();

    let stopped = Arc::new(AtomicBool::new(false));
    let traffic = {
        let (node, stopped) = (node.clone(), Arc::clone(&stopped));
        thread::spawn(move || {
            let mut bytes = 1;
            while !stopped.load(Ordering::Relaxed) {
                let number = u8::try_from(bytes % i64::from(USERS)).unwrap();
                node.carry(&user(number).to_string(), bytes, 3 * bytes);
                bytes += 1;
                thread::park_timeout(Duration::from_millis(1));
            }
        })
    };
    for _ in 0..KILLS {
        kill_at_random(&place, &receiver, &mut dice, Some(&node));
    }
    stopped.store(true, Ordering::Relaxed);
    traffic.join().unwrap();

    receiver.set(&[], Mode::Accept);
    let counted: Vec<_> = node
        .counters()
        .into_iter()
        .map(|(name, (upload, download))| {
            let (before_up, before_down) = baseline.get(&name).copied().unwrap_or_default();
            (
                format!("{name}|19"),
                (upload - before_up, download - before_down),
            )
        })
        .collect();
    let last = place.start();
    receiver.wait("not everything is delivered", |reports| {
        let delivered = delivered(reports);
        counted
            .iter()
            .all(|(name, bytes)| delivered.get(name) == Some(bytes))
    });
    assert!(last.stop(), "{}", place.log());
    let delivered = delivered(&receiver.reports());
    assert_eq!(delivered, counted.into_iter().collect());
    let (repeats, _) = receiver.figures();
    assert!(
        repeats > 0,
        "no report was sent twice, so nothing was tested"
    );
}
