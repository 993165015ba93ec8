/* reconciliation.node_hours */
-- The id 0 stands for a client that is unknown, and for all servers.
with summed as (
    select bucket_start, coalesce(node_server_id, 0) as node_server_id,
        coalesce(node_client_id, 0) as node_client_id, sum(raw_upload_bytes) as raw_upload,
        sum(raw_download_bytes) as raw_download, sum(billed_upload_bytes) as billed_upload,
        sum(billed_download_bytes) as billed_download
    from (
        select * from telecom.node_usage_hourly where bucket_start = any($1)
        union all
        select * from telecom.node_usage_delta where bucket_start = any($1)
        union all
        select bucket_start, null, null, raw_upload_bytes, raw_download_bytes,
            billed_upload_bytes, billed_download_bytes
        from telecom.node_usage_delta where bucket_start = any($1)
    ) sums
    group by 1, 2, 3
), hourly as (
    select bucket_start, coalesce(node_server_id, 0) as node_server_id,
        coalesce(node_client_id, 0) as node_client_id, sum(raw_upload_bytes) as raw_upload,
        sum(raw_download_bytes) as raw_download, sum(billed_upload_bytes) as billed_upload,
        sum(billed_download_bytes) as billed_download
    from telecom.user_package_usage
    where bucket_start = any($1)
    group by grouping sets ((bucket_start, node_server_id, node_client_id), (bucket_start))
), difference as (
    select bucket_start, node_server_id, node_client_id,
        telecom.byte_difference(s.raw_upload, h.raw_upload) as raw_upload,
        telecom.byte_difference(s.raw_download, h.raw_download) as raw_download,
        telecom.byte_difference(s.billed_upload, h.billed_upload) as billed_upload,
        telecom.byte_difference(s.billed_download, h.billed_download) as billed_download
    from summed s full join hourly h using (bucket_start, node_server_id, node_client_id)
)
select distinct on (bucket_start) bucket_start as "bucket_start!", raw_upload as "raw_upload!",
    raw_download as "raw_download!", billed_upload as "billed_upload!",
    billed_download as "billed_download!"
from difference
where (raw_upload, raw_download, billed_upload, billed_download) <> (0, 0, 0, 0)
order by bucket_start,
    abs(raw_upload::numeric) + abs(raw_download) + abs(billed_upload) + abs(billed_download) desc,
    node_server_id, node_client_id
