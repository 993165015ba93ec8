-- Plans the past of a new demo fleet: who its users are, which nodes they like, which servers were down, and which
-- packages were used up. Reads `demo_past`, which has one row, and writes temporary tables alone.

-- The jobs that write the same rows wait. A run that began before would not see the past, and overwrite a part of it.
select pg_advisory_xact_lock(hashtextextended(job, 0))
from unnest(array['refresh_node_status_view', 'refresh_server_status', 'summarize_usage']) job;

-- These statements run once: compiling them takes longer than running them.
set local jit = off;

-- A number from 0 to 1 that follows from a key and from what it is for. `random()` would not give the same past again.
create function pg_temp.draw(key bigint, purpose bigint) returns double precision
language sql immutable parallel safe
return (hashint8extended(key, purpose) & 4294967295)::double precision / 4294967296;

-- The hours of the past, from 0.
create temp table demo_past_hour on commit drop as
select h, starts + make_interval(hours => h) as at
from demo_past, generate_series(0, days * 24 - 1) h;

-- A user's zone decides when they are awake. Their taste decides how long their packages last.
create temp table demo_past_user on commit drop as
select n, user_id,
    (array[1, 1, 1, 2, 0, 0, 3, -5, -5, -8, -3, 5, 8, 9, 10])[1 + floor(pg_temp.draw(n, seed + 1) * 15)::int] as zone,
    0.55 + pg_temp.draw(n, seed + 2) as activity,
    case when n = 1 then array[2, 3, 3] else
        case width_bucket(pg_temp.draw(n, seed + 3), array[0, 0.12, 0.3, 0.68])
            when 1 then array[0, 1, 1] when 2 then array[1, 2, 2] when 3 then array[2, 3, 3] else array[3, 4, 4]
        end
    end as series
from demo_past, unnest(users) with ordinality u (user_id, n);

create temp table demo_past_package on commit drop as
select s.n - 1 as series, p.id, p.version, count(*) over (partition by s.n) as versions, p.available_group,
    p.traffic_limit_bytes, p.expire_duration_seconds
from demo_past, unnest(series) with ordinality s (series, n)
join telecom.package p on p.series = s.series;

-- Packages that last more than some days have been active for a while. The others have just begun.
update telecom.package_queue q set
    activated_at = q.activated_at - elapsed, expires_at = q.expires_at - elapsed,
    created_at = q.activated_at - elapsed - interval '7 minutes'
from demo_past, demo_past_user u, demo_past_package p,
lateral (
    select date_trunc('minute', least(
        days * 0.85 * interval '1 day',
        make_interval(secs => expire_duration_seconds * (0.1 + 0.45 * pg_temp.draw(n, seed + 4))),
        interval '26 days' * (0.3 + 0.7 * pg_temp.draw(n, seed + 5))
    )) as elapsed
) e
where q.user_id = u.user_id and q.status = 'active' and p.id = q.package_id and p.series >= 3;

-- A server without clients carries traffic whose client is unknown, at factor 1.
create temp table demo_past_node on commit drop as
select s.id as server_id, c.id as client_id, s.id * 1000 + coalesce(c.id, 0) as key,
    coalesce(c.traffic_factor, 1) as factor,
    coalesce(c.access_groups, '{1,2,3}') as access_groups,
    case c.country
        when 'US' then case when c.location = 'New York' then -5 else -8 end
        when 'CA' then -5 when 'BR' then -3 when 'GB' then 0 when 'JP' then 9 when 'SG' then 8 when 'AU' then 10
        when 'IN' then 5 else 1
    end as zone,
    -- Some nodes are much more popular than others.
    0.15 + power(pg_temp.draw(s.id * 1000 + coalesce(c.id, 0), seed + 10), 3) * 2 as popularity
from demo_past, telecom.node_server s
left join telecom.node_client c on c.node_server_id = s.id;

-- Up to four nodes per user and access group, the most used one first. It has a factor above 0, so that every package
-- is charged. Users prefer popular nodes and nodes near them.
create temp table demo_past_choice on commit drop as
select n, available_group, rank, server_id, client_id, factor,
    least(max(rank) over (partition by n, available_group), 1 + floor(pg_temp.draw(n, seed + 11) * 4)::int) as ranks
from (
    select *, row_number() over (
        partition by n, available_group order by greatest(score, main), factor = 0, score
    )::int as rank
    from (
        select *, min(score) filter (where factor > 0) over (partition by n, available_group) as main
        from (
            select n, g as available_group, o.*,
                -ln(1 - pg_temp.draw(n * 1000000 + key, seed + 12))
                    / (popularity * case when abs(u.zone - o.zone) <= 2 then 4 else 1 end) as score
            from demo_past, demo_past_user u, demo_past_node o, unnest(array[1, 2, 3]) g
            where access_groups @> array[g]
        ) scored
    ) ranked
) chosen, demo_past
where rank <= 4;

