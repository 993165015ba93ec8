//! The part of PostgreSQL's frontend protocol that is needed to recognize statements and commits.

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A longer message is malformed.
const MAX_BYTES: usize = 64 << 20;

/// The beginning or the end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    Begin,
    Commit,
    Rollback,
}

/// A message of the client: a byte for its type, four for its length, and its content.
#[derive(Debug)]
pub struct Message {
    /// All bytes of the message as they were read.
    pub bytes: Vec<u8>,
}

impl Message {
    pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Self> {
        let kind = from.read_u8().await?;
        let mut bytes = vec![kind];
        read_rest(from, &mut bytes).await?;
        Ok(Self { bytes })
    }

    /// Whether the server executes the message: a simple query, an execution or a chunk of `COPY`.
    pub fn is_statement(&self) -> bool {
        matches!(self.bytes.first(), Some(b'Q' | b'E' | b'd'))
    }

    /// Whether the message commits the transaction.
    pub fn is_commit(&self) -> bool {
        self.boundary() == Some(Boundary::Commit)
    }

    /// The boundary of a transaction that the message marks, if any. A comment may precede it.
    pub fn boundary(&self) -> Option<Boundary> {
        let text = std::str::from_utf8(self.bytes.get(5..)?)
            .ok()
            .filter(|_| self.bytes.first() == Some(&b'Q'))?;
        let text = text
            .split_once("*/")
            .filter(|_| text.starts_with("/*"))
            .map_or(text, |(_, statement)| statement);
        let mut words = text
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|word| !word.is_empty());
        match (words.next()?.to_ascii_lowercase().as_str(), words.next()) {
            ("begin", _) => Some(Boundary::Begin),
            ("commit", _) => Some(Boundary::Commit),
            // A rollback to a savepoint does not end the transaction.
            ("rollback", None) => Some(Boundary::Rollback),
            _ => None,
        }
    }
}

/// Reads the first message, which has no type byte.
pub async fn read_startup(from: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_rest(from, &mut bytes).await?;
    Ok(bytes)
}

async fn read_rest(from: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Result<()> {
    let length = from.read_u32().await?;
    bytes.extend(length.to_be_bytes());
    let content = usize::try_from(length)?
        .checked_sub(4)
        .context("A message has an invalid length.")?;
    if content > MAX_BYTES {
        bail!("A message of {content} bytes is too long.");
    }
    let start = bytes.len();
    bytes.resize(start + content, 0);
    from.read_exact(bytes.get_mut(start..).unwrap_or_default())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary(text: &str) -> Option<Boundary> {
        Message {
            bytes: [b"Q\0\0\0\0", text.as_bytes(), b"\0"].concat(),
        }
        .boundary()
    }

    #[test]
    fn boundary_is_recognized_after_a_comment_but_not_in_a_savepoint() {
        assert_eq!(
            boundary("/* db.write_tx */ begin; set local statement_timeout = 5"),
            Some(Boundary::Begin)
        );
        assert_eq!(boundary("COMMIT"), Some(Boundary::Commit));
        assert_eq!(boundary("ROLLBACK"), Some(Boundary::Rollback));
        assert_eq!(boundary("ROLLBACK TO SAVEPOINT _sqlx_savepoint_1"), None);
        assert_eq!(boundary("SAVEPOINT _sqlx_savepoint_1"), None);
        assert_eq!(boundary("/* users.commit */ select 1"), None);
    }
}
