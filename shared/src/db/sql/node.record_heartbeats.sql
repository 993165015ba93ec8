/* node.record_heartbeats */
with heartbeat as (insert into telecom.node_server_heartbeat as h (
    node_server_id, last_online_at, metrics_at, cpu_percent, memory_used_bytes, memory_total_bytes,
    disk_used_bytes, disk_total_bytes, load1, online_users, uptime_seconds,
    upload_bytes_per_second, download_bytes_per_second,
    last_traffic_at, clock_skew_seconds, clock_skew_logged_at
)
select b.*, case when abs(b.clock_skew_seconds) >= $17 then $16::timestamptz end
from unnest(
    $1::int[], $2::timestamptz[], $3::timestamptz[], $4::float8[], $5::bigint[], $6::bigint[],
    $7::bigint[], $8::bigint[], $9::float8[], $10::bigint[], $11::bigint[],
    $12::bigint[], $13::bigint[],
    $14::timestamptz[], $15::int[]
) as b (
    node_server_id, last_online_at, metrics_at, cpu_percent, memory_used_bytes, memory_total_bytes,
    disk_used_bytes, disk_total_bytes, load1, online_users, uptime_seconds,
    upload_bytes_per_second, download_bytes_per_second,
    last_traffic_at, clock_skew_seconds
)
on conflict (node_server_id) do update set
    last_online_at = greatest(h.last_online_at, excluded.last_online_at),
    last_traffic_at = greatest(h.last_traffic_at, excluded.last_traffic_at),
    clock_skew_seconds = case when excluded.last_online_at > h.last_online_at
        then excluded.clock_skew_seconds else h.clock_skew_seconds end,
    clock_skew_logged_at = case when excluded.last_online_at > h.last_online_at
            and (h.clock_skew_logged_at > excluded.clock_skew_logged_at - interval '1 hour')
                is not true
        then coalesce(excluded.clock_skew_logged_at, h.clock_skew_logged_at)
        else h.clock_skew_logged_at end,
    (
        metrics_at, cpu_percent, memory_used_bytes, memory_total_bytes, disk_used_bytes,
        disk_total_bytes, load1, online_users, uptime_seconds,
        upload_bytes_per_second, download_bytes_per_second
    ) = (
        select case when newer then excluded.metrics_at else h.metrics_at end,
            case when newer then excluded.cpu_percent else h.cpu_percent end,
            case when newer then excluded.memory_used_bytes else h.memory_used_bytes end,
            case when newer then excluded.memory_total_bytes else h.memory_total_bytes end,
            case when newer then excluded.disk_used_bytes else h.disk_used_bytes end,
            case when newer then excluded.disk_total_bytes else h.disk_total_bytes end,
            case when newer then excluded.load1 else h.load1 end,
            case when newer then excluded.online_users else h.online_users end,
            case when newer then excluded.uptime_seconds else h.uptime_seconds end,
            case when newer then excluded.upload_bytes_per_second
                else h.upload_bytes_per_second end,
            case when newer then excluded.download_bytes_per_second
                else h.download_bytes_per_second end
        from (
            values (coalesce(excluded.metrics_at > coalesce(h.metrics_at, '-infinity'), false))
        ) as v (newer)
    )
where excluded.last_online_at > h.last_online_at
    or coalesce(excluded.metrics_at > coalesce(h.metrics_at, '-infinity'), false)
    or coalesce(excluded.last_traffic_at > coalesce(h.last_traffic_at, '-infinity'), false)
returning node_server_id, clock_skew_seconds, clock_skew_logged_at)
select node_server_id as "node_server_id!", clock_skew_seconds as "clock_skew_seconds!"
from heartbeat
where clock_skew_logged_at = $16 and clock_skew_seconds is not null
