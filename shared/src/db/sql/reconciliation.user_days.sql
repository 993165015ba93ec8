/* reconciliation.user_days */
-- The id 0 stands for a client that is unknown.
with checked as (
    select (hour at time zone 'UTC')::date as day
    from unnest($1::timestamptz[]) as hour, telecom.usage_summary
    where hour = date_trunc('day', hour, 'UTC')
        and (hour at time zone 'UTC')::date < days_summed_before
), summed as (
    select user_id, day, node_server_id, coalesce(node_client_id, 0) as node_client_id,
        sum(raw_upload_bytes) as raw_upload, sum(raw_download_bytes) as raw_download,
        sum(billed_upload_bytes) as billed_upload, sum(billed_download_bytes) as billed_download
    from (
        select * from telecom.user_usage_daily where day = any(array(select day from checked))
        union all
        select * from telecom.late_user_usage where day = any(array(select day from checked))
    ) sums
    group by 1, 2, 3, 4
), hourly as (
    select u.user_id, c.day, u.node_server_id, coalesce(u.node_client_id, 0) as node_client_id,
        sum(u.raw_upload_bytes) as raw_upload, sum(u.raw_download_bytes) as raw_download,
        sum(u.billed_upload_bytes) as billed_upload,
        sum(u.billed_download_bytes) as billed_download
    from checked c
    join telecom.user_package_usage u
        on u.bucket_start >= c.day::timestamp at time zone 'UTC'
        and u.bucket_start < (c.day + 1)::timestamp at time zone 'UTC'
    group by 1, 2, 3, 4
), difference as (
    select user_id, day, node_server_id, node_client_id,
        telecom.byte_difference(s.raw_upload, h.raw_upload) as raw_upload,
        telecom.byte_difference(s.raw_download, h.raw_download) as raw_download,
        telecom.byte_difference(s.billed_upload, h.billed_upload) as billed_upload,
        telecom.byte_difference(s.billed_download, h.billed_download) as billed_download
    from summed s full join hourly h using (user_id, day, node_server_id, node_client_id)
)
select distinct on (day) day::timestamp at time zone 'UTC' as "bucket_start!",
    raw_upload as "raw_upload!", raw_download as "raw_download!",
    billed_upload as "billed_upload!", billed_download as "billed_download!"
from difference
where (raw_upload, raw_download, billed_upload, billed_download) <> (0, 0, 0, 0)
order by day,
    abs(raw_upload::numeric) + abs(raw_download) + abs(billed_upload) + abs(billed_download) desc,
    user_id, node_server_id, node_client_id
