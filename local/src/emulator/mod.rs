//! What stands in for AWS on this machine: ministack or LocalStack, with the parts that they lack.

pub mod client;
pub mod invoke;
pub mod load_balancer;
pub mod localstack;
pub mod ministack;
