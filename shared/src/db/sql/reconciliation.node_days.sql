/* reconciliation.node_days */
-- The id 0 stands for a client that is unknown.
with checked as (
    select (hour at time zone 'UTC')::date as day
    from unnest($1::timestamptz[]) as hour
    where hour = date_trunc('day', hour, 'UTC')
), hourly as (
    select c.day, u.node_server_id, coalesce(u.node_client_id, 0) as node_client_id,
        sum(u.raw_upload_bytes) as raw_upload, sum(u.raw_download_bytes) as raw_download,
        sum(u.billed_upload_bytes) as billed_upload,
        sum(u.billed_download_bytes) as billed_download
    from checked c
    join telecom.node_usage_hourly u
        on u.bucket_start >= c.day::timestamp at time zone 'UTC'
        and u.bucket_start < (c.day + 1)::timestamp at time zone 'UTC'
    where u.node_server_id is not null
    group by 1, 2, 3
), daily as (
    select day, node_server_id, coalesce(node_client_id, 0) as node_client_id, raw_upload_bytes,
        raw_download_bytes, billed_upload_bytes, billed_download_bytes
    from telecom.node_usage_daily
    where day = any(array(select day from checked))
), difference as (
    select day, node_server_id, node_client_id,
        telecom.byte_difference(d.raw_upload_bytes, h.raw_upload) as raw_upload,
        telecom.byte_difference(d.raw_download_bytes, h.raw_download) as raw_download,
        telecom.byte_difference(d.billed_upload_bytes, h.billed_upload) as billed_upload,
        telecom.byte_difference(d.billed_download_bytes, h.billed_download) as billed_download
    from daily d full join hourly h using (day, node_server_id, node_client_id)
)
select distinct on (day) day::timestamp at time zone 'UTC' as "bucket_start!",
    raw_upload as "raw_upload!", raw_download as "raw_download!",
    billed_upload as "billed_upload!", billed_download as "billed_download!"
from difference
where (raw_upload, raw_download, billed_upload, billed_download) <> (0, 0, 0, 0)
order by day,
    abs(raw_upload::numeric) + abs(raw_download) + abs(billed_upload) + abs(billed_download) desc,
    node_server_id, node_client_id
