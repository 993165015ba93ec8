//! A network that loses requests and responses.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What happens to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    Whole,
    /// The request does not arrive.
    RequestLost,
    /// The request arrives, and the response does not.
    ResponseLost,
}

/// The network between nodes and the panel.
#[derive(Debug)]
pub struct Network {
    rng: ChaCha8Rng,
    /// Of a hundred attempts, how many lose the request. As many lose the response.
    lost_percent: u32,
}

impl Network {
    #[must_use]
    pub fn new(seed: u64, lost_percent: u32) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            lost_percent,
        }
    }

    pub fn passage(&mut self) -> Passage {
        let drawn = self.rng.random_range(0..100);
        if drawn < self.lost_percent {
            Passage::RequestLost
        } else if drawn < 2 * self.lost_percent {
            Passage::ResponseLost
        } else {
            Passage::Whole
        }
    }
}
