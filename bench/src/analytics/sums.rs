//! Whether the tables that contain the same usage agree.

use anyhow::{Result, ensure};
use chrono::NaiveDate;
use sqlx::PgConnection;

/// Sums of the same usage in different tables, each of which must be there and equal the others.
/// The second part compares the recent days only.
const SUMS: &str = "
with hourly as (
    select sum(raw_upload_bytes + raw_download_bytes) as raw,
        sum(billed_upload_bytes + billed_download_bytes) as billed
    from telecom.user_package_usage
    where bucket_start < (select days_summed_before::timestamp at time zone 'UTC'
        from telecom.usage_summary)
), daily as (
    select sum(raw_upload_bytes + raw_download_bytes) as raw,
        sum(billed_upload_bytes + billed_download_bytes) as billed
    from telecom.user_usage_daily where day >= $1
), counters as (
    select sum(upload_bytes + download_bytes) as billed from telecom.package_queue
    where status = 'active'
), recent as (
    select sum(raw_upload_bytes + raw_download_bytes) as raw,
        sum(billed_upload_bytes + billed_download_bytes) as billed
    from telecom.user_package_usage where bucket_start >= $2::timestamp at time zone 'UTC'
), node as (
    select node_server_id is null as total, sum(raw_upload_bytes + raw_download_bytes) as raw,
        sum(billed_upload_bytes + billed_download_bytes) as billed
    from (
        select * from telecom.node_usage_hourly
        union all select * from telecom.node_usage_delta
        union all select bucket_start, null, null, raw_upload_bytes, raw_download_bytes,
            billed_upload_bytes, billed_download_bytes from telecom.node_usage_delta
    ) both_tables
    where bucket_start >= $2::timestamp at time zone 'UTC'
    group by 1
), node_day as (
    select sum(raw_upload_bytes + raw_download_bytes) as raw,
        sum(billed_upload_bytes + billed_download_bytes) as billed
    from (
        select * from telecom.node_usage_daily where day >= $2
        union all
        select null, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
            billed_upload_bytes, billed_download_bytes from telecom.node_usage_delta
    ) both_tables
)
select coalesce(
    (h.raw, h.billed) = (d.raw, d.billed) and c.billed = r.billed
        and (r.raw, r.billed) = (t.raw, t.billed) and (r.raw, r.billed) = (n.raw, n.billed)
        and (r.raw, r.billed) = (by_day.raw, by_day.billed),
    false
)
from hourly h, daily d, counters c, recent r, node t, node n, node_day by_day
where t.total and not n.total";

/// Fails if the tables differ. Hourly usage begins with the day `hourly`, and that of all users
/// with the day `recent`.
pub async fn compare(
    connection: &mut PgConnection,
    hourly: NaiveDate,
    recent: NaiveDate,
) -> Result<()> {
    let equal: bool = sqlx::query_scalar(SUMS)
        .bind(hourly)
        .bind(recent)
        .fetch_one(connection)
        .await?;
    ensure!(equal, "Sums of the same usage in different tables differ.");
    Ok(())
}
