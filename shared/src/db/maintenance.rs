//! Partitions of the raw rows, and deletion of rows that are past their retention.

use chrono::{DateTime, NaiveDate, Utc};

use super::statements;

statements! {
    /// Creates the partitions of raw rows for `days` days from `first_day`. Returns the number of
    /// partitions that were missing.
    pub fn create_partitions(first_day: NaiveDate, days: i32) -> Value<i32> {
        r#"/* maintenance.create_partitions */ select telecom.create_traffic_usage_partitions($1,
        $2) as "created!""#
    }

    /// Drops the partitions of days before `first_kept_day` whose rows are all billed. Returns
    /// their number.
    pub fn drop_partitions(first_kept_day: NaiveDate) -> Value<i32> {
        r#"/* maintenance.drop_partitions */
        select telecom.drop_traffic_usage_partitions($1) as "dropped!""#
    }

    /// Deletes at most `limit` reports received before `before` that are billed or have no lines to
    /// bill. Returns their number.
    pub fn delete_reports(before: DateTime<Utc>, limit: i64) -> Changed {
        r#"/* maintenance.delete_reports */
        delete from telecom.usage_report where report_id = any(array(
            select report_id from telecom.usage_report
            where received_at < $1 and (billing_run_id is not null or line_count = 0)
            limit $2
        ))"#
    }

    /// Deletes at most `limit` quarantined reports received before `before`, with their lines.
    /// Returns the number of reports.
    pub fn delete_quarantined(before: DateTime<Utc>, limit: i64) -> Changed {
        r#"/* maintenance.delete_quarantined */
        delete from telecom.quarantined_report where usage_report_seq = any(array(
            select usage_report_seq from telecom.quarantined_report where received_at < $1 limit $2
        ))"#
    }

    /// Deletes at most about `limit` rows of hourly usage of hours before `before`. Returns the
    /// number of rows.
    pub fn delete_usage(before: DateTime<Utc>, limit: i64) -> Changed {
        r#"/* maintenance.delete_usage */
        delete from telecom.user_package_usage where ctid = any(array(
            select ctid from telecom.user_package_usage where bucket_start < $1 limit $2
        ))"#
    }

    /// Deletes at most about `limit` rows of accepted usage of hours before `before`. Returns the
    /// number of rows.
    pub fn delete_accepted_usage(before: DateTime<Utc>, limit: i64) -> Changed {
        r#"/* maintenance.delete_accepted_usage */
        delete from telecom.accepted_usage where ctid = any(array(
            select ctid from telecom.accepted_usage where bucket_start < $1 limit $2
        ))"#
    }

    /// Deletes at most `limit` billing runs claimed before `before`. Returns their number.
    pub fn delete_billing_runs(before: DateTime<Utc>, limit: i64) -> Changed {
        r#"/* maintenance.delete_billing_runs */
        delete from telecom.billing_run where id = any(array(
            select id from telecom.billing_run where claimed_at < $1 limit $2
        ))"#
    }

    /// Deletes at most `limit` idempotency records of billing messages applied before `before`.
    /// Returns their number.
    pub fn delete_batches(before: DateTime<Utc>, limit: i64) -> Changed {
        r#"/* maintenance.delete_batches */
        delete from telecom.billing_batch where id = any(array(
            select id from telecom.billing_batch where applied_at < $1 limit $2
        ))"#
    }
}
