//! A queue with the behaviour of SQS: at-least-once delivery, in any order, in batches of any size,
//! and with a dead-letter queue.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::random::Random;

/// Number of failed receives after which a message is moved to the dead-letter queue.
const MAX_RECEIVES: u32 = 5;

/// Where a message comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Report(Uuid),
    Order(Uuid),
    Cancellation,
    /// A billing message from another publisher.
    ThirdParty(Uuid),
    /// A message that a function sent.
    Function,
    /// A message that no function can accept, and the reason.
    Poison(&'static str),
}

#[derive(Debug, Clone)]
pub struct Message {
    pub id: Uuid,
    pub body: Arc<str>,
    pub origin: Origin,
    /// By the simulated world's clock.
    pub sent_at: DateTime<Utc>,
    visible_at: Instant,
    /// Number of failed receives that no fault of the harness disturbed.
    failures: u32,
    /// The message was handled before, so another delivery is a duplicate.
    handled: bool,
    /// A redrive gives the message a new id. This is `false` if the message id is the idempotency
    /// key.
    may_be_redriven: bool,
}

/// How often each fault of a queue happens, in a thousand cases.
#[derive(Debug, Clone, Copy)]
pub struct QueueFaults {
    /// A handled message is delivered again because its acknowledgement was lost.
    pub repeat: u32,
    /// A message is delivered to two consumers at once.
    pub overlap: u32,
    /// A handled message is delivered again under a new id, as if it had been redriven from the
    /// dead-letter queue.
    pub redrive: u32,
    /// A message is delivered late.
    pub delay: u32,
}

impl QueueFaults {
    pub const NONE: Self = Self {
        repeat: 0,
        overlap: 0,
        redrive: 0,
        delay: 0,
    };
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub sent: u64,
    pub delivered: u64,
    pub duplicates: u64,
    pub redriven: u64,
}

#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    waiting: Vec<Message>,
    in_flight: usize,
    dead: Vec<Message>,
    faults: QueueFaults,
    random: Random,
    counts: Counts,
}

impl Queue {
    pub fn new(random: Random, faults: QueueFaults) -> Self {
        let (waiting, dead, counts) = (Vec::new(), Vec::new(), Counts::default());
        Self {
            state: Mutex::new(State {
                waiting,
                in_flight: 0,
                dead,
                faults,
                random,
                counts,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn send(
        &self,
        body: String,
        origin: Origin,
        may_be_redriven: bool,
        sent_at: DateTime<Utc>,
    ) {
        let mut state = self.lock();
        let delay = if state.draws(|faults| faults.delay) {
            state.random.millis(500..=6_000)
        } else {
            Duration::ZERO
        };
        let message = Message {
            id: state.random.uuid(),
            body: body.into(),
            origin,
            sent_at,
            visible_at: Instant::now() + delay,
            failures: 0,
            handled: false,
            may_be_redriven,
        };
        state.counts.sent += 1;
        state.waiting.push(message);
    }

    /// Takes at most `most` visible messages in any order.
    pub fn receive(&self, most: usize) -> Vec<Message> {
        let mut state = self.lock();
        let now = Instant::now();
        let mut visible: Vec<usize> = (0..state.waiting.len())
            .filter(|&index| {
                state
                    .waiting
                    .get(index)
                    .is_some_and(|message| message.visible_at <= now)
            })
            .collect();
        let mut taken: Vec<usize> = Vec::new();
        while taken.len() < most && !visible.is_empty() {
            let at = state.random.index(0..=visible.len() - 1);
            taken.push(visible.swap_remove(at));
        }
        taken.sort_unstable();
        let mut batch = Vec::with_capacity(taken.len());
        for index in taken.into_iter().rev() {
            let message = state.waiting.swap_remove(index);
            state.delivered(&message);
            batch.push(message);
        }
        state.in_flight += batch.len();
        batch
    }

    /// Ends the delivery of `batch`. The messages in `failed` stay in the queue. If `disturbed`, a
    /// fault of the harness is the likely reason, and the failures do not count towards
    /// [`MAX_RECEIVES`].
    pub fn end_delivery(&self, batch: Vec<Message>, failed: &HashSet<String>, disturbed: bool) {
        let mut state = self.lock();
        state.in_flight -= batch.len();
        for message in batch {
            if failed.contains(&message.id.to_string()) {
                state.retry(message, disturbed);
            } else {
                state.acknowledge(message);
            }
        }
    }

    /// Whether no message is waiting or in flight.
    pub fn is_empty(&self) -> bool {
        let state = self.lock();
        state.waiting.is_empty() && state.in_flight == 0
    }

    pub fn length(&self) -> usize {
        let state = self.lock();
        state.waiting.len() + state.in_flight
    }

    pub fn set_faults(&self, faults: QueueFaults) {
        self.lock().faults = faults;
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub fn dead_letters(&self) -> Vec<Message> {
        self.lock().dead.clone()
    }
}

impl State {
    fn draws(&mut self, fault: impl Fn(&QueueFaults) -> u32) -> bool {
        let permille = fault(&self.faults);
        self.random.chance(permille)
    }

    fn delivered(&mut self, message: &Message) {
        self.counts.delivered += 1;
        if message.handled {
            self.counts.duplicates += 1;
        }
        if self.draws(|faults| faults.overlap) {
            self.waiting.push(Message {
                handled: true,
                ..message.clone()
            });
        }
    }

    fn retry(&mut self, mut message: Message, disturbed: bool) {
        if !disturbed {
            message.failures += 1;
        }
        if message.failures >= MAX_RECEIVES {
            self.dead.push(message);
            return;
        }
        message.visible_at = Instant::now() + self.random.millis(200..=1_500);
        self.waiting.push(message);
    }

    fn acknowledge(&mut self, mut message: Message) {
        message.handled = true;
        message.failures = 0;
        if message.may_be_redriven && self.draws(|faults| faults.redrive) {
            self.counts.redriven += 1;
            message.id = self.random.uuid();
        } else if !self.draws(|faults| faults.repeat) {
            return;
        }
        message.visible_at = Instant::now() + self.random.millis(0..=8_000);
        self.waiting.push(message);
    }
}
