//! Compression of bodies. Its bounds keep a small body from filling the memory.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

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

/// Compresses a body with gzip.
pub fn compress(body: &[u8]) -> Result<Vec<u8>, Error> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(body);
    written
        .and_then(|()| encoder.finish())
        .map_err(Error::internal)
}
