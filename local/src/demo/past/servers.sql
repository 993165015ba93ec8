-- Writes the statuses and the metrics of servers. All servers are online at the end: they were heard when the fleet was
-- seeded, and the simulator goes on at once. So the statuses are right from the first moment, and do not wait for a run
-- of `refresh-server-status`. Without the simulator, that job finds that no server is heard, as for a real fleet.

update telecom.node_server set status = 'online';

-- Intervals follow each other without a gap. Silence is noticed after five minutes, an end of it within one.
insert into telecom.node_status_transition (
    node_server_id, from_status, to_status, since, until, detected_at, actor_user_id, reason)
select server_id, lag(status) over in_time, status, since, lead(since) over in_time, detected_at,
    case when reason is not null then admin end, reason
from demo_past, (
    select id as server_id, 'online'::telecom.node_server_status as status, starts as since,
        starts + interval '40 seconds' as detected_at, null as reason
    from demo_past, telecom.node_server
    union all
    select server_id, status, since,
        case status when 'offline' then since + interval '5 minutes 25 seconds' else since end, reason
    from demo_past_downtime
    union all
    select server_id, 'online', until, case status when 'offline' then until + interval '35 seconds' else until end,
        case when reason is not null then 'Done: ' || reason end
    from demo_past_downtime
) t
window in_time as (partition by server_id order by since)
order by since, server_id;

-- Once, no server was heard for 23 minutes. Their reports came later.
insert into telecom.collection_outage (since, until)
select since, since + interval '23 minutes 10 seconds'
from (select starts + days * 0.63 * interval '1 day' + interval '12 minutes' as since from demo_past where days > 2) o;

insert into telecom.node_status_history (node_server_id, status, created_at)
select t.node_server_id, t.to_status, recorded_at
from (
    select least(starts + make_interval(hours => h) + interval '2 seconds', now) as recorded_at
    from demo_past, generate_series(1, days * 24) h
) r
join telecom.node_status_transition t on t.since <= recorded_at and (t.until is null or t.until > recorded_at)
where not exists (
    select from telecom.collection_outage o where o.since <= recorded_at and (o.until is null or o.until > recorded_at)
)
order by recorded_at, t.node_server_id;

-- The watch has heard the servers since the past began. An older end of a run would count as a pause.
update telecom.node_status_watch set ran_at = greatest(ran_at, now), heard_from = starts from demo_past;
update telecom.node_status_seal set
    open_from = greatest(open_from, date_trunc('hour', (now - interval '48 hours') at time zone 'UTC')),
    kept_from = greatest(kept_from, starts)
from demo_past;
select telecom.refresh_node_status_view();

insert into telecom.audit_entry (created_at, actor_user_id, action, target_kind, target_id, before, after, reason)
select at, admin, action, target_kind, target_id, before, after, reason
from demo_past, (
    select since as at, 'SetNodeServerMaintenance' as action, 'node_server' as target_kind,
        node_server_id::text as target_id, jsonb_build_object('status', from_status) as before,
        jsonb_build_object('status', to_status) as after, reason
    from telecom.node_status_transition
    where reason is not null
    union all
    select corrected_at, 'CorrectUsage', 'usage_correction', id::text, null, jsonb_build_object(
        'id', id, 'user', user_id, 'hour', to_char(bucket_start at time zone 'UTC', iso), 'server_id', node_server_id,
        'node_client_id', node_client_id, 'package_queue_id', package_queue_id, 'billed_upload', billed_upload_bytes,
        'billed_download', billed_download_bytes, 'corrected_at', to_char(corrected_at at time zone 'UTC', iso),
        'actor', actor_user_id, 'reason', reason), reason
    from telecom.usage_correction, (values ('YYYY-MM-DD"T"HH24:MI:SS"Z"')) f (iso)
) e
order by at, target_id;

-- A report a minute. The load follows from the traffic and the users of the hour.
insert into telecom.node_server_metrics_hourly
select server_id, at, samples, samples, samples * cpu, least(100, cpu * 1.3 + 18 * luck),
    samples, samples * memory, (memory * 1.08)::bigint, total_memory,
    samples, samples * disk, disk::bigint, 80::bigint << 30,
    samples, samples * cpu / 40, cpu / 22 + luck,
    samples, samples * users * 0.4, ceil(users * 0.75)::bigint,
    samples, samples * upload / 3600, (upload / 1500)::bigint,
    samples, samples * download / 3600, (download / 1500)::bigint
from (
    select up.server_id, hour.at, greatest(1, round(60 * up.part))::bigint as samples, luck, total_memory,
        least(92, 4 + 5 * luck + 0.9 * coalesce(u.users, 0) + coalesce(download, 0) / 4e9) as cpu,
        total_memory * least(0.9, 0.22 + 0.06 * luck + 0.006 * coalesce(u.users, 0)) as memory,
        -- Logs grow, and are rotated each week.
        ((14::bigint << 30) + (hour.h % 168) * 38000000.0 * (0.5 + pg_temp.draw(up.server_id, seed + 71))) as disk,
        coalesce(u.users, 0) as users, coalesce(upload, 0)::double precision as upload,
        coalesce(download, 0)::double precision as download
    from demo_past
    cross join demo_past_up up
    join demo_past_hour hour on hour.h = up.h
    left join (
        select server_id, h, count(distinct user_id) as users, sum(upload) as upload, sum(download) as download
        from demo_past_usage
        group by 1, 2
    ) u on u.server_id = up.server_id and u.h = up.h
    cross join lateral (
        select pg_temp.draw(up.server_id * 1000 + up.h, seed + 70) as luck, 4::bigint << 30 as total_memory
    ) l
    where up.part > 0.02
) m
order by at, server_id;

-- The last sign of life of each server, with the metrics of the last hour.
insert into telecom.node_server_heartbeat (
    node_server_id, last_online_at, metrics_at, cpu_percent, memory_used_bytes, memory_total_bytes, disk_used_bytes,
    disk_total_bytes, load1, online_users, uptime_seconds, upload_bytes_per_second, download_bytes_per_second,
    last_traffic_at, clock_skew_seconds)
select node_server_id, now, now, cpu_percent_sum / samples, (memory_used_bytes_sum / samples)::bigint,
    memory_total_bytes_max, (disk_used_bytes_sum / samples)::bigint, disk_total_bytes_max, load1_sum / samples,
    round(online_users_sum / samples)::bigint,
    extract(epoch from now - (
        select max(since) from telecom.node_status_transition t where t.node_server_id = m.node_server_id
    ))::bigint,
    (upload_bytes_per_second_sum / samples)::bigint, (download_bytes_per_second_sum / samples)::bigint, now, 0
from demo_past
join telecom.node_server_metrics_hourly m on m.hour = ends - interval '1 hour'
on conflict (node_server_id) do nothing;

drop function pg_temp.draw;
