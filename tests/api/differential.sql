-- Generated data, and for each API a function that returns the expected response as JSON, written from the documentation
-- in the plainest SQL. Arguments: the user, now, and up to four strings of the request. The caller sets the seed.

create function pg_temp.one_of(anyarray) returns anyelement language sql volatile as $$
    select $1[1 + floor(random() * array_length($1, 1))::int]
$$;

insert into telecom.node_server (id, name, compatibility, status, server_config, created_at, updated_at, archived_at)
select n, (array['server ', '=server', 'Köln, "', E'two\nlines '])[1 + n % 4] || n,
    pg_temp.one_of(array['new_v2b', 'ssp'])::telecom.node_server_compatibility,
    pg_temp.one_of(array['online', 'offline', 'maintenance'])::telecom.node_server_status,
    jsonb_build_object('port', 8000 + n, 'server_key', md5(n::text), 'nested', jsonb_build_object('list', array[1, 2.5, n])),
    timestamptz '2026-01-01 00:00:00.123456Z' + n * interval '1 hour', timestamptz '2026-02-01Z',
    case when n % 7 = 0 then timestamptz '2026-03-01Z' end
from generate_series(2, 20) n;

insert into telecom.node_server_heartbeat (node_server_id, last_online_at, last_traffic_at, clock_skew_seconds, metrics_at, cpu_percent, memory_used_bytes, load1, online_users)
select n, timestamptz '2026-03-10 10:00:00Z' - n * interval '7 minutes',
    case when n % 4 > 0 then timestamptz '2026-03-10 08:00:00.25Z' - n * interval '7 hours' end, case when n % 5 > 0 then n * 100 - 700 end,
    case when n % 3 > 0 then timestamptz '2026-03-10 09:00:00Z' end, case when n % 3 > 0 then n * 1.5 end,
    case when n % 3 > 0 then n * 1000000::bigint end, case when n % 6 > 3 then n / 10.0 end, case when n % 3 > 0 then n end
from generate_series(1, 15) n;

insert into telecom.node_client (id, node_server_id, name, traffic_factor, display_order, speed_limit_bits_per_second,
    country, location, route_class, access_groups, client_config, created_at, updated_at, archived_at)
select 100 + n, 1 + (random() * 14)::int, (array['client ', '-client', '+1', '-'])[1 + n % 4] || n,
    pg_temp.one_of(array[0, 0.5, 1, 1.5, 2.0001]), (random() * 9)::int - 3,
    case when random() < 0.3 then n * 1000000 end, pg_temp.one_of(array['DE', 'NL', 'JP']),
    case when n % 4 > 0 then 'town ' || n else '' end, pg_temp.one_of(array['relay', '', '@home']),
    pg_temp.one_of(array['{}', '{1}', '{1,2}', '{2,3}', '{3}', '{4,1,3}'])::int[],
    jsonb_build_object('path', '/' || n, 'password', 'p' || n), timestamptz '2026-01-05Z', timestamptz '2026-01-06Z',
    case when n % 6 = 0 then timestamptz '2026-03-01Z' end
from generate_series(1, 40) n;

insert into telecom.package (series, version, is_master, name, available_group, max_client_number, expire_duration_seconds, traffic_limit_bytes)
select md5('series ' || s)::uuid, v, v = 2 and s <> 3, 'package ' || s || '.' || v, s, 3, 86400 * 30, case when s < 4 or v < 3 then 1000000::bigint * s * v end
from generate_series(1, 4) s, generate_series(1, 3) v;

-- Four intervals each, the last one open, and outages of the collection across some of them.
insert into telecom.node_status_transition (node_server_id, from_status, to_status, since, until, detected_at)
select s.id, (array[null, 'online', 'offline', 'maintenance'])[i]::telecom.node_server_status,
    (array['online', 'offline', 'maintenance', 'online'])[i]::telecom.node_server_status,
    b.edges[i], b.edges[i + 1], b.edges[i]
from telecom.node_server s
cross join lateral (
    select array_agg(e order by e) || null::timestamptz as edges
    from (select date_trunc('second', timestamptz '2026-02-27Z' + s.id * 0 * interval '1s' + random() * interval '11 days') as e from generate_series(1, 4)) x
) b
cross join generate_series(1, 4) i
where s.id <> 5;
insert into telecom.collection_outage (since, until) values ('2026-03-01 05:00Z', '2026-03-01 09:30:15Z'),
    ('2026-03-09 23:00:30Z', null);

create schema oracle;
create table oracle.users as select n, md5('user ' || n)::uuid as user_id from generate_series(1, 12) n;

-- Users 1 to 8 have an active item and others; 9 and 10 only ended ones; 11 only waiting ones; 12 nothing.
insert into telecom.package_queue (user_id, package_id, by_order, status, end_reason, upload_bytes, download_bytes,
    adjust_quota_bytes, created_at, activated_at, expires_at, extended_seconds, ended_at)
select u.user_id, 1 + floor(random() * 12)::int, case when i % 3 > 0 then md5('order ' || u.n % 3)::uuid end,
    s.status::telecom.package_queue_status,
    case s.status when 'consumed' then pg_temp.one_of(array['time', 'traffic']) when 'cancelled' then 'cancelled' end::telecom.package_end_reason,
    case when s.status <> 'in_queue' then (random() * 900000)::bigint else 0 end,
    case when s.status <> 'in_queue' then (random() * 900000)::bigint else 0 end,
    case when i % 4 = 0 then (random() * 2000000 - 1500000)::bigint else 0 end,
    timestamptz '2026-02-01Z' + (u.n * 10 + i) * interval '1 minute',
    case when s.status in ('active', 'consumed') then timestamptz '2026-02-10Z' end,
    case when s.status in ('active', 'consumed') then timestamptz '2026-03-12Z' end, case when s.status = 'active' then u.n * 3600 else 0 end,
    case when s.status in ('consumed', 'cancelled') then timestamptz '2026-02-20 12:34:56.789Z' end
from oracle.users u, generate_series(1, 6) i,
    lateral (select case when i = 3 and u.n <= 8 then 'active' when i < 3 and u.n <= 10 then 'consumed'
        when i = 4 and u.n <= 10 then 'cancelled' when i > 4 and u.n <= 8 or u.n = 11 then 'in_queue' end as status) s
where s.status is not null;

insert into telecom.user_package_usage
select u.user_id, timestamptz '2026-03-10 10:00:00Z' - h * interval '5 hours' + floor(random() * 5)::int * interval '1 hour',
    1 + (h + u.n) % 15, case when h % 7 > 0 then 101 + floor(random() * 45)::int end, null, (random() * 10000)::bigint, (random() * 100000)::bigint,
    (random() * 10000)::bigint, (random() * 100000)::bigint
from oracle.users u, generate_series(0, 160) h
where u.n < 10;

insert into telecom.audit_entry (created_at, actor_user_id, request_id, action, target_kind, target_id, before, after, reason)
select timestamptz '2026-03-10 10:00:00.5Z' - (n / 2) * interval '97 minutes', md5('user ' || 1 + n % 4)::uuid,
    case when n % 3 > 0 then md5('request ' || n) end, (array['AdjustQuota', 'CancelOrder', 'RevealSecrets'])[1 + n % 3],
    (array['package_item', 'order', 'node_server'])[1 + n % 3],
    case when n % 3 = 1 then md5('order ' || n % 2)::uuid::text else (1 + n % 5)::text end,
    case when n % 3 = 0 then jsonb_build_object('adjust_quota', n * 1000000000::bigint, 'quota', null) end,
    case when n % 3 < 2 then jsonb_build_object('adjust_quota', -n, 'names', array['a', 'b'], 'nested', jsonb_build_object('x', 1.5)) end,
    (array['=1+1', null, E'two, "words"'])[1 + n % 3]
from generate_series(1, 60) n;

insert into telecom.parked_event (user_id, bucket_start, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
    billed_upload_bytes, billed_download_bytes, reason, parked_at, attempts, retry_at)
select md5('user ' || 1 + n % 5)::uuid, timestamptz '2026-03-10Z' + n % 7 * interval '1 hour', 1 + n % 15,
    case when n % 4 > 0 then 100 + n end, n, (random() * 1e15)::bigint, 2 * n, 3 * n,
    (array['locked: ', 'number_overflow: a counter, "quoted"'])[1 + n % 2], timestamptz '2026-03-10 10:00:00.25Z' - n % 3 * interval '1 minute',
    1 + n % 8, timestamptz '2026-03-10 10:30Z' + n * interval '1 minute'
from generate_series(1, 40) n;

insert into telecom.doubtful_push (push_id, doubt, node_access_id, node_server_id, node_client_id, arrived_at, previous_push_id,
    evidence, user_numbers, upload_bytes, download_bytes, total_bytes, traffic_factor, unreadable, unreadable_rows, decision,
    decided_at)
