/* usage_explanation.parts */
with server as (
    select distinct node_server_id from telecom.user_package_usage
    where user_id = $1 and bucket_start = $2
), report as materialized (
    select r.seq, r.report_id, r.received_at, r.period_start, r.period_end, r.node_server_id,
        r.billing_run_id
    from server
    join telecom.usage_report r on r.node_server_id = server.node_server_id
        and r.period_end between $2::timestamptz and $2::timestamptz + interval '1 hour'
    where date_trunc(
        'hour', greatest(r.period_end - interval '1 microsecond', r.period_start), 'UTC'
    ) = $2
), line as (
    select r.*, t.node_client_id, t.upload_bytes, t.download_bytes, t.traffic_factor,
        row_number() over (
            partition by r.billing_run_id, r.node_server_id, t.node_client_id
            order by r.received_at, r.seq, t.upload_bytes, t.download_bytes
        ) as place
    from report r
    cross join lateral (
        -- Not a join, so that each report is looked up by the index of the one partition of its
        -- arrival.
        select * from telecom.traffic_usage t
        where t.usage_report_seq = r.seq and t.received_at = r.received_at and t.user_id = $1
        offset 0
    ) t
), part as materialized (
    select billing_run_id, node_server_id, node_client_id, count(*) as lines,
        min(received_at) as first_at, sum(upload_bytes)::bigint as raw_upload,
        sum(download_bytes)::bigint as raw_download,
        sum(upload_bytes * traffic_factor) as exact_upload,
        sum(download_bytes * traffic_factor) as exact_download,
        jsonb_agg(jsonb_build_object(
            'report_id', report_id, 'received_at', received_at,
            'period_start', period_start, 'period_end', period_end,
            'upload', upload_bytes, 'download', download_bytes, 'factor', traffic_factor
        ) order by place) filter (where place <= $5) as first_lines
    from line
    group by billing_run_id, node_server_id, node_client_id
), page as (
    select * from part
    order by first_at, billing_run_id, node_server_id, node_client_id
    limit $3 offset $4
)
-- The first row is the sum of all billed parts, with the number of all parts.
select null::uuid as billing_run_id, 0 as "server_id!", null::int as node_client_id,
    count(*) as "lines!",
    coalesce(sum(raw_upload) filter (where billing_run_id is not null), 0)::bigint
        as "raw_upload!",
    coalesce(sum(raw_download) filter (where billing_run_id is not null), 0)::bigint
        as "raw_download!",
    coalesce(sum(round(exact_upload)) filter (where billing_run_id is not null), 0)::bigint
        as "billed_upload!",
    coalesce(sum(round(exact_download)) filter (where billing_run_id is not null), 0)::bigint
        as "billed_download!",
    '' as "exact_upload!", '' as "exact_download!", '[]'::jsonb as "first_lines!",
    null::timestamptz as first_at, null::text as node_client_name
from part
union all
select p.billing_run_id, p.node_server_id, p.node_client_id, p.lines, p.raw_upload, p.raw_download,
    case when p.billing_run_id is null then 0 else round(p.exact_upload)::bigint end,
    case when p.billing_run_id is null then 0 else round(p.exact_download)::bigint end,
    trim_scale(p.exact_upload)::text, trim_scale(p.exact_download)::text, p.first_lines, p.first_at,
    n.name
from page p
left join telecom.node_client n on n.id = p.node_client_id
order by first_at nulls first, 1, 2, 3
