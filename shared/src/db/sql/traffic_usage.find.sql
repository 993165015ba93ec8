/* traffic_usage.find */
-- Only the arms of the union for the source $1 read rows: the daily and hourly usage of a user, or
-- the hourly usage of nodes.
with usage as (
    select day::timestamp at time zone 'UTC' as bucket_start, node_server_id, node_client_id,
        raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes,
        0::bigint as corrected_upload, 0::bigint as corrected_download
    from telecom.user_usage_daily
    where $1 = 'user_days' and user_id = $2
        and day >= ($5::timestamptz at time zone 'UTC')::date
        and day < least(
            ($6::timestamptz at time zone 'UTC')::date,
            (select days_summed_before from telecom.usage_summary)
        )
    union all
    select day::timestamp at time zone 'UTC', node_server_id, node_client_id,
        raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes, 0, 0
    from telecom.late_user_usage
    where $1 = 'user_days' and user_id = $2
        and day >= ($5::timestamptz at time zone 'UTC')::date
        and day < least(
            ($6::timestamptz at time zone 'UTC')::date,
            (select days_summed_before from telecom.usage_summary)
        )
    union all
    select bucket_start, node_server_id, node_client_id,
        raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes, 0, 0
    from telecom.user_package_usage
    where $1 = 'user_days' and user_id = $2
        and bucket_start >= greatest(
            $5::timestamptz,
            (select days_summed_before::timestamp at time zone 'UTC' from telecom.usage_summary)
        )
        and bucket_start < $6::timestamptz
    union all
    select bucket_start, node_server_id, node_client_id,
        raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes, 0, 0
    from telecom.user_package_usage
    where $1 = 'user_hours' and user_id = $2
        and bucket_start >= $5::timestamptz and bucket_start < $6::timestamptz
    union all
    select bucket_start, null, null,
        raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes, 0, 0
    from telecom.node_usage_hourly
    where $1 = 'total' and node_server_id is null
        and bucket_start >= $5::timestamptz and bucket_start < $6::timestamptz
    union all
    select bucket_start, node_server_id, node_client_id,
        raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes, 0, 0
    from telecom.node_usage_hourly
    where $1 = 'nodes' and node_server_id is not null
        and bucket_start >= $5::timestamptz and bucket_start < $6::timestamptz
    union all
    select bucket_start, node_server_id, node_client_id,
        raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes, 0, 0
    from telecom.node_usage_hourly
    where $1 = 'server' and node_server_id = $3
        and bucket_start >= $5::timestamptz and bucket_start < $6::timestamptz
    union all
    select bucket_start, node_server_id, node_client_id,
        raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes, 0, 0
    from telecom.node_usage_hourly
    where $1 = 'client' and node_client_id = $4
        and bucket_start >= $5::timestamptz and bucket_start < $6::timestamptz
    union all
    select bucket_start, node_server_id, node_client_id,
        raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes, 0, 0
    from telecom.node_usage_delta
    where $1 not in ('user_days', 'user_hours')
        and bucket_start >= $5::timestamptz and bucket_start < $6::timestamptz
    union all
    -- The rows above contain the corrections, so these only say how much was corrected.
    select bucket_start, node_server_id, node_client_id, 0, 0, 0, 0,
        billed_upload_bytes, billed_download_bytes
    from telecom.usage_correction
    where $1 in ('user_days', 'user_hours') and user_id = $2
        and bucket_start >= $5::timestamptz and bucket_start < $6::timestamptz
    union all
    select bucket_start, node_server_id, node_client_id, 0, 0, 0, 0,
        billed_upload_bytes, billed_download_bytes
    from telecom.usage_correction
    where $1 not in ('user_days', 'user_hours')
        and bucket_start >= $5::timestamptz and bucket_start < $6::timestamptz
), bucket as materialized (
    select width_bucket(bucket_start, $7::timestamptz[]) - 1 as number,
        case when $8 in ('server', 'client') then node_server_id end as server_id,
        case when $8 = 'client' then node_client_id end as client_id,
        sum(raw_upload_bytes)::bigint as raw_upload,
        sum(raw_download_bytes)::bigint as raw_download,
        sum(billed_upload_bytes)::bigint as billed_upload,
        sum(billed_download_bytes)::bigint as billed_download,
        sum(corrected_upload)::bigint as corrected_upload,
        sum(corrected_download)::bigint as corrected_download
    from usage
    where ($3::int is null or node_server_id = $3) and ($4::int is null or node_client_id = $4)
    group by 1, 2, 3
), page as (
    select * from bucket order by number, server_id, client_id limit $9 offset $10
)
-- The first row is the sum of all pages, with the number of rows on them.
select -1 as "number!", count(*)::int as server_id, null::int as client_id,
    coalesce(sum(raw_upload), 0)::bigint as "raw_upload!",
    coalesce(sum(raw_download), 0)::bigint as "raw_download!",
    coalesce(sum(billed_upload), 0)::bigint as "billed_upload!",
    coalesce(sum(billed_download), 0)::bigint as "billed_download!",
    coalesce(sum(corrected_upload), 0)::bigint as "corrected_upload!",
    coalesce(sum(corrected_download), 0)::bigint as "corrected_download!"
from bucket
union all
select number, server_id, client_id, raw_upload, raw_download, billed_upload, billed_download,
    corrected_upload, corrected_download
from page
order by 1, 2, 3