select md5('push ' || n / 2)::uuid, (array['contains_previous', 'unknown_users', 'unreadable_rows'])[1 + n % 3]::telecom.doubt,
    1 + n % 4, 1 + n % 15, case when n % 5 > 0 then 101 + n % 8 end, timestamptz '2026-03-10 10:00:00.25Z' - n * interval '1 minute',
    case when n % 3 = 0 then md5('push ' || n - 1)::uuid end,
    case when n % 3 = 0 then array['repeated', 'larger'] else '{}' end,
    case when n % 3 < 2 then array[1, n] else '{}' end, case when n % 3 < 2 then array[5, n]::bigint[] else '{}' end,
    case when n % 3 < 2 then array[0, (random() * 1e15)::bigint] else '{}' end, 1000000007::bigint * n,
    case when n % 3 = 0 and n % 4 > 0 then 1.5 end,
    case when n % 3 = 2 then (select jsonb_agg(jsonb_build_object('key', '=' || i, 'reason', 'no number')) from generate_series(1, n) i)
        else '[]' end,
    case when n % 3 = 2 then 2 * n else 0 end,
    case when n % 7 < 2 then (array['kept', 'corrected'])[1 + n % 2]::telecom.doubt_decision end,
    case when n % 7 < 2 then timestamptz '2026-03-10 10:20Z' end
from generate_series(1, 40) n;

-- Drifts of each kind, some of them accepted.
insert into telecom.usage_drift (kind, bucket_start, package_queue_id, billing_run_id, user_id, raw_upload_bytes,
    raw_download_bytes, billed_upload_bytes, billed_download_bytes, first_found_at, found_at, accepted_reason)
select kind, case when kind not in ('item', 'run', 'applied') then timestamptz '2026-03-09Z' + n * interval '1 hour' end,
    case when kind = 'item' then n end, case when kind in ('run', 'applied') then md5('run ' || n)::uuid end,
    case when kind = 'item' then md5('user ' || n)::uuid end, n, -n, (random() * 1e15)::bigint, -9223372036854775807,
    case when n % 4 > 0 then timestamptz '2026-03-10 09:20Z' end, timestamptz '2026-03-10 10:00:00.25Z' + n * interval '1 minute',
    case when n % 5 = 0 then 'imported' end
from (select (array['hour', 'uncharged', 'item', 'run', 'applied', 'node_hour', 'node_day', 'user_day'])[1 + n % 8] as kind, n
    from generate_series(1, 40) n) d;

-- Reports in quarantine, some of them released.
insert into telecom.quarantined_report (usage_report_seq, report_id, node_server_id, sender_id, period_start, period_end, received_at,
    reason, released_at, released_by, release_reason)
select 3 * n, md5('quarantined ' || n)::uuid, 1 + n % 15, case when n % 3 > 0 then '=sender ' || n end, timestamptz '2026-03-10Z',
    timestamptz '2026-03-10 00:02Z' + n * interval '1 minute', timestamptz '2026-03-10 00:03:00.25Z' + n * interval '1 minute',
    (array['implausible_bytes', 'unknown_node_client'])[1 + n % 2],
    case when n % 4 = 0 then timestamptz '2026-03-10 09:00:00.5Z' end, case when n % 4 = 0 then 'owner' end,
    case when n % 4 = 0 then 'two, "words"' end
from generate_series(1, 40) n;
insert into telecom.quarantined_usage
select 3 * n, (random() * 1e15)::bigint, n, md5('user ' || 1 + i % 5)::uuid, case when i % 2 = 0 then 100 + i end,
    case when n % 2 = 0 or i % 3 > 0 then 1.5 end
from generate_series(1, 40) n, generate_series(1, 1 + n % 6) i;

insert into telecom.node_access (token_hash, protocol, software, node_server_id, node_client_id, allowed_networks,
    interval_seconds, client_timeout_seconds, created_at, revoked_at)
select sha256(convert_to('token ' || n, 'UTF8')), (array['uniproxy', 'mod_mu', 'usage_report'])[1 + n % 3]::telecom.node_protocol,
    (array['xrayr', 'other', 'collector'])[1 + n % 3], 1 + n % 15,
    case when n % 2 = 0 then (select min(id) from telecom.node_client where node_server_id = 1 + n % 15) end,
    (array['{}', '{203.0.113.0/24}', '{203.0.113.0/24,2001:db8::/32}'])[1 + n % 3]::text[], 60 + n, 1 + n,
    timestamptz '2026-03-01 12:00:00.5Z' + n * interval '1 hour', case when n % 4 = 0 then timestamptz '2026-03-09 01:02:03.004Z' end
from generate_series(1, 40) n;

-- Metrics of most servers in most hours, some of them missing.
insert into telecom.node_server_metrics_hourly
select s, timestamptz '2026-02-25Z' + h * interval '1 hour', 3 + h % 5,
    h % 4, h % 4 * 20.25, case when h % 4 > 0 then 33.5 + h % 60 end,
    h % 3, h % 3 * 1000000.0 * s, case when h % 3 > 0 then 2000000 * s end, case when h % 3 > 0 then 4000000 end,
    h % 2, h % 2 * 7.0 * h, case when h % 2 > 0 then 8 * h end, case when h % 2 > 0 then 9 * h end,
    h % 5, h % 5 * 0.1, case when h % 5 > 0 then 0.75 end, h % 7, h % 7 * 11, case when h % 7 > 0 then h end,
    3, s * 1e10, (s * 1e15)::bigint, 1, h, h
from generate_series(1, 18) s, generate_series(0, 330) h
where (s + h) % 6 > 0;

-- Runs of some jobs, two at the same time each. Of those that have not ended, some are over at 10:30.
insert into telecom.job_run (id, job, request_id, started_at, deadline_at, ended_at, outcome, error_code, counts, lag_seconds)
select md5('run ' || n)::uuid, (array['bill-traffic', 'sweep-outbox', 'maintain-storage'])[1 + n % 3],
    case when n % 5 > 0 then md5('invocation ' || n) end, started_at, case when n % 7 > 0 then started_at + interval '1 minute' end,
    case when n % 4 > 0 then started_at + n * interval '1234.5678 milliseconds' end,
    (array['running', 'completed', 'incomplete', 'failed'])[1 + n % 4]::telecom.job_outcome, case when n % 4 = 3 then 'unavailable' end,
    case when n % 4 in (1, 2) then jsonb_build_object('reports', n, 'complete', n % 4 = 1) end, case when n % 12 = 1 then n end
from generate_series(1, 60) n, lateral (select timestamptz '2026-03-10 10:29:50.125Z' - (n / 2) * interval '47 minutes' as started_at) s;

-- Failed messages of three queues with three codes each, and the numbers of dead letters of two queues.
insert into telecom.rejected_message (queue, message_id, error_code, reason, attempts, first_failed_at, last_failed_at)
select (array['node-usage', 'package-order', 'of-newer-code'])[1 + n % 3], md5('message ' || n), (array['a_code', 'b_code', 'c_code'])[1 + n % 7 % 3],
    (array['=1', 'two, "words"', 'Ü'])[1 + n % 3] || n, 1 + n % 5, timestamptz '2026-03-10 09:00:00.5Z' - n * interval '1 minute',
    timestamptz '2026-03-10 10:00:00.25Z' - n / 4 * interval '1 minute'
from generate_series(1, 60) n;
insert into telecom.dead_letter_queue values ('node-usage', 7, '2026-03-10 10:29:00.125Z'), ('schedule', 0, '2026-03-10 10:28Z');

-- Webhooks, and deliveries to two of them.
insert into telecom.webhook (id, url, description, event_types, sealed_secret, sealed_previous_secret, previous_secret_until,
    created_at, disabled_at, disabled_by)
select md5('webhook ' || n)::uuid, 'https://hooks.example.com/' || n, (array['=1+1', 'two, "words"'])[1 + n % 2],
    (array['{}', '{PackageExpired}', '{PackageActivated,PackageExpired}'])[1 + n % 3]::text[], '', case when n % 2 = 0 then ''::bytea end,
    case when n % 2 = 0 then timestamptz '2026-03-10 12:00Z' end, timestamptz '2026-03-01 12:00:00.5Z' + n / 2 * interval '1 hour',
    case when n % 3 = 0 then timestamptz '2026-03-09 01:02:03.004Z' end,
    case when n % 3 = 0 then (array['requested', 'gone'])[1 + n % 2]::telecom.webhook_end end
from generate_series(1, 12) n;

insert into telecom.webhook_delivery (webhook_id, event_id, event_type, body, created_at, status, attempts, due_at, retry_until,
    last_attempt_at, response_status, failure)
