//! A simulated VPN fleet for a system on one machine: a demo fleet, collectors and nodes that
//! report usage as real ones would, an account of what they sent, a verification of the results,
//! and an issuer of tokens with a page to sign in.
//!
//! Nothing here calls the code under test to compute expected values.

pub mod account;
pub mod background;
pub mod bootstrap;
pub mod collector;
pub mod fleet;
pub mod node;
pub mod report;
pub mod script;
pub mod sign_in;
pub mod simulator;
pub mod token;
pub mod verify;
pub mod visitor;

mod catalog;
mod journal;
mod node_software;
mod past;
mod stop;
#[cfg(test)]
mod tests;
