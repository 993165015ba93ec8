//! Stand-ins for what surrounds the collector.

pub mod collector;
pub mod receiver;
pub mod stats;
pub mod v2ray;

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::Value;
use uuid::Uuid;

/// A user with this number.
pub fn user(number: u8) -> Uuid {
    let base = 0x7d0f_3a52_7c52_4c0e_8f5a_0d3f_6f1f_0a00;
    Uuid::from_u128(base + u128::from(number))
}

/// The report in a body.
pub fn json_of(compressed: bool, content: &[u8]) -> Value {
    if !compressed {
        return serde_json::from_slice(content).unwrap();
    }
    let mut json = Vec::new();
    GzDecoder::new(content).read_to_end(&mut json).unwrap();
    serde_json::from_slice(&json).unwrap()
}