-- At most one outage or maintenance per server and 24 hours. Nothing of the last 24 hours: reports of the simulator
-- that come late would be of a time in which their server was down.
create temp table demo_past_downtime on commit drop as
select id as server_id, status, since, since + length as until,
    case when status = 'maintenance' then (array[
        'Kernel update and reboot', 'The provider moves the machine to another rack', 'Renewal of certificates',
        'Update of the node software', 'Exchange of a failing disk'
    ])[1 + floor(pg_temp.draw(key, seed + 23) * 5)::int] end as reason
from (
    select *, starts + interval '1 day' * day + interval '1 minute' * floor(60 + 1020 * pg_temp.draw(key, seed + 21))
            + interval '1 second' * floor(60 * pg_temp.draw(key, seed + 24)) as since,
        case when luck < 0.03 then
            -- Most outages are short, and a few take hours.
            interval '7 minutes' + interval '1 second' * floor(14000 * power(pg_temp.draw(key, seed + 22), 3))
        else interval '20 minutes' + interval '1 second' * floor(6000 * pg_temp.draw(key, seed + 22)) end as length,
        case when luck < 0.03 then 'offline' else 'maintenance' end::telecom.node_server_status as status
    from (
        select s.id, day, starts, seed, s.id * 1000 + day as key, pg_temp.draw(s.id * 1000 + day, seed + 20) as luck
        from demo_past, telecom.node_server s, generate_series(0, days - 2) day
    ) days
    where luck < 0.042
) down;

-- The part of each hour in which a server was up.
create temp table demo_past_up on commit drop as
select s.id as server_id, h.h, 1 - coalesce((
    select sum(extract(epoch from least(d.until, h.at + interval '1 hour') - greatest(d.since, h.at)))
    from demo_past_downtime d
    where d.server_id = s.id and d.since < h.at + interval '1 hour' and d.until > h.at
), 0)::double precision / 3600 as part
from telecom.node_server s, demo_past_hour h;

-- The items of each user, from the active one back in time: each ended when the next one began, or some time before.
-- Some users came from another system with an item that was active. The others came later, so that the fleet grows.
create temp table demo_past_item on commit drop as
with active as (
    select u.*, q.id, q.package_id, q.activated_at, q.expires_at from demo_past_user u
    join telecom.package_queue q on q.user_id = u.user_id and q.status = 'active'
), wish as (
    select a.*, k, n * 1000 + k as key, p.id as wished, p.available_group, p.traffic_limit_bytes,
        p.expire_duration_seconds,
        pg_temp.draw(n * 1000 + k, seed + 32) < 0.6 as by_traffic,
        make_interval(secs => case
            when pg_temp.draw(n * 1000 + k, seed + 33) < 0.55 and p.series > 1 then 0
            else round(pg_temp.draw(n * 1000 + k, seed + 34) * case when p.series > 1 then 1.5 else 2.5 end * 86400)
        end) as gap
    from demo_past, active a, generate_series(1, 60) k
    join demo_past_package p on true
    where p.series = a.series[1 + floor(pg_temp.draw(n * 1000 + k, seed + 30) * 3)::int]
        and p.version = 1 + floor(pg_temp.draw(n * 1000 + k, seed + 31) * p.versions)
), timed as (
    -- A package of an hour lasts an hour. Others are used up in a third to nine tenths of their time.
    select *, make_interval(secs => case
        when by_traffic and expire_duration_seconds > 3600
            then round(expire_duration_seconds * (0.33 + 0.5 * pg_temp.draw(key, seed + 35)))
        else expire_duration_seconds
    end) as length
    from wish, demo_past
), placed as (
    select *, activated_at - sum(length + gap) over (partition by n order by k) as began_at from timed
)
select n, user_id, zone, activity, k, key, wished as package_id, available_group, traffic_limit_bytes,
    expire_duration_seconds, by_traffic and began_at >= starts as by_traffic, false as is_active,
    case when began_at >= starts then began_at
        else began_at + length - make_interval(secs => expire_duration_seconds) end as activated_at,
    began_at + length as ended_at,
    began_at + case when began_at >= starts then make_interval(secs => expire_duration_seconds) else length end
        as expires_at,
    -- The fleet's items have the ids above those of the past.
    reserved_from + row_number() over (order by began_at, n) as id
from placed
where began_at >= starts
    or began_at + length > starts + interval '2 hours' and (n = 1 or pg_temp.draw(n, seed + 36) < 0.6)
union all
select n, user_id, zone, activity, 0, n * 1000, package_id, p.available_group, p.traffic_limit_bytes,
    p.expire_duration_seconds, false, true, activated_at, null, expires_at, a.id
from active a
join demo_past_package p on p.id = a.package_id
cross join demo_past
-- What has just begun has no usage yet.
where activated_at < now - interval '2 hours';

analyze demo_past_choice, demo_past_up, demo_past_item;