select md5('webhook ' || 1 + n % 2)::uuid, md5('fact ' || n)::uuid, 'PackageExpired', '{}', timestamptz '2026-03-09Z' + n * interval '1 minute',
    (array['pending', 'delivered', 'failed'])[1 + n % 3]::telecom.webhook_delivery_status, n % 5,
    timestamptz '2026-03-10 10:30Z' + n * interval '1 second', timestamptz '2026-03-10Z',
    case when n % 5 > 0 then timestamptz '2026-03-10 10:20:30.5Z' end, case when n % 5 > 1 then 500 end,
    case when n % 5 > 0 and n % 3 <> 1 then (array['status', 'timed_out', 'forbidden_address'])[1 + n % 3] end
from generate_series(1, 60) n;

-- Addresses of most users, some on several clients, some too old to count at 10:30.
insert into telecom.online_address (user_number, node_client_id, address_hash, seen_at)
select u.number, 101 + floor(random() * 12)::int, decode(md5('address ' || floor(random() * 9)), 'hex'),
    timestamptz '2026-03-10 10:30Z' - floor(random() * 10) * interval '30 seconds'
from telecom.node_user u, generate_series(1, 12) n
where u.number % 4 > 0
on conflict do nothing;

-- Snapshots of every hour of ten days, except for some that were missed.
insert into telecom.node_status_history (node_server_id, status, created_at)
select s.id, (array['online', 'online', 'offline', 'maintenance'])[1 + (random() * 3)::int]::telecom.node_server_status,
    timestamptz '2026-02-28 00:00:30Z' + h * interval '1 hour'
from telecom.node_server s, generate_series(0, 250) h
where h % 11 <> 0;
-- Some hours are sealed, some are in the view.
update telecom.node_status_seal set open_from = '2026-03-05';
refresh materialized view telecom.node_status_hourly_mv;
analyze;

create function oracle.group_of(u uuid) returns integer language sql as $$
    select p.available_group from telecom.package_queue q join telecom.package p on p.id = q.package_id
    where q.user_id = u and q.status = 'active'
$$;

-- The requested range. Either end may be empty.
create function oracle.until(b text, now timestamptz) returns timestamptz language sql as $$
    select coalesce(nullif(b, '')::timestamptz, now)
$$;

create function oracle.since(a text, b text, now timestamptz) returns timestamptz language sql as $$
    select coalesce(nullif(a, '')::timestamptz, oracle.until(b, now) - interval '24 hours')
$$;

create function oracle.traffic(u uuid, now timestamptz, range text, step text, count text, zone text) returns json language plpgsql as $$
declare
    raw    json[] := '{}';
    billed json[] := '{}';
    -- Hours are UTC hours in every zone.
    tz     text := case when step = 'hour' then 'UTC' else zone end;
    i      integer;
    a      timestamptz;
    b      timestamptz;
    t      record;
begin
    for i in reverse count::int - 1 .. 0 loop
        a := (date_trunc(step, now at time zone tz) - i * ('1 ' || step)::interval) at time zone tz;
        b := (date_trunc(step, now at time zone tz) - (i - 1) * ('1 ' || step)::interval) at time zone tz;
        select coalesce(sum(raw_upload_bytes), 0) ru, coalesce(sum(raw_download_bytes), 0) rd,
            coalesce(sum(billed_upload_bytes), 0) bu, coalesce(sum(billed_download_bytes), 0) bd
        into t from telecom.user_package_usage where user_id = u and bucket_start >= a and bucket_start < b;
        raw := raw || json_build_object('start', a, 'end', b, 'upload', t.ru, 'download', t.rd);
        billed := billed || json_build_object('start', a, 'end', b, 'upload', t.bu, 'download', t.bd);
    end loop;
    return json_build_object('range', range, 'time_zone', zone, 'raw', raw, 'actually_billed', billed);
end $$;

-- Seconds of a server in a status: the overlap of each interval with the range, minus outages of the collection.
-- Maintenance is known throughout.
create function oracle.seconds(server integer, wanted text, a timestamptz, b timestamptz) returns bigint language sql as $$
    select (extract(epoch from coalesce(sum(upper_end - lower_end - coalesce((
        select sum(least(coalesce(o.until, 'infinity'), upper_end) - greatest(o.since, lower_end))
        from telecom.collection_outage o
        where wanted <> 'maintenance' and o.since < upper_end and coalesce(o.until, 'infinity') > lower_end
    ), '0')), '0')))::bigint
    from (
        select greatest(since, a) as lower_end, least(coalesce(until, 'infinity'), b) as upper_end
        from telecom.node_status_transition where node_server_id = server and to_status::text = wanted
    ) overlap
    where lower_end < upper_end
$$;

create function oracle.times(server integer, a timestamptz, b timestamptz) returns jsonb language sql as $$
    select jsonb_build_object('online_seconds', u, 'offline_seconds', d, 'maintenance_seconds', m,
        'unknown_seconds', extract(epoch from b - a)::bigint - u - d - m,
        'availability', u::float8 / nullif(u + d, 0))
    from (select oracle.seconds(server, 'online', a, b) as u, oracle.seconds(server, 'offline', a, b) as d,
        oracle.seconds(server, 'maintenance', a, b) as m) t
$$;

create function oracle.availability(u uuid, now timestamptz, wanted text, a text, b text, text) returns jsonb language sql as $$
    select jsonb_build_object('id', id, 'start', since, 'end', until, 'hours', (
        select coalesce(jsonb_agg(jsonb_build_object('hour', h) || oracle.times(id, greatest(h, since), least(h + interval '1 hour', until))
            order by h), '[]')
        from generate_series(date_trunc('hour', since, 'UTC'), until, interval '1 hour') h where h < until and since < until
    )) || oracle.times(id, since, until)
    from telecom.node_server, least(oracle.since(a, b, now), now) since, least(oracle.until(b, now), now) until
    where id = wanted::int
$$;

-- Whether a user may use a node client.
create function oracle.opens(c telecom.node_client, u uuid) returns boolean language sql as $$
    select c.archived_at is null and oracle.group_of(u) = any (c.access_groups)
$$;

create function oracle.history(u uuid, now timestamptz, text, a text, b text, text) returns json language sql as $$
    select json_build_object('availability', (
        select coalesce(json_agg(jsonb_build_object('node_client_id', c.id)
            || oracle.times(c.node_server_id, least(oracle.since(a, b, now), now), least(oracle.until(b, now), now))
            order by c.display_order, c.id), '[]')
        from telecom.node_client c where oracle.opens(c, u)
    ), 'node_count', (select count(*) from telecom.node_client c where oracle.opens(c, u)
    ), 'hours', coalesce(json_agg(h order by h.bucket_start), '[]')) from (
        select date_trunc('hour', h.created_at) as bucket_start,
            count(*) filter (where h.status = 'online') as online_nodes,
            count(*) filter (where h.status = 'offline') as offline_nodes,
            count(*) filter (where h.status = 'maintenance') as maintenance_nodes
        from telecom.node_status_history h, telecom.node_client c
        where c.node_server_id = h.node_server_id and oracle.opens(c, u)
            and date_trunc('hour', h.created_at) >= oracle.since(a, b, now)
            and date_trunc('hour', h.created_at) < oracle.until(b, now)
        group by 1
    ) h
$$;

create function oracle.used(u uuid, now timestamptz, n text, text, text, text) returns json language sql as $$
    select json_build_object('nodes', coalesce(json_agg(json_build_object('node_client_id', id, 'node_name', name,
        'upload', upload, 'download', download, 'billed_traffic', billed) order by rank), '[]'))
    from (
        select c.id, c.name, sum(raw_upload_bytes) as upload, sum(raw_download_bytes) as download,
            sum(billed_upload_bytes + billed_download_bytes) as billed,
            row_number() over (order by sum(billed_upload_bytes + billed_download_bytes) desc,
                sum(raw_upload_bytes + raw_download_bytes) desc, c.id) as rank
        from telecom.user_package_usage x, telecom.node_client c
        where c.id = x.node_client_id and oracle.opens(c, u) and x.user_id = u
            and x.bucket_start between date_trunc('hour', now) - interval '30 days' and now
        group by c.id, c.name
    ) used where rank <= n::int
$$;

create function oracle.nodes(u uuid, now timestamptz, n text, skip text, text, text) returns json language sql as $$
    with mine as (
        select c.*, s.status, row_number() over (order by c.display_order, c.id) as rank
        from telecom.node_client c, telecom.node_server s
        where s.id = c.node_server_id and oracle.opens(c, u)
    )
    select json_build_object('total', (select count(*) from mine), 'nodes', coalesce(json_agg(json_build_object(
        'id', id, 'name', name, 'traffic_factor', traffic_factor, 'display_order', display_order,
        'speed_limit', speed_limit_bits_per_second, 'status', status, 'country', country, 'location', location,
        'route_class', route_class) order by rank), '[]'))
    from mine where rank > skip::int and rank <= skip::int + n::int
$$;

