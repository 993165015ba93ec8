//! Runs the functions' code as processes over a real PostgreSQL, with simulated activity and random
//! faults, and compares the result with an independent oracle. See *Chaos* in
//! `docs/DEVELOPMENT.md`.

mod asked;
mod calls;
mod clock;
mod cloud;
mod cluster;
mod desk;
mod endpoints;
mod functions;
mod harness;
mod ledger;
mod life;
mod monitor;
mod operator;
mod oracle;
mod plan;
mod planted;
mod processes;
mod protocol;
mod proxy;
mod random;
mod run;
mod storm;
mod verdict;
mod wire;
mod worker;

pub use harness::run;
pub use plan::Plan;
pub use planted::{Hunt, hunt};

pub use verdict::{Broken, Verdict};
pub use worker::work;
