//! What node software sends and expects, as bytes: the panel protocols `UniProxy` and `mod_mu`.
//!
//! The formats are those of other people's programs and are followed to the letter. Requests are
//! read tolerantly, because some programs discard traffic that was refused. Nothing here reads the
//! database or knows who a user is.

pub mod credentials;
pub mod etag;
pub mod gzip;
mod json;
mod metrics;
pub mod mod_mu;
pub mod online;
pub mod push;
pub mod uniproxy;
pub mod users;

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::error::Error;

/// A body as JSON.
fn written(body: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(body).map_err(Error::internal)
}