create function oracle.summary(server integer) returns json language sql as $$
    select json_build_object('id', id, 'name', name, 'compatibility', compatibility, 'status', status,
        'last_online_at', (select last_online_at from telecom.node_server_heartbeat where node_server_id = id),
        'client_count', (select count(*) from telecom.node_client c
            where c.node_server_id = telecom.node_server.id and c.archived_at is null),
        'last_traffic_at', (select last_traffic_at from telecom.node_server_heartbeat where node_server_id = id),
        'archived_at', archived_at)
    from telecom.node_server where id = server
$$;

create function oracle.metrics(server integer) returns json language sql as $$
    select json_build_object('measured_at', metrics_at, 'cpu_percent', cpu_percent, 'memory_used', memory_used_bytes,
        'load1', load1, 'online_users', online_users)
    from telecom.node_server_heartbeat where node_server_id = server and metrics_at is not null
$$;

create function oracle.servers(u uuid, now timestamptz, n text, skip text, wanted text, archived text) returns json language sql as $$
    with matching as (
        select id, row_number() over (order by id) as rank from telecom.node_server
        where (wanted = '' or status::text = wanted) and (archived = 'true' or archived_at is null)
    )
    select json_build_object('total', (select count(*) from matching),
        'servers', coalesce(json_agg(oracle.summary(id) order by rank), '[]'))
    from matching where rank > skip::int and rank <= skip::int + n::int
$$;

-- In these configurations only the port is known to be harmless.
create function oracle.masked(config jsonb, shown boolean) returns jsonb language sql as $$
    select coalesce(jsonb_object_agg(name, case when shown or name = 'port' then value else '"********"' end), '{}')
    from jsonb_each(config) as fields (name, value)
$$;

create function oracle.server(u uuid, now timestamptz, wanted text, reveal text, text, text) returns json language sql as $$
    select json_build_object('server', oracle.summary(id),
        'server_config', oracle.masked(server_config, reveal::boolean), 'metrics', oracle.metrics(id),
        'clock_skew_seconds', (select clock_skew_seconds from telecom.node_server_heartbeat where node_server_id = id),
        'revision', revision, 'created_at', created_at, 'updated_at', updated_at)
    from telecom.node_server where id = wanted::int
$$;

create function oracle.one_client(wanted integer, shown boolean) returns json language sql as $$
    select json_build_object('id', c.id, 'name', c.name, 'server_id', s.id, 'server_name', s.name, 'status', s.status,
        'traffic_factor', c.traffic_factor, 'display_order', c.display_order, 'speed_limit', c.speed_limit_bits_per_second,
        'country', c.country, 'location', c.location, 'route_class', c.route_class, 'access_groups', c.access_groups,
        'client_config', oracle.masked(c.client_config, shown),
        'revision', c.revision, 'archived_at', c.archived_at, 'created_at', c.created_at, 'updated_at', c.updated_at)
    from telecom.node_client c, telecom.node_server s where s.id = c.node_server_id and c.id = wanted
$$;

create function oracle.clients(u uuid, now timestamptz, n text, skip text, wanted text, archived text) returns json language sql as $$
    with matching as (
        select id, row_number() over (order by id) as rank from telecom.node_client
        where (wanted = '' or node_server_id::text = wanted) and (archived = 'true' or archived_at is null)
    )
    select json_build_object('total', (select count(*) from matching),
        'clients', coalesce(json_agg(oracle.one_client(id, false) order by rank), '[]'))
    from matching where rank > skip::int and rank <= skip::int + n::int
$$;

create function oracle.client(u uuid, now timestamptz, wanted text, reveal text, text, text) returns json language sql as $$
    select json_build_object('client', oracle.one_client(id, reveal::boolean), 'server', oracle.summary(node_server_id),
        'metrics', oracle.metrics(node_server_id))
    from telecom.node_client where id = wanted::int
$$;

create function oracle.tally(items text[]) returns json language sql as $$
    select json_build_object('in_queue', count(*) filter (where s = 'in_queue'), 'active', count(*) filter (where s = 'active'),
        'consumed', count(*) filter (where s = 'consumed'), 'cancelled', count(*) filter (where s = 'cancelled'), 'total', count(*))
    from unnest(items) s
$$;

create function oracle.counts(u uuid, now timestamptz, text, text, text, text) returns json language sql as $$
    with series as (
        select p.series, coalesce(max(p.name) filter (where p.is_master), max(p.name)) as name,
            array(select q.status::text from telecom.package_queue q, telecom.package x where x.id = q.package_id and x.series = p.series) as items
        from telecom.package p group by p.series
    )
    select json_build_object('all', oracle.tally(array(select status::text from telecom.package_queue)),
        'series', json_agg(json_build_object('series', series, 'name', name, 'counts', oracle.tally(items)) order by name, series))
    from series
$$;

