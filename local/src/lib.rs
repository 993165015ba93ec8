//! The whole system on one machine: PostgreSQL, an AWS emulator and the deployed `template.yaml`.
//!
//! [`stack::Stack`] starts and stops the system. The program `telecom-local` and the end-to-end
//! tests use it.
#![allow(
    missing_docs,
    reason = "a tool of this workspace: a doc comment stands where the name does not say it all"
)]

pub mod cli;
pub mod demo;
pub mod docker;
pub mod emulator;
pub mod files;
pub mod fleet;
pub mod generate;
pub mod grpc;
pub mod loopback;
pub mod panel;
pub mod postgres;
pub mod process;
pub mod progress;
pub mod python;
pub mod rpc;
pub mod settings;
pub mod stack;
pub mod template;
