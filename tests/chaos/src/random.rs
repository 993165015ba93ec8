//! Random choices from the run's seed. Each part of a run has its own stream, so that its choices
//! do not depend on how often other parts draw.

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::ops::RangeInclusive;
use uuid::Uuid;

/// The random number generator of one part.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// Returns `true` with a probability of `permille` in a thousand.
    pub fn chance(&mut self, permille: u32) -> bool {
        self.0.random_ratio(permille.min(1_000), 1_000)
    }

    pub fn int(&mut self, range: RangeInclusive<i64>) -> i64 {
        self.0.random_range(range)
    }

    pub fn index(&mut self, range: RangeInclusive<usize>) -> usize {
        self.0.random_range(range)
    }

    /// One of `choices`. `None` if there are none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.choose(&mut self.0)
    }

    pub fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.0.random()).into_uuid()
    }

    pub fn millis(&mut self, range: RangeInclusive<u64>) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.random_range(range))
    }
}