create function oracle.packages(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language sql as $$
    with matching as (
        select q.*, p.name, p.series, p.version, p.traffic_limit_bytes + q.adjust_quota_bytes as quota,
            row_number() over (order by q.id desc) as rank
        from telecom.package_queue q, telecom.package p, (
            select nullif(f ->> 'user', '')::uuid as of_user, nullif(f ->> 'order', '')::uuid as of_order,
                nullif(f ->> 'package', '')::bigint as of_package, nullif(f ->> 'status', '') as of_status
            from cast(filters as jsonb) f
        ) f
        where p.id = q.package_id and (of_user is null or q.user_id = of_user)
            and (of_order is null or q.by_order = of_order) and (of_package is null or q.package_id = of_package)
            and (of_status is null or q.status::text = of_status)
    )
    select json_build_object('total', (select count(*) from matching), 'packages', coalesce(json_agg(json_build_object(
        'id', id, 'user', user_id, 'order', by_order, 'package_id', package_id, 'package_name', name, 'series', series,
        'version', version, 'status', status, 'upload', upload_bytes, 'download', download_bytes,
        'used', upload_bytes + download_bytes, 'quota', quota, 'quota_left', case when quota is not null then greatest(quota - upload_bytes - download_bytes, 0) end,
        'adjust_quota', adjust_quota_bytes, 'created_at', created_at, 'activated_at', activated_at, 'expires_at', expires_at,
        'extended_seconds', extended_seconds, 'ended_at', ended_at, 'end_reason', end_reason) order by rank), '[]'))
    from matching where rank > skip::int and rank <= skip::int + n::int
$$;

create function oracle.own_packages(u uuid, now timestamptz, n text, skip text, wanted text, filters text) returns json language sql as $$
    select oracle.packages(u, now, n, skip, wanted, (filters::jsonb || jsonb_build_object('user', u))::text)
$$;

create function oracle.audit(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language sql as $$
    with matching as (
        select e.*, row_number() over (order by e.created_at desc, e.id desc) as rank
        from telecom.audit_entry e, (
            select nullif(f ->> 'actor', '')::uuid as of_actor, nullif(f ->> 'action', '') as of_action,
                nullif(f ->> 'target_kind', '') as of_kind, nullif(f ->> 'target_id', '') as of_target,
                nullif(f ->> 'start', '')::timestamptz as since, nullif(f ->> 'end', '')::timestamptz as until,
                nullif(f ->> 'older_than', '')::bigint as than
            from cast(filters as jsonb) f
        ) f
        where (of_actor is null or e.actor_user_id = of_actor) and (of_action is null or e.action = of_action)
            and (of_kind is null or e.target_kind = of_kind)
            -- Ids of orders may be written without hyphens.
            and (of_target is null or replace(e.target_id, '-', '') = replace(of_target, '-', ''))
            and (since is null or e.created_at >= since) and (until is null or e.created_at < until)
            and (than is null or exists (select from telecom.audit_entry o
                where o.id = than and (e.created_at < o.created_at or e.created_at = o.created_at and e.id < o.id)))
    )
    select json_build_object('total', (select count(*) from matching), 'entries', coalesce(json_agg(json_build_object(
        'id', id, 'created_at', created_at, 'actor_user_id', actor_user_id, 'request_id', request_id, 'action', action,
        'target_kind', target_kind, 'target_id', target_id, 'before', before, 'after', after, 'reason', reason) order by rank), '[]'))
    from matching where rank > skip::int and rank <= skip::int + n::int
$$;

create function oracle.doubtful(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language sql as $$
    with matching as (
        select p.*, row_number() over (order by p.id desc) as rank from telecom.doubtful_push p, cast(filters as jsonb) f
        where coalesce(f ->> 'server_id', '') in ('', p.node_server_id::text)
            and (coalesce(f ->> 'node_client_id', '') = '' or p.node_client_id::text = f ->> 'node_client_id')
            and coalesce(f ->> 'doubt', '') in ('', p.doubt::text)
            and coalesce(f ->> 'state', '') in ('', case when p.decision is null then 'open' else 'decided' end)
    )
    select json_build_object('total', (select count(*) from matching), 'pushes', coalesce(json_agg(json_build_object(
        'id', id, 'doubt', doubt, 'evidence', evidence, 'push_id', push_id, 'previous_push_id', previous_push_id,
        'access_id', node_access_id, 'server_id', node_server_id, 'node_client_id', node_client_id, 'arrived_at', arrived_at,
        'users', coalesce(array_length(user_numbers, 1), 0), 'bytes', total_bytes, 'billed', traffic_factor is not null,
        'unreadable_rows', unreadable_rows,
        'unreadable', (select coalesce(json_agg(r order by i), '[]') from jsonb_array_elements(unreadable) with ordinality e (r, i)
            where i <= 10),
        'decision', decision, 'decided_at', decided_at) order by rank), '[]'))
    from matching where rank > skip::int and rank <= skip::int + n::int
$$;

create function oracle.drifts(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language sql as $$
    with matching as (
        select d.*, row_number() over (order by d.id desc) as rank from telecom.usage_drift d
        where d.accepted_reason is null and coalesce(filters::jsonb ->> 'kind', '') in ('', d.kind)
    )
    select json_build_object('total', (select count(*) from matching), 'drifts', coalesce(json_agg(json_build_object(
        'id', id, 'kind', kind, 'bucket_start', bucket_start, 'package_queue_id', package_queue_id, 'user', user_id,
        'billing_run_id', billing_run_id, 'raw_upload', raw_upload_bytes, 'raw_download', raw_download_bytes,
        'billed_upload', billed_upload_bytes, 'billed_download', billed_download_bytes,
        'first_found_at', coalesce(first_found_at, found_at), 'found_at', found_at) order by rank), '[]'))
    from matching where rank > skip::int and rank <= skip::int + n::int
$$;

create function oracle.quarantine(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language sql as $$
    with matching as (
        select r.*, row_number() over (order by r.usage_report_seq desc) as rank
        from telecom.quarantined_report r, cast(filters as jsonb) f
        where coalesce(f ->> 'server_id', '') in ('', r.node_server_id::text) and coalesce(f ->> 'reason', '') in ('', r.reason)
            and coalesce(f ->> 'state', '') in ('', case when r.released_at is null then 'waiting' else 'released' end)
    )
    select json_build_object('total', (select count(*) from matching), 'reports', coalesce(json_agg(json_build_object(
        'id', m.usage_report_seq, 'report_id', report_id, 'server_id', node_server_id, 'sender_id', sender_id,
        'period_start', period_start, 'period_end', period_end, 'received_at', received_at, 'reason', reason,
        'lines', l.lines, 'lines_without_factor', l.lines - l.factors, 'upload', l.upload, 'download', l.download,
        'released_at', released_at, 'released_by', released_by, 'release_reason', release_reason) order by rank), '[]'))
    from matching m
    join (select usage_report_seq, count(*) as lines, count(traffic_factor) as factors, sum(upload_bytes) as upload,
        sum(download_bytes) as download from telecom.quarantined_usage group by 1) l using (usage_report_seq)
    where rank > skip::int and rank <= skip::int + n::int
$$;

create function oracle.parked(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language sql as $$
    with matching as (
        select e.*, row_number() over (order by e.id) as rank from telecom.parked_event e
        where coalesce(filters::jsonb ->> 'user', '') = '' or e.user_id = (filters::jsonb ->> 'user')::uuid
    )
    select json_build_object('total', (select count(*) from matching), 'events', coalesce(json_agg(json_build_object(
        'id', id, 'user', user_id, 'bucket_start', bucket_start, 'server_id', node_server_id, 'node_client_id', node_client_id,
        'raw_upload', raw_upload_bytes, 'raw_download', raw_download_bytes, 'billed_upload', billed_upload_bytes,
        'billed_download', billed_download_bytes, 'reason', reason, 'parked_at', parked_at, 'attempts', attempts,
        'retry_at', retry_at) order by rank), '[]'))
    from matching where rank > skip::int and rank <= skip::int + n::int
$$;

create function oracle.corrections(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language sql as $$
    with matching as (
        select c.*, row_number() over (order by c.id desc) as rank from telecom.usage_correction c
        where coalesce(filters::jsonb ->> 'user', '') = '' or c.user_id = (filters::jsonb ->> 'user')::uuid
    )
    select json_build_object('total', (select count(*) from matching), 'corrections', coalesce(json_agg(json_build_object(
        'id', id, 'user', user_id, 'hour', bucket_start, 'server_id', node_server_id, 'node_client_id', node_client_id,
        'package_queue_id', package_queue_id, 'billed_upload', billed_upload_bytes, 'billed_download', billed_download_bytes,
        'corrected_at', corrected_at, 'actor', actor_user_id, 'reason', reason) order by rank), '[]'))
    from matching where rank > skip::int and rank <= skip::int + n::int
$$;

create function oracle.accesses(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language sql as $$
    with matching as (
        select a.*, row_number() over (order by a.id desc) as rank from telecom.node_access a, cast(filters as jsonb) f
        where coalesce(f ->> 'server_id', '') in ('', a.node_server_id::text)
            and (a.revoked_at is null or f ->> 'include_revoked' = 'true')
    )
    select json_build_object('total', (select count(*) from matching), 'accesses', coalesce(json_agg(json_build_object(
        'id', id, 'protocol', protocol, 'software', software, 'server_id', node_server_id, 'node_client_id', node_client_id,
        'allowed_networks', allowed_networks, 'interval_seconds', interval_seconds,
        'client_timeout_seconds', client_timeout_seconds, 'created_at', created_at, 'revoked_at', revoked_at) order by rank), '[]'))
    from matching where rank > skip::int and rank <= skip::int + n::int
$$;

create function oracle.device_limit(u uuid) returns integer language sql as $$
    select p.max_client_number from telecom.package_queue q, telecom.package p
    where p.id = q.package_id and q.user_id = u and q.status = 'active'
$$;

create function oracle.devices(u uuid, now timestamptz, text, text, text, text) returns json language sql as $$
    with seen as (
        select o.* from telecom.online_address o, telecom.node_user x
        where x.number = o.user_number and x.user_id = u and o.seen_at > now - interval '3 minutes'
    )
    select json_build_object('as_of', now, 'addresses', (select count(distinct address_hash) from seen),
        'device_limit', oracle.device_limit(u), 'clients', coalesce(json_agg(json_build_object(
        'node_client_id', node_client_id, 'addresses', addresses) order by addresses desc, node_client_id), '[]'))
    from (select node_client_id, count(*) as addresses from seen group by node_client_id) c
$$;

create function oracle.online(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language sql as $$
    with seen as (
        select o.*, x.user_id from telecom.online_address o, telecom.node_user x, cast(filters as jsonb) f
        where x.number = o.user_number and o.seen_at > now - interval '3 minutes'
            and (coalesce(f ->> 'user', '') = '' or x.user_id = (f ->> 'user')::uuid)
            and coalesce(f ->> 'node_client_id', '') in ('', o.node_client_id::text)
    ), people as (
        select user_id, user_number, count(distinct address_hash) as addresses, count(distinct node_client_id) as clients,
            row_number() over (order by count(distinct address_hash) desc, user_number) as rank
        from seen group by user_id, user_number
    ), clients as (
        select node_client_id, count(distinct user_id) as users, count(*) as addresses from seen group by node_client_id
    )
    select json_build_object('as_of', now, 'total', (select count(*) from people),
        'addresses', (select coalesce(sum(addresses), 0) from people), 'client_count', (select count(*) from clients),
        'clients', (select coalesce(json_agg(c order by addresses desc, node_client_id), '[]') from clients c),
        'users', coalesce(json_agg(json_build_object('user', user_id, 'number', user_number, 'addresses', addresses,
            'client_count', clients, 'device_limit', oracle.device_limit(user_id)) order by rank), '[]'))
    from people where rank > skip::int and rank <= skip::int + n::int
$$;

-- Usage at the ends of a quarter and of a year, whose days are summed.
insert into telecom.user_package_usage
select user_id, timestamptz '2026-03-10 23:00Z' - d * interval '1 day', 1 + n % 3, 100 + n, null, n, d, n * d, 2 * d
from oracle.users, unnest(array[89, 90, 364, 365]) d where n < 5;
insert into telecom.user_usage_daily
select user_id, (bucket_start at time zone 'UTC')::date, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
    billed_upload_bytes, billed_download_bytes
from telecom.user_package_usage where bucket_start < '2026-01-01Z';

-- Sums of the hourly usage, as charges append them. The job moves them before the requests.
insert into telecom.node_usage_delta
select bucket_start, node_server_id, node_client_id, sum(raw_upload_bytes), sum(raw_download_bytes),
    sum(billed_upload_bytes), sum(billed_download_bytes)
from telecom.user_package_usage group by bucket_start, node_server_id, node_client_id;
update telecom.usage_summary set days_closed_before = '2026-02-01', days_summed_before = '2026-02-01';

create function oracle.corrects(c telecom.usage_correction, x telecom.user_package_usage) returns boolean language sql as $$
    select (c.user_id, c.bucket_start, c.node_server_id, coalesce(c.node_client_id, 0), coalesce(c.package_queue_id, 0))
        = (x.user_id, x.bucket_start, x.node_server_id, coalesce(x.node_client_id, 0), coalesce(x.package_queue_id, 0))
$$;

-- The hourly usage, and what corrections added to each row of it.
create view oracle.usage_with_corrections as
select x.*, coalesce((select sum(billed_upload_bytes) from telecom.usage_correction c where oracle.corrects(c, x)), 0) as fixed_up,
    coalesce((select sum(billed_download_bytes) from telecom.usage_correction c where oracle.corrects(c, x)), 0) as fixed_down
from telecom.user_package_usage x;

create function oracle.usage(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language plpgsql as $$
declare
    f        jsonb := filters;
    step     text := coalesce(nullif(f ->> 'interval', ''), 'hour');
    zone     text := coalesce(nullif(f ->> 'time_zone', ''), 'UTC');
    grouping text := coalesce(nullif(f ->> 'group_by', ''), 'none');
    -- Hours are UTC hours in every zone.
    tz       text := case when step = 'hour' then 'UTC' else zone end;
    one      interval := ('1 ' || step)::interval;
    a        timestamptz := f ->> 'start';
    b        timestamptz := f ->> 'end';
    answer   json;
begin
    create temporary table bucket as
        select l at time zone tz as s, (l + one) at time zone tz as e
        from generate_series(date_trunc(step, a at time zone tz), b at time zone tz + interval '1 day', one) l
        where l at time zone tz < b;
    create temporary table cell as
        select s, e, case when grouping <> 'none' then node_server_id end as sid,
            case when grouping = 'client' then node_client_id end as cid, sum(raw_upload_bytes) as ru,
            sum(raw_download_bytes) as rd, sum(billed_upload_bytes) as bu, sum(billed_download_bytes) as bd,
            sum(fixed_up) as cu, sum(fixed_down) as cd
        from bucket join oracle.usage_with_corrections on bucket_start >= s and bucket_start < e
        where coalesce(f ->> 'user', '') in ('', replace(user_id::text, '-', ''), user_id::text, upper(user_id::text))
            and coalesce(f ->> 'server_id', '') in ('', node_server_id::text)
            and (coalesce(f ->> 'node_client_id', '') = '' or f ->> 'node_client_id' = node_client_id::text)
        group by s, e, sid, cid;
    if grouping = 'none' then
        insert into cell select s, e, null, null, 0, 0, 0, 0, 0, 0 from bucket where s not in (select s from cell);
    end if;
    select json_build_object('start', (select min(s) from bucket), 'end', (select max(e) from bucket), 'interval', step,
        'time_zone', zone, 'group_by', grouping, 'total', (select count(*) from cell),
        'sum', (select json_build_object('raw_upload', coalesce(sum(ru), 0), 'raw_download', coalesce(sum(rd), 0),
            'billed_upload', coalesce(sum(bu), 0), 'billed_download', coalesce(sum(bd), 0),
            'corrected_upload', coalesce(sum(cu), 0), 'corrected_download', coalesce(sum(cd), 0)) from cell),
        'usage', coalesce(json_agg(json_build_object('start', s, 'end', e, 'server_id', sid, 'node_client_id', cid,
            'raw_upload', ru, 'raw_download', rd, 'billed_upload', bu, 'billed_download', bd, 'corrected_upload', cu,
            'corrected_download', cd) order by s, sid, cid), '[]'))
    into answer from (select * from cell order by s, sid, cid offset skip::int limit n::int) page;
    drop table bucket, cell;
    return answer;
end $$;

create function oracle.top_start(range text, now timestamptz) returns timestamptz language sql as $$
    select case range when 'day' then date_trunc('hour', now) - interval '23 hours'
        else date_trunc('day', now, 'UTC') - interval '1 day' * case range when 'week' then 6 when 'month' then 29 when 'quarter' then 89
            else 364 end end
$$;

create function oracle.top_end(range text, now timestamptz) returns timestamptz language sql as $$
    select case range when 'day' then date_trunc('hour', now) + interval '1 hour' else date_trunc('day', now, 'UTC') + interval '1 day' end
$$;

-- Users were found at half past ten.
create function oracle.top_users(u uuid, now timestamptz, n text, range text, measure text, text) returns json language sql as $$
    with total as (
        select user_id, sum(raw_upload_bytes) as ru, sum(raw_download_bytes) as rd, sum(billed_upload_bytes) as bu,
            sum(billed_download_bytes) as bd
        from telecom.user_package_usage where bucket_start >= oracle.top_start(range, '2026-03-10 10:30Z')
            and bucket_start < oracle.top_end(range, '2026-03-10 10:30Z') group by user_id
    ), place as (
        select *, row_number() over (order by case measure when 'raw' then ru + rd else bu + bd end desc,
            case measure when 'raw' then bu + bd else ru + rd end desc, user_id) as rank from total
    )
    select json_build_object('range', range, 'by', measure, 'start', oracle.top_start(range, '2026-03-10 10:30Z'),
        'as_of', timestamptz '2026-03-10 10:30Z', 'total', (select count(*) from total),
        'users', coalesce(json_agg(json_build_object('rank', rank, 'user', user_id, 'raw_upload', ru, 'raw_download', rd,
            'billed_upload', bu, 'billed_download', bd) order by rank), '[]'))
    from place where rank <= n::int
$$;

create function oracle.top_nodes(u uuid, now timestamptz, n text, text, text, filters text) returns json language sql as $$
    with asked as (
        select f ->> 'range' as range, f ->> 'by' as measure, f ->> 'kind' as kind, nullif(f ->> 'user', '')::uuid as wanted
        from cast(filters as jsonb) f
    ), total as (
        select node_server_id as sid, case kind when 'client' then node_client_id end as cid, sum(raw_upload_bytes) as ru,
            sum(raw_download_bytes) as rd, sum(billed_upload_bytes) as bu, sum(billed_download_bytes) as bd
        from telecom.user_package_usage, asked where bucket_start >= oracle.top_start(range, now)
            and bucket_start < oracle.top_end(range, now) and (wanted is null or user_id = wanted) group by sid, cid
    ), place as (
        select total.*, row_number() over (order by case measure when 'raw' then ru + rd else bu + bd end desc,
            ru + rd + bu + bd desc, sid, cid) as rank from total, asked
    )
    select json_build_object('range', range, 'by', measure, 'kind', kind, 'start', oracle.top_start(range, now),
        'nodes', (select coalesce(json_agg(json_build_object('rank', rank, 'server_id', sid, 'node_client_id', cid,
            'name', case kind when 'client' then (select name from telecom.node_client where id = cid)
                else (select name from telecom.node_server where id = sid) end,
            'raw_upload', ru, 'raw_download', rd, 'billed_upload', bu, 'billed_download', bd) order by rank), '[]')
            from place where rank <= n::int))
    from asked
$$;

create function oracle.traffic_sum(a timestamptz, b timestamptz) returns json language sql as $$
    select json_build_object('raw_upload', coalesce(sum(raw_upload_bytes), 0), 'raw_download', coalesce(sum(raw_download_bytes), 0),
        'billed_upload', coalesce(sum(billed_upload_bytes), 0), 'billed_download', coalesce(sum(billed_download_bytes), 0),
        'corrected_upload', coalesce(sum(fixed_up), 0), 'corrected_download', coalesce(sum(fixed_down), 0))
    from oracle.usage_with_corrections where bucket_start >= a and bucket_start < b
$$;

create function oracle.overview(u uuid, now timestamptz, text, text, text, text) returns json language sql as $$
    select json_build_object('as_of', now, 'counts', json_build_object(
            'online_servers', (select count(*) from telecom.node_server where status = 'online' and archived_at is null),
            'offline_servers', (select count(*) from telecom.node_server where status = 'offline' and archived_at is null),
            'maintenance_servers', (select count(*) from telecom.node_server where status = 'maintenance' and archived_at is null),
            'clients', (select count(*) from telecom.node_client where archived_at is null),
            'active_packages', (select count(*) from telecom.package_queue where status = 'active'),
            'waiting_packages', (select count(*) from telecom.package_queue where status = 'in_queue'),
            'online_users', (select count(distinct user_number) from telecom.online_address where seen_at > now - interval '3 minutes'),
            'unbilled_reports', (select count(*) from telecom.usage_report where billing_run_id is null),
            'oldest_unbilled_at', (select min(received_at) from telecom.usage_report where billing_run_id is null),
             'parked_events', (select count(*) from telecom.parked_event),
            'open_doubts', (select count(*) from telecom.doubtful_push where decision is null), 'quarantined_reports', (select count(*) from telecom.quarantined_report where released_at is null),
            'usage_drifts', (select count(*) from telecom.usage_drift where accepted_reason is null)),
        'hours', oracle.usage(u, now, '24', '0', '', jsonb_build_object('start', oracle.top_start('day', now),
            'end', date_trunc('hour', now) + interval '1 hour')::text) -> 'usage',
        'last_24_hours', oracle.traffic_sum(oracle.top_start('day', now), date_trunc('hour', now) + interval '1 hour'),
        'previous_24_hours', oracle.traffic_sum(oracle.top_start('day', now) - interval '24 hours', oracle.top_start('day', now)),
        'last_30_days', oracle.traffic_sum(oracle.top_start('month', now), date_trunc('hour', now) + interval '1 hour'),
        'top_users', oracle.top_users(u, now, '5', 'day', 'billed', '') -> 'users',
        'top_nodes', oracle.top_nodes(u, now, '5', '', '', '{"range": "day", "by": "billed", "kind": "client"}') -> 'nodes')
$$;

create function oracle.runs(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language sql as $$
    with run as (
        select r.*, case when r.outcome = 'running' and r.deadline_at < now then 'lost' else r.outcome::text end as state
        from telecom.job_run r
    ), matching as (
        select r.*, row_number() over (order by r.started_at desc, r.id desc) as rank
        from run r, cast(filters as jsonb) f
        where coalesce(f ->> 'job', '') in ('', r.job) and coalesce(f ->> 'outcome', '') in ('', r.state)
            and (coalesce(f ->> 'start', '') = '' or r.started_at >= (f ->> 'start')::timestamptz)
            and (coalesce(f ->> 'end', '') = '' or r.started_at < (f ->> 'end')::timestamptz)
    ), job as (
        select name from unnest(array['apply-package-extensions', 'bill-traffic', 'deliver-webhooks', 'expire-packages', 'maintain-storage',
            'reconcile-usage', 'record-node-status-history', 'refresh-node-status-view', 'refresh-server-status',
            'summarize-usage', 'sweep-outbox']) name
        where coalesce(filters::jsonb ->> 'job', '') in ('', name)
    )
    select json_build_object('total', (select count(*) from matching), 'summaries', (
        select json_agg(json_build_object('job', name,
            'last_started_at', (select max(started_at) from run where job = name),
            'last_outcome', (select state from run where job = name order by started_at desc, id desc limit 1),
            'last_completed_at', (select ended_at from run where job = name and state = 'completed' order by started_at desc, id desc limit 1),
            'lag_seconds', (select lag_seconds from run where job = name and ended_at is not null order by started_at desc, id desc limit 1)
        ) order by name) from job
    ), 'runs', coalesce(json_agg(json_build_object('id', id, 'job', job, 'request_id', request_id, 'started_at', started_at,
        'ended_at', ended_at, 'duration_milliseconds', floor(extract(epoch from ended_at - started_at) * 1000)::bigint,
        'outcome', state, 'error_code', error_code, 'counts', counts, 'lag_seconds', lag_seconds) order by rank), '[]'))
    from matching where rank > skip::int and rank <= skip::int + n::int
$$;

create function oracle.dead(u uuid, now timestamptz, text, text, text, text) returns json language sql as $$
    select json_build_object('queues', json_agg(json_build_object('queue', name,
        'dead_letters', (select message_count from telecom.dead_letter_queue where queue = name),
        'counted_at', (select counted_at from telecom.dead_letter_queue where queue = name),
        'reasons', (
            select coalesce(json_agg(json_build_object('error_code', code, 'reason', l.reason, 'messages', messages,
                'last_message_id', l.message_id, 'first_failed_at', first, 'last_failed_at', last) order by last desc, code), '[]')
            from (
                select error_code as code, count(*) as messages, min(first_failed_at) as first, max(last_failed_at) as last
                from telecom.rejected_message where queue = name group by error_code
            ) c, lateral (
                select * from telecom.rejected_message where queue = name and error_code = code
                order by last_failed_at desc, message_id desc limit 1
            ) l
        )) order by place))
    from unnest(array['usage-report', 'node-usage', 'user-usage-billing', 'package-expiring', 'package-order', 'webhook-event',
        'schedule'])
        with ordinality q (name, place)
$$;

create function oracle.metrics(u uuid, now timestamptz, wanted text, a text, b text, text) returns json language sql as $$
    select json_build_object('id', id, 'start', since, 'end', until, 'hours', (
        select coalesce(json_agg(json_build_object('hour', hour, 'samples', samples,
            'cpu_percent_mean', case when cpu_percent_samples > 0 then cpu_percent_sum / cpu_percent_samples end, 'cpu_percent_max', cpu_percent_max,
            'memory_used_mean', case when memory_used_samples > 0 then memory_used_bytes_sum / memory_used_samples end,
            'memory_used_max', memory_used_bytes_max, 'memory_total', memory_total_bytes_max,
            'disk_used_mean', case when disk_used_samples > 0 then disk_used_bytes_sum / disk_used_samples end,
            'disk_used_max', disk_used_bytes_max, 'disk_total', disk_total_bytes_max,
            'load1_mean', case when load1_samples > 0 then load1_sum / load1_samples end, 'load1_max', load1_max,
            'online_users_mean', case when online_users_samples > 0 then online_users_sum / online_users_samples end,
            'online_users_max', online_users_max,
            'upload_rate_mean', case when upload_samples > 0 then upload_bytes_per_second_sum / upload_samples end,
            'upload_rate_max', upload_bytes_per_second_max,
            'download_rate_mean', case when download_samples > 0 then download_bytes_per_second_sum / download_samples end,
            'download_rate_max', download_bytes_per_second_max) order by hour), '[]')
        from telecom.node_server_metrics_hourly where node_server_id = id and hour >= since and hour < until))
    from telecom.node_server, oracle.since(a, b, now) since, oracle.until(b, now) until
    where id = wanted::int
$$;

create function oracle.one_webhook(wanted uuid) returns json language sql as $$
    select json_build_object('id', id, 'url', url, 'description', description, 'event_types', event_types, 'created_at', created_at,
        'previous_secret_until', previous_secret_until, 'disabled_at', disabled_at, 'disabled_by', disabled_by)
    from telecom.webhook where id = wanted
$$;

create function oracle.webhook(u uuid, now timestamptz, wanted text, text, text, text) returns json language sql as $$
    select json_build_object('webhook', oracle.one_webhook(id)) from telecom.webhook where id = wanted::uuid
$$;

create function oracle.webhooks(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language sql as $$
    with matching as (
        select w.*, row_number() over (order by w.created_at desc, w.id desc) as rank from telecom.webhook w
        where w.disabled_at is null or filters::jsonb ->> 'include_disabled' = 'true'
    )
    select json_build_object('total', (select count(*) from matching),
        'webhooks', coalesce(json_agg(oracle.one_webhook(id) order by rank), '[]'))
    from matching where rank > skip::int and rank <= skip::int + n::int
$$;

create function oracle.deliveries(u uuid, now timestamptz, n text, skip text, hook text, filters text) returns json language sql as $$
    with matching as (
        select d.*, row_number() over (order by d.id desc) as rank from telecom.webhook_delivery d
        where d.webhook_id = hook::uuid and coalesce(filters::jsonb ->> 'status', '') in ('', d.status::text)
    )
    select json_build_object('total', (select count(*) from matching), 'deliveries', coalesce(json_agg(json_build_object(
        'id', id, 'webhook_id', webhook_id, 'event_id', event_id, 'event_type', event_type, 'status', status, 'attempts', attempts,
        'created_at', created_at, 'last_attempt_at', last_attempt_at,
        'next_attempt_at', case when status = 'pending' then due_at end, 'response_status', response_status, 'failure', failure)
        order by rank), '[]'))
    from matching where rank > skip::int and rank <= skip::int + n::int
$$;

-- Reports of some hours, billed by two runs or not yet, and corrections. They explain only a part of the hourly usage.
insert into telecom.usage_report (report_id, node_server_id, period_start, period_end, payload_hash, line_count, received_at,
    billing_run_id)
select md5('report ' || bucket_start || node_server_id || i)::uuid, node_server_id, bucket_start + greatest(i - 1, 0) * interval '12 minutes',
    bucket_start + i * interval '12 minutes', '', 2, timestamptz '2026-03-10 10:00:00Z' + i * interval '1 second',
    case when i < 4 then md5('run ' || i / 2)::uuid end
from (select distinct bucket_start, node_server_id from telecom.user_package_usage where bucket_start >= '2026-03-08Z') hours,
    generate_series(0, 5) i;
insert into telecom.traffic_usage (usage_report_seq, received_at, upload_bytes, download_bytes, user_id, node_client_id, traffic_factor)
select r.seq, r.received_at, (random() * 1000)::bigint, (random() * 10000)::bigint, u.user_id,
    case when line < 25 then 101 end, (array[1, 2.5, 0.3333])[1 + line % 3]
from telecom.usage_report r, oracle.users u, generate_series(1, 26) line
where u.n < 10 and r.report_id <> md5('') ::uuid and (line < 3 or u.n = 1) and r.received_at between '2026-03-10 10:00Z' and '2026-03-10 10:00:05Z';
insert into telecom.usage_correction (user_id, bucket_start, node_server_id, node_client_id, billed_upload_bytes,
    billed_download_bytes, corrected_at, actor_user_id, reason)
select user_id, bucket_start, node_server_id, node_client_id, n - 2, 1 - n * n, '2026-03-10 10:10Z', md5('keeper')::uuid, 'reason ' || n
from telecom.user_package_usage, generate_series(1, 2) n where bucket_start >= '2026-03-09Z';
insert into telecom.user_package_usage
select user_id, timestamptz '2026-03-10 09:00Z' - n * interval '1 hour', 1 + n % 3, case when n % 4 > 0 then 101 end, id, n, 2 * n, 3, n * n
from telecom.package_queue, generate_series(1, 8) n where activated_at is not null;
insert into telecom.node_usage_delta
select bucket_start, node_server_id, node_client_id, sum(raw_upload_bytes), sum(raw_download_bytes),
    sum(billed_upload_bytes), sum(billed_download_bytes)
from telecom.user_package_usage where package_queue_id is not null group by bucket_start, node_server_id, node_client_id;

create function oracle.row_json(x telecom.user_package_usage) returns json language sql as $$
    select json_build_object('hour', x.bucket_start, 'server_id', x.node_server_id, 'node_client_id', x.node_client_id,
        'node_client_name', (select name from telecom.node_client where id = x.node_client_id), 'package_queue_id', x.package_queue_id, 'raw_upload', x.raw_upload_bytes, 'raw_download', x.raw_download_bytes,
        'billed_upload', x.billed_upload_bytes, 'billed_download', x.billed_download_bytes,
        'corrected_upload', coalesce(sum(c.billed_upload_bytes), 0), 'corrected_download', coalesce(sum(c.billed_download_bytes), 0))
    from telecom.usage_correction c where oracle.corrects(c, x)
$$;

create function oracle.sum_json(ru numeric, rd numeric, bu numeric, bd numeric, cu numeric, cd numeric) returns json language sql as $$
    select json_build_object('raw_upload', coalesce(ru, 0), 'raw_download', coalesce(rd, 0), 'billed_upload', coalesce(bu, 0),
        'billed_download', coalesce(bd, 0), 'corrected_upload', coalesce(cu, 0), 'corrected_download', coalesce(cd, 0))
$$;

create function oracle.explained(u uuid, now timestamptz, n text, skip text, text, filters text) returns json language plpgsql as $$
declare
    wanted uuid := filters::jsonb ->> 'user';
    h      timestamptz := date_trunc('hour', (filters::jsonb ->> 'hour')::timestamptz, 'UTC');
    shown  record;
    billed record;
    parked record;
    fixed  record;
    answer json;
begin
    select sum(raw_upload_bytes) ru, sum(raw_download_bytes) rd, sum(billed_upload_bytes) bu, sum(billed_download_bytes) bd
    into shown from telecom.user_package_usage where user_id = wanted and bucket_start = h;
    select sum(raw_upload_bytes) ru, sum(raw_download_bytes) rd, sum(billed_upload_bytes) bu, sum(billed_download_bytes) bd
    into parked from telecom.parked_event where user_id = wanted and bucket_start = h;
    select sum(billed_upload_bytes) bu, sum(billed_download_bytes) bd
    into fixed from telecom.usage_correction c where user_id = wanted and bucket_start = h and exists (
        select from telecom.user_package_usage x where x.user_id = wanted and x.bucket_start = h
            and x.node_server_id = c.node_server_id and x.package_queue_id is not distinct from c.package_queue_id
            and x.node_client_id is not distinct from c.node_client_id);
    create temporary table part as
        select r.billing_run_id run, r.node_server_id sid, t.node_client_id cid, min(r.received_at) first_at, count(*) lines,
            sum(t.upload_bytes) ru, sum(t.download_bytes) rd, sum(t.upload_bytes * t.traffic_factor) bu,
            sum(t.download_bytes * t.traffic_factor) bd,
            (array_agg(json_build_object('report_id', r.report_id, 'received_at', r.received_at, 'period_start', r.period_start,
                'period_end', r.period_end, 'upload', t.upload_bytes, 'download', t.download_bytes, 'factor', t.traffic_factor)
                order by r.received_at, r.seq, t.upload_bytes, t.download_bytes))[1:20] texts
        from telecom.usage_report r join telecom.traffic_usage t on t.usage_report_seq = r.seq
        where t.user_id = wanted and case when r.period_start < r.period_end
                then r.period_end > h and r.period_end <= h + interval '1 hour'
                else r.period_end >= h and r.period_end < h + interval '1 hour' end
            and r.node_server_id in (select node_server_id from telecom.user_package_usage where user_id = wanted and bucket_start = h)
        group by 1, 2, 3;
    select sum(ru) ru, sum(rd) rd, sum(round(bu)) bu, sum(round(bd)) bd into billed from part where run is not null;
    select json_build_object('user', wanted, 'hour', h,
        'usage', (select coalesce(json_agg(oracle.row_json(x) order by x.node_server_id, x.node_client_id, x.package_queue_id), '[]')
            from telecom.user_package_usage x where user_id = wanted and bucket_start = h),
        'sum', oracle.sum_json(shown.ru, shown.rd, shown.bu, shown.bd, fixed.bu, fixed.bd),
        'total', (select count(*) from part),
        'billed', oracle.sum_json(billed.ru, billed.rd, billed.bu, billed.bd, 0, 0),
        'parked', oracle.sum_json(parked.ru, parked.rd, parked.bu, parked.bd, 0, 0),
        'corrections', (select coalesce(json_agg(json_build_object('id', id, 'user', user_id, 'hour', bucket_start,
            'server_id', node_server_id, 'node_client_id', node_client_id, 'package_queue_id', package_queue_id,
            'billed_upload', billed_upload_bytes, 'billed_download', billed_download_bytes, 'corrected_at', corrected_at,
            'actor', actor_user_id, 'reason', reason) order by id), '[]')
            from telecom.usage_correction where user_id = wanted and bucket_start = h),
        'unexplained', oracle.sum_json(
            coalesce(shown.ru, 0) - coalesce(billed.ru, 0) + coalesce(parked.ru, 0),
            coalesce(shown.rd, 0) - coalesce(billed.rd, 0) + coalesce(parked.rd, 0),
            coalesce(shown.bu, 0) - coalesce(billed.bu, 0) + coalesce(parked.bu, 0) - coalesce(fixed.bu, 0),
            coalesce(shown.bd, 0) - coalesce(billed.bd, 0) + coalesce(parked.bd, 0) - coalesce(fixed.bd, 0), 0, 0),
        'parts', coalesce(json_agg(json_build_object('billing_run_id', run, 'server_id', sid, 'node_client_id', cid,
            'node_client_name', (select name from telecom.node_client where id = cid), 'raw_upload', ru, 'raw_download', rd, 'billed_upload', case when run is null then 0 else round(bu) end,
            'billed_download', case when run is null then 0 else round(bd) end, 'exact_upload', trim_scale(bu)::text,
            'exact_download', trim_scale(bd)::text, 'lines', texts, 'line_count', lines) order by first_at, run, sid, cid), '[]'))
    into answer from (select * from part order by first_at, run, sid, cid offset skip::int limit n::int) page;
    drop table part;
    return answer;
end $$;

create function oracle.explained_item(u uuid, now timestamptz, n text, skip text, wanted text, text) returns json language sql as $$
    with charged as (
        select x, x.bucket_start, row_number() over (order by bucket_start desc, node_server_id, node_client_id) as rank, raw_upload_bytes,
            raw_download_bytes, billed_upload_bytes, billed_download_bytes
        from telecom.user_package_usage x where package_queue_id = wanted::bigint
    ), fixed as (
        select coalesce(sum(billed_upload_bytes), 0) bu, coalesce(sum(billed_download_bytes), 0) bd
        from telecom.usage_correction where package_queue_id = wanted::bigint
    ), total as (
        select coalesce(sum(raw_upload_bytes), 0) ru, coalesce(sum(raw_download_bytes), 0) rd,
            coalesce(sum(billed_upload_bytes), 0) bu, coalesce(sum(billed_download_bytes), 0) bd, count(*) as rows
        from charged
    )
    select json_build_object('id', q.id, 'user', q.user_id, 'upload', q.upload_bytes, 'download', q.download_bytes,
        'total', t.rows, 'sum', oracle.sum_json(t.ru, t.rd, t.bu, t.bd, f.bu, f.bd),
        'unexplained_upload', q.upload_bytes - t.bu, 'unexplained_download', q.download_bytes - t.bd,
        'usage', (select coalesce(json_agg(oracle.row_json(x) order by rank), '[]') from charged
            where rank > skip::int and rank <= skip::int + n::int))
    from telecom.package_queue q, total t, fixed f where q.id = wanted::bigint
$$;
