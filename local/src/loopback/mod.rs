//! What listens on 127.0.0.1: the choice of ports, and small HTTP servers.

pub mod http_server;
pub mod ports;
