use crate::error::{Error, ErrorKind};

/// Converts a database error by its SQLSTATE and, if a constraint was violated, by the name of the
/// constraint.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default().into_owned();
                let constraint = database.constraint().unwrap_or_default().to_owned();
                from_sqlstate(&code, &constraint, error)
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::unavailable(error),
            _ => Self::internal(error),
        }
    }
}

fn from_sqlstate(code: &str, constraint: &str, error: sqlx::Error) -> Error {
    let permanent = |code, message: &str| Error::new(ErrorKind::InvalidArgument, code, message);
    match code {
        "40001" | "40P01" => Error::conflict(),
        "55P03" => Error::locked(),
        "57014" => Error::deadline_exceeded(),
        // Failed connections, a login that has just been changed, lack of resources, shutdown or
        // start-up, an unavailable lock.
        _ if ["08", "28", "53", "57", "55", "58"].contains(&code.get(..2).unwrap_or_default()) => {
            return Error::unavailable(error);
        }
        "22003" => Error::overflow(),
        // Each entry point validates timestamps. If one accepts an invalid timestamp, the error is
        // still the caller's.
        "22007" | "22008" => permanent(
            "time_out_of_range",
            "A timestamp is outside the range that can be stored.",
        ),
        "23503" | "23514" | "23505" => match constraint {
            "node_server_heartbeat_node_server_fk" => {
                permanent("unknown_server", "Unknown node server.")
            }
            // Without the source, because its details contain the secret.
            "node_user_secret_key" => return Error::secret_in_use(),
            "node_client_node_server_fk" => permanent("unknown_server", "Unknown node server."),
            // Another transaction activated an item of the user, or created a version of the series
            // or its master. Or a row that was inserted by hand has the next generated id. The next
            // attempt sees the row, or gets the id after it.
            "package_queue_one_active_per_user_key"
            | "package_series_version_key"
            | "package_one_master_per_series_key"
            | "package_pk"
            | "package_queue_pk"
            | "node_server_pk"
            | "node_client_pk" => Error::conflict(),
            "package_queue_counters_range_check" => Error::overflow(),
            "package_queue_counters_check"
            | "user_package_usage_bytes_check"
            | "traffic_usage_bytes_check" => {
                permanent("bytes_out_of_range", "Bytes must not be negative.")
            }
            _ => return Error::internal(error),
        },
        // A table, a column or a privilege is missing.
        _ if ["3F", "42"].contains(&code.get(..2).unwrap_or_default()) => {
            return Error::internal(error).for_the_whole_batch();
        }
        _ => return Error::internal(error),
    }
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("40P01", "", "transaction_conflict", ErrorKind::Unavailable)]
    #[case("40001", "", "transaction_conflict", ErrorKind::Unavailable)]
    #[case("57P01", "", "unavailable", ErrorKind::Unavailable)]
    #[case("28P01", "", "unavailable", ErrorKind::Unavailable)]
    #[case("57014", "", "deadline_exceeded", ErrorKind::DeadlineExceeded)]
    #[case("08006", "", "unavailable", ErrorKind::Unavailable)]
    #[case("22007", "", "time_out_of_range", ErrorKind::InvalidArgument)]
    #[case("22008", "", "time_out_of_range", ErrorKind::InvalidArgument)]
    #[case("22003", "", "number_overflow", ErrorKind::InvalidArgument)]
    #[case(
        "23503",
        "node_server_heartbeat_node_server_fk",
        "unknown_server",
        ErrorKind::InvalidArgument
    )]
    #[case(
        "23505",
        "package_queue_one_active_per_user_key",
        "transaction_conflict",
        ErrorKind::Unavailable
    )]
    #[case(
        "23514",
        "package_queue_counters_range_check",
        "number_overflow",
        ErrorKind::InvalidArgument
    )]
    #[case("55P03", "", "locked", ErrorKind::Unavailable)]
    #[case("42P01", "", "internal", ErrorKind::Internal)]
    fn the_sqlstate_and_the_constraint_determine_the_error(
        #[case] sqlstate: &str,
        #[case] constraint: &str,
        #[case] code: &str,
        #[case] kind: ErrorKind,
    ) {
        let error = from_sqlstate(sqlstate, constraint, sqlx::Error::RowNotFound);
        assert_eq!((error.code(), error.kind()), (code, kind));
    }

    #[rstest]
    #[case::missing_table("42P01", false)]
    #[case::missing_privilege("42501", false)]
    #[case::missing_schema("3F000", false)]
    #[case::number_out_of_range("22003", true)]
    #[case::constraint_violation("23514", true)]
    #[case::locked_row("55P03", true)]
    #[case::outage("08006", false)]
    fn only_an_error_of_some_rows_may_come_from_one_item(
        #[case] sqlstate: &str,
        #[case] may_come_from_one: bool,
    ) {
        let error = from_sqlstate(sqlstate, "", sqlx::Error::RowNotFound);
        assert_eq!(error.may_come_from_one_item(), may_come_from_one);
    }
}
