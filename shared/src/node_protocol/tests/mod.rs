//! The bodies of requests and responses, as the nodes' programs write and compare them.

mod figures;
mod pushes;
mod requests;
mod responses;

use uuid::Uuid;

use super::push::{Push, PushedRow};

fn row(number: i32, upload: i64, download: i64) -> PushedRow {
    PushedRow {
        number,
        upload,
        download,
    }
}

/// Key and reason of each rejected row.
fn rejected(push: &Push) -> Vec<(&str, &'static str)> {
    let named = |row: &'_ super::push::RejectedRow| row.reason.into();
    push.rejected
        .iter()
        .map(|row| (row.key.as_str(), named(row)))
        .collect()
}

fn secret(number: u128) -> Uuid {
    Uuid::from_u128(0x3b1f_0000_0000_4000_8000_0000_0000_0000 + number)
}
