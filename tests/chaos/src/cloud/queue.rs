//! A queue as SQS is: at least once, in no order, in batches of any size, with a dead-letter queue.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::random::Random;

/// Receives after which a message that fails is moved to the dead-letter queue.
const MAX_RECEIVES: u32 = 5;

/// What a message is to the harness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A usage report.
    Report(Uuid),
    /// A billing message of another publisher.
    ThirdParty(Uuid),
    /// Sent by a function.
    Function,
    /// One that no function can accept, and why.
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
    /// Receives that failed although no fault of the harness disturbed them.
    failures: u32,
    /// It was handled before: another delivery is a duplicate.
    handled: bool,
    /// A redrive gives it a new id; not if the id is what makes it unique.
    may_be_redriven: bool,
}

/// How often the queue misbehaves, in a thousand.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// A handled message comes again: its acknowledgement was lost.
    pub repeat: u32,
    /// A message is delivered to two consumers at once.
    pub overlap: u32,
    /// A handled message was in the dead-letter queue, and is redriven under a new id.
    pub redrive: u32,
    /// A message is late.
    pub delay: u32,
}

impl Habits {
    /// None of it.
    pub const GOOD: Self = Self {
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
    habits: Habits,
    random: Random,
    counts: Counts,
}

impl Queue {
    pub fn new(random: Random, habits: Habits) -> Self {
        let (waiting, dead, counts) = (Vec::new(), Vec::new(), Counts::default());
        Self {
            state: Mutex::new(State {
                waiting,
                in_flight: 0,
                dead,
                habits,
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
        let delay = if state.is(|habits| habits.delay) {
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

    /// Takes at most `most` messages that are visible, in no order.
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

    /// Ends a delivery of `batch`, of which the messages in `failed` stay. `disturbed` if a fault
    /// of the harness is the likely reason: that counts towards no dead letter.
    pub fn settle(&self, batch: Vec<Message>, failed: &HashSet<String>, disturbed: bool) {
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

    /// Nothing waits and nothing is under way.
    pub fn is_empty(&self) -> bool {
        let state = self.lock();
        state.waiting.is_empty() && state.in_flight == 0
    }

    pub fn length(&self) -> usize {
        let state = self.lock();
        state.waiting.len() + state.in_flight
    }

    pub fn behave(&self, habits: Habits) {
        self.lock().habits = habits;
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub fn dead_letters(&self) -> Vec<Message> {
        self.lock().dead.clone()
    }
}

impl State {
    fn is(&mut self, habit: impl Fn(&Habits) -> u32) -> bool {
        let permille = habit(&self.habits);
        self.random.chance(permille)
    }

    fn delivered(&mut self, message: &Message) {
        self.counts.delivered += 1;
        if message.handled {
            self.counts.duplicates += 1;
        }
        if self.is(|habits| habits.overlap) {
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
        if message.may_be_redriven && self.is(|habits| habits.redrive) {
            self.counts.redriven += 1;
            message.id = self.random.uuid();
        } else if !self.is(|habits| habits.repeat) {
            return;
        }
        message.visible_at = Instant::now() + self.random.millis(0..=8_000);
        self.waiting.push(message);
    }
}
