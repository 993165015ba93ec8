//! As much of PostgreSQL's frontend protocol as it takes to see statements and commits go by.

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A message longer than this is none.
const MAX_BYTES: usize = 64 << 20;

/// A message of the client: a byte for its type, four for its length, and its content.
#[derive(Debug)]
pub struct Message {
    /// The message as it was read.
    pub bytes: Vec<u8>,
}

impl Message {
    pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Self> {
        let kind = from.read_u8().await?;
        let mut bytes = vec![kind];
        read_rest(from, &mut bytes).await?;
        Ok(Self { bytes })
    }

    /// Whether the server does something for it: a simple query, an execution, a chunk of `COPY`.
    pub fn is_statement(&self) -> bool {
        matches!(self.bytes.first(), Some(b'Q' | b'E' | b'd'))
    }

    /// Whether it commits the transaction.
    pub fn is_commit(&self) -> bool {
        self.bytes.first() == Some(&b'Q')
            && self.bytes.get(5..11).is_some_and(|text| text.eq_ignore_ascii_case(b"commit"))
    }
}

/// The first message, which has no type.
pub async fn read_startup(from: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_rest(from, &mut bytes).await?;
    Ok(bytes)
}

async fn read_rest(from: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Result<()> {
    let length = from.read_u32().await?;
    bytes.extend(length.to_be_bytes());
    let content = usize::try_from(length)?.checked_sub(4).context("A message has no length.")?;
    if content > MAX_BYTES {
        bail!("A message of {content} bytes is none.");
    }
    let start = bytes.len();
    bytes.resize(start + content, 0);
    from.read_exact(bytes.get_mut(start..).unwrap_or_default()).await?;
    Ok(())
}
