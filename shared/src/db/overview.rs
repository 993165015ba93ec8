//! The numbers of the page that shows the whole fleet.

use chrono::{DateTime, Utc};

use super::statements;
use crate::domain::overview::FleetCounts;

statements! {
    /// Counts what the fleet consists of, and what waits. Users count who were connected after
    /// `online_since`.
    pub fn counts(online_since: DateTime<Utc>, limit: i64) -> Row<FleetCounts> {
        r#"/* overview.counts */
        with server as (
            select status, count(*) as number from telecom.node_server
            where archived_at is null group by status
        ), package as (
            select status, sum(items)::bigint as number from telecom.package_queue_count
            group by status
        )
        select
            coalesce((select number from server where status = 'online'), 0) as "online_servers!",
            coalesce((select number from server where status = 'offline'), 0)
                as "offline_servers!",
            coalesce((select number from server where status = 'maintenance'), 0)
                as "maintenance_servers!",
            (select count(*) from telecom.node_client where archived_at is null) as "clients!",
            coalesce((select number from package where status = 'active'), 0)
                as "active_packages!",
            coalesce((select number from package where status = 'in_queue'), 0)
                as "waiting_packages!",
            (select count(distinct user_number) from telecom.online_address where seen_at > $1)
                as "online_users!",
            (
                select count(*) from (
                    select from telecom.usage_report
                    where billing_run_id is null and line_count > 0 limit $2
                ) unbilled
            ) as "unbilled_reports!",
            (
                select received_at from telecom.usage_report
                where billing_run_id is null and line_count > 0 order by seq limit 1
            ) as oldest_unbilled_at,
            (select count(*) from (select from telecom.parked_event limit $2) parked)
                as "parked_events!",
            (
                select count(*) from (
                    select from telecom.doubtful_push where decision is null limit $2
                ) doubt
            ) as "open_doubts!",
            (
                select count(*) from (
                    select from telecom.quarantined_report where released_at is null limit $2
                ) quarantined
            ) as "quarantined_reports!",
            (
                select count(*) from (
                    select from telecom.usage_drift where accepted_reason is null limit $2
                ) drift
            ) as "usage_drifts!""#
    }
}
