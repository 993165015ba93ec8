//! Binary `COPY`, the fastest way to insert rows where no conflict is possible.

use sqlx::encode::IsNull;
use sqlx::postgres::{PgArgumentBuffer, PgCopyIn};
use sqlx::{Encode, Postgres};

use super::Connection;
use crate::error::Error;

/// Size at which the buffer is sent. The database stores the rows while the next ones are encoded.
const CHUNK_BYTES: usize = 64 << 10;

/// A running `COPY`. If it is dropped before [`Self::finish`], it fails and aborts the transaction.
///
/// The format is a header, then the number of fields of each row and each field with its length.
pub(super) struct Copy<'c> {
    copy: PgCopyIn<&'c mut Connection>,
    buffer: PgArgumentBuffer,
}

impl<'c> Copy<'c> {
    /// Starts a `COPY`. `statement` lists the columns and requests the binary format.
    pub(super) async fn start(
        connection: &'c mut Connection,
        statement: &'static str,
    ) -> Result<Self, Error> {
        let copy = connection.copy_in_raw(statement).await?;
        let mut buffer = PgArgumentBuffer::default();
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        Ok(Self { copy, buffer })
    }

    /// Begins a row with `fields` fields.
    pub(super) async fn row(&mut self, fields: i16) -> Result<&mut Self, Error> {
        if self.buffer.len() >= CHUNK_BYTES {
            self.send().await?;
        }
        self.buffer.extend_from_slice(&fields.to_be_bytes());
        Ok(self)
    }

    /// Appends a field to the current row.
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

    /// Sends the rest of the rows and completes the `COPY`.
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
