//! Shadowsocks ciphers, and the keys that they need.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::fields::{Fields, Form};
use crate::error::Error;

/// The ciphers of Shadowsocks 2022 that serve several users, which excludes `ChaCha20`.
pub(super) const CIPHERS_2022: &[&str] = &["2022-blake3-aes-128-gcm", "2022-blake3-aes-256-gcm"];

/// The ciphers with a password per user.
pub(super) const PASSWORD_CIPHERS: &[&str] = &[
    "aes-128-gcm",
    "aes-192-gcm",
    "aes-256-gcm",
    "chacha20-poly1305",
    "chacha20-ietf-poly1305",
    "xchacha20-poly1305",
    "xchacha20-ietf-poly1305",
];

/// All ciphers that are accepted.
pub(super) const CIPHERS: &[&str] = &[
    "aes-128-gcm",
    "aes-192-gcm",
    "aes-256-gcm",
    "chacha20-poly1305",
    "chacha20-ietf-poly1305",
    "xchacha20-poly1305",
    "xchacha20-ietf-poly1305",
    "2022-blake3-aes-128-gcm",
    "2022-blake3-aes-256-gcm",
];

/// Length of the keys of a cipher of Shadowsocks 2022, bytes. `None` for another cipher.
pub(super) fn key_bytes(cipher: &str) -> Option<usize> {
    match cipher {
        "2022-blake3-aes-128-gcm" => Some(16),
        "2022-blake3-aes-256-gcm" => Some(32),
        _ => None,
    }
}

/// Checks the key of the server in `key` for the cipher in `cipher`. A missing key is only an error
/// if the configuration must be `complete`.
pub(super) fn check_key(
    fields: Fields<'_>,
    cipher: &str,
    key: &str,
    complete: bool,
) -> Result<(), Error> {
    let Some(key_bytes) = key_bytes(fields.text(cipher)) else {
        return Ok(());
    };
    if complete {
        fields.require(&[(key, Form::FilledText)])?;
    }
    let text = fields.text(key);
    let fits = BASE64
        .decode(text)
        .is_ok_and(|decoded| decoded.len() == key_bytes);
    if text.is_empty() || fits {
        return Ok(());
    }
    let accepted = format!("{key_bytes} random bytes in Base64, as the cipher needs");
    Err(fields.invalid(key, &accepted))
}
