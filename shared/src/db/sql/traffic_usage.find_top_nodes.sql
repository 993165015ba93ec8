/* traffic_usage.find_top_nodes */
-- Only the arms of the union for the source $1 read rows: the daily or hourly usage of the user $2,
-- or that of nodes.
with usage as (
    select node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
        billed_upload_bytes, billed_download_bytes
    from telecom.user_usage_daily
    where $1 = 'user_days' and user_id = $2
        and day >= ($3::timestamptz at time zone 'UTC')::date
        and day < least(
            ($4::timestamptz at time zone 'UTC')::date,
            (select days_summed_before from telecom.usage_summary)
        )
    union all
    select node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
        billed_upload_bytes, billed_download_bytes
    from telecom.late_user_usage
    where $1 = 'user_days' and user_id = $2
        and day >= ($3::timestamptz at time zone 'UTC')::date
        and day < least(
            ($4::timestamptz at time zone 'UTC')::date,
            (select days_summed_before from telecom.usage_summary)
        )
    union all
    select node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
        billed_upload_bytes, billed_download_bytes
    from telecom.user_package_usage
    where $1 = 'user_days' and user_id = $2
        and bucket_start >= greatest(
            $3::timestamptz,
            (select days_summed_before::timestamp at time zone 'UTC' from telecom.usage_summary)
        )
        and bucket_start < $4::timestamptz
    union all
    select node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
        billed_upload_bytes, billed_download_bytes
    from telecom.user_package_usage
    where $1 = 'user_hours' and user_id = $2
        and bucket_start >= $3::timestamptz and bucket_start < $4::timestamptz
    union all
    select node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
        billed_upload_bytes, billed_download_bytes
    from telecom.node_usage_hourly
    where $1 = 'node_hours' and node_server_id is not null
        and bucket_start >= $3::timestamptz and bucket_start < $4::timestamptz
    union all
    select node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
        billed_upload_bytes, billed_download_bytes
    from telecom.node_usage_daily
    where $1 = 'node_days' and day >= ($3::timestamptz at time zone 'UTC')::date
        and day < ($4::timestamptz at time zone 'UTC')::date
    union all
    select node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
        billed_upload_bytes, billed_download_bytes
    from telecom.node_usage_delta
    where $1 in ('node_hours', 'node_days')
        and bucket_start >= $3::timestamptz and bucket_start < $4::timestamptz
), node as (
    select node_server_id, case when $5 then node_client_id end as node_client_id,
        sum(raw_upload_bytes)::bigint as raw_upload,
        sum(raw_download_bytes)::bigint as raw_download,
        sum(billed_upload_bytes)::bigint as billed_upload,
        sum(billed_download_bytes)::bigint as billed_download
    from usage
    group by 1, 2
), place as (
    select node.*,
        row_number() over (
            order by case when $6 then raw_upload + raw_download
                    else billed_upload + billed_download end desc,
                raw_upload + raw_download + billed_upload + billed_download desc,
                node_server_id, node_client_id
        ) as rank
    from node
    order by rank
    limit $7
)
select p.rank as "rank!", p.node_server_id as "server_id!", p.node_client_id,
    coalesce(c.name, s.name) as name, p.raw_upload as "raw_upload!",
    p.raw_download as "raw_download!", p.billed_upload as "billed_upload!",
    p.billed_download as "billed_download!"
from place p
left join telecom.node_client c on c.id = p.node_client_id
left join telecom.node_server s on s.id = p.node_server_id and not $5
order by p.rank
