//! A simulated VPN fleet for a system on one machine: a demo fleet, collectors that report usage as
//! real ones would, an account of the reports that they sent, a verification of the results, and an
//! issuer of tokens.
//!
//! Nothing here calls the code under test to compute expected values.

pub mod account;
pub mod background;
pub mod bootstrap;
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
