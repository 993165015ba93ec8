//! Functions that run one statement.

use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Map;
use tracing::Dispatch;
use tracing::instrument::{WithDispatch, WithSubscriber};

use super::Connection;
use crate::error::Error;

/// Lets a statement with many rows run outside of the current span. sqlx enters and leaves the
/// current span for each row, which costs more than reading the row.
///
/// Events that happen meanwhile are not logged.
pub(super) fn without_span<F: Future>(statement: F) -> WithDispatch<F> {
    statement.with_subscriber(Dispatch::none())
}

/// All rows of a statement, read outside of the current span.
pub(super) async fn all_rows<O: Send + Unpin>(
    statement: Map<'_, Postgres, impl FnMut(PgRow) -> sqlx::Result<O> + Send, PgArguments>,
    connection: &mut Connection,
) -> sqlx::Result<Vec<O>> {
    without_span(statement.fetch_all(connection)).await
}

/// Defines asynchronous functions that run one statement each. A function takes a connection and
/// the parameters of its statement. If the parameters must be computed, their list follows the
/// statement. The return type is one of the types below, and decides how the statement runs.
macro_rules! statements {
    ($(
        $(#[$doc:meta])*
        $vis:vis fn $name:ident($($parameter:ident: $type:ty),* $(,)?)
            -> $result:ident $(<$item:ty>)? { $sql:literal $(, $($computed:tt)+)? }
    )*) => {$(
        $(#[$doc])*
        $vis async fn $name(
            connection: &mut $crate::db::Connection,
            $($parameter: $type),*
        ) -> $crate::db::statement::$result$(<$item>)? {
            $crate::db::statement::run!(
                $result $($item)?, connection, $sql, ($($parameter),*) ($($($computed)+)?)
            )
        }
    )*};
}

macro_rules! run {
    ($result:ident $($item:ty)?, $connection:ident, $sql:literal, ($($given:tt)*) ()) => {
        $crate::db::statement::run!($result $($item)?, $connection, $sql, $($given)*)
    };
    ($result:ident $($item:ty)?, $connection:ident, $sql:literal, $_:tt ($($computed:tt)+)) => {
        $crate::db::statement::run!($result $($item)?, $connection, $sql, $($computed)+)
    };
    (Rows $row:ty, $connection:ident, $($statement:tt)*) => {
        Ok($crate::db::statement::all_rows(
            sqlx::query_as!($row, $($statement)*), $connection
        )
        .await?)
    };
    (Row $row:ty, $connection:ident, $($statement:tt)*) => {
        Ok(sqlx::query_as!($row, $($statement)*).fetch_one($connection).await?)
    };
    (FirstRow $row:ty, $connection:ident, $($statement:tt)*) => {
        Ok(sqlx::query_as!($row, $($statement)*).fetch_optional($connection).await?)
    };
    (Values $value:ty, $connection:ident, $($statement:tt)*) => {
        Ok($crate::db::statement::without_span(
            sqlx::query_scalar!($($statement)*).fetch_all($connection)
        )
        .await?)
    };
    (Value $value:ty, $connection:ident, $($statement:tt)*) => {
        Ok(sqlx::query_scalar!($($statement)*).fetch_one($connection).await?)
    };
    (FirstValue $value:ty, $connection:ident, $($statement:tt)*) => {
        Ok(sqlx::query_scalar!($($statement)*).fetch_optional($connection).await?)
    };
    (Changed, $connection:ident, $($statement:tt)*) => {
        Ok(sqlx::query!($($statement)*).execute($connection).await?.rows_affected())
    };
    (Done, $connection:ident, $($statement:tt)*) => {{
        sqlx::query!($($statement)*).execute($connection).await?;
        Ok(())
    }};
}

pub(super) use {run, statements};

/// All rows, as `query_as!` returns them.
pub type Rows<T> = Result<Vec<T>, Error>;
/// The only row, as `query_as!` returns it.
pub type Row<T> = Result<T, Error>;
/// The first row, if there is a row.
pub type FirstRow<T> = Result<Option<T>, Error>;
/// The only column of all rows.
pub type Values<T> = Result<Vec<T>, Error>;
/// The only column of the only row.
pub type Value<T> = Result<T, Error>;
/// The only column of the first row, if there is a row.
pub type FirstValue<T> = Result<Option<T>, Error>;
/// Number of rows that the statement changed.
pub type Changed = Result<u64, Error>;
/// Nothing but whether the statement succeeded.
pub type Done = Result<(), Error>;
