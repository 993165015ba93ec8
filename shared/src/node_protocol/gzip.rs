//! Compression of bodies. Its bounds keep a small body from filling the memory.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use zlib_rs::{DeflateConfig, ReturnCode, Strategy, compress_bound, compress_slice};

use crate::error::Error;

/// Decompresses a body to at most `max_bytes` bytes. Fails if the body is not gzip, is truncated,
/// or is larger.
pub fn decompress(body: &[u8], max_bytes: usize) -> Result<Vec<u8>, Error> {
    let mut read = Vec::new();
    let bound = u64::try_from(max_bytes).map_or(u64::MAX, |max| max.saturating_add(1));
    let decoder = MultiGzDecoder::new(body);
    decoder
        .take(bound)
        .read_to_end(&mut read)
        .map_err(|error| Error::invalid("malformed_gzip", ".", "is not gzip").with_source(error))?;
    if read.len() > max_bytes {
        let message = format!("the decompressed body has more than {max_bytes} bytes");
        return Err(Error::invalid("body_too_large", ".", message));
    }
    Ok(read)
}

/// Length of the header and the trailer of gzip, bytes.
const GZIP_BYTES: usize = 18;

/// Compresses a body with gzip, for lists of users. A random UUID repeats no text, and short
/// matches within UUIDs cost more than they save, so they are left out (`Filtered`). This saves a
/// tenth, with which 30,000 users fit the megabyte of the load balancer in Base64.
pub fn compress(body: &[u8]) -> Result<Vec<u8>, Error> {
    let config = DeflateConfig {
        level: 9,
        // A window of 32 KiB, and the format of gzip (16).
        window_bits: 15 + 16,
        strategy: Strategy::Filtered,
        ..DeflateConfig::default()
    };
    let mut output = vec![0; compress_bound(body.len()).saturating_add(GZIP_BYTES)];
    let (written, code) = compress_slice(&mut output, body, config);
    let length = written.len();
    if code != ReturnCode::Ok {
        return Err(Error::internal(format!("compression failed: {code:?}")));
    }
    output.truncate(length);
    Ok(output)
}
