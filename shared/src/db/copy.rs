//! Binary `COPY`: the fastest way in where no conflict is possible.

use sqlx::encode::IsNull;
use sqlx::postgres::{PgArgumentBuffer, PgCopyIn};
use sqlx::{Encode, Postgres};

use super::Connection;
use crate::error::Error;

/// Sent as soon as so many bytes are there: the database works on them while the next rows are
/// made.
const CHUNK_BYTES: usize = 64 << 10;

/// A `COPY` under way. Dropped before [`Self::finish`] it fails, and with it the transaction.
///
/// The format: a header, then for each row its number of fields and each field with its length.
pub(super) struct Copy<'c> {
    copy: PgCopyIn<&'c mut Connection>,
    buffer: PgArgumentBuffer,
}

impl<'c> Copy<'c> {
    /// `statement` names the columns and the binary format.
    pub(super) async fn start(
        connection: &'c mut Connection,
        statement: &'static str,
    ) -> Result<Self, Error> {
        let copy = connection.copy_in_raw(statement).await?;
        let mut buffer = PgArgumentBuffer::default();
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        Ok(Self { copy, buffer })
    }

    /// Begins a row of so many fields.
    pub(super) async fn row(&mut self, fields: i16) -> Result<&mut Self, Error> {
        if self.buffer.len() >= CHUNK_BYTES {
            self.send().await?;
        }
        self.buffer.extend_from_slice(&fields.to_be_bytes());
        Ok(self)
    }

    /// Adds a field to the row.
    pub(super) fn field<'q>(
        &mut self,
        value: impl Encode<'q, Postgres>,
    ) -> Result<&mut Self, Error> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&(-1_i32).to_be_bytes());
        if let IsNull::No = value.encode(&mut self.buffer).map_err(Error::internal)? {
            let body = start.saturating_add(size_of::<i32>());
            let length =
                i32::try_from(self.buffer.len().saturating_sub(body)).map_err(Error::internal)?;
            if let Some(slot) = self.buffer.get_mut(start..body) {
                slot.copy_from_slice(&length.to_be_bytes());
            }
        }
        Ok(self)
    }

    /// Ends the `COPY`.
    pub(super) async fn finish(mut self) -> Result<(), Error> {
        self.buffer.extend_from_slice(&(-1_i16).to_be_bytes());
        self.send().await?;
        self.copy.finish().await?;
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Error> {
        self.copy.send(self.buffer.as_slice()).await?;
        self.buffer.clear();
        Ok(())
    }
}
