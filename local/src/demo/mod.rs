//! Life for a system on one machine: a demo fleet, collectors that report usage as real ones would,
//! an account of what they sent, a check of what became of it, and an issuer of tokens.
//!
//! Nothing here calls the code under test to compute what it expects.

pub mod account;
pub mod background;
pub mod collector;
pub mod fleet;
pub mod report;
pub mod script;
pub mod simulator;
pub mod token;
pub mod verify;

mod catalog;
#[cfg(test)]
mod tests;
