//! The whole system on one machine: PostgreSQL, an AWS emulator (ministack) and the deployed
//! `template.yaml`.
//!
//! [`stack::Stack`] starts and stops all of it; the program `telecom-local` and the end-to-end
//! tests are its users.
pub mod banner;
pub mod containers;
pub mod database;
pub mod demo;
pub mod deploy;
pub mod driven;
pub mod driver;
pub mod grpc;
pub mod hooks;
pub mod interrupt;
pub mod invoke;
pub mod load_balancer;
pub mod localstack;
pub mod loopback;
pub mod ministack;
pub mod native;
pub mod net;
pub mod postgres;
pub mod process;
pub mod progress;
pub mod python;
pub mod runtime_api;
pub mod sam;
pub mod session;
pub mod settings;
pub mod stack;
pub mod stage;
