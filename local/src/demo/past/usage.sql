-- Writes the usage of the past, and the items that paid for it, from what `plan.sql` planned.

-- When each user was online, on which node, and how much of the item they used then, as a weight. An item pays for the
-- hours whose middle it was active in. One hour in seven has a second node. Weights are whole numbers, because a sum of
-- others depends on its order.
create temp table demo_past_weight on commit drop as
with online as (
    select seed, i.id, i.n, i.user_id, i.available_group, h, at, i.n * 1000 + h as key,
        at - interval '30 minutes' < i.activated_at as is_first,
        -ln(1 - pg_temp.draw(i.n * 1000 + h, seed + 41)) * (0.25 + awake) * (0.7 + 0.6 * h / (days * 24)) as weight
    from demo_past
    cross join demo_past_item i
    cross join lateral generate_series(
        greatest(0, ceil(extract(epoch from i.activated_at - starts) / 3600 - 0.5))::int,
        least(days * 24, ceil(extract(epoch from i.ended_at - starts) / 3600 - 0.5))::int - 1
    ) h
    cross join lateral (select starts + make_interval(hours => h) as at) t
    cross join lateral (select at at time zone 'UTC' + make_interval(hours => i.zone) as local) l
    cross join lateral (
        select (array[
            0.25, 0.12, 0.06, 0.04, 0.03, 0.04, 0.08, 0.15, 0.22, 0.25, 0.27, 0.28,
            0.33, 0.32, 0.30, 0.30, 0.32, 0.38, 0.48, 0.58, 0.66, 0.68, 0.58, 0.42
        ])[1 + extract(hour from local)::int]
            * case when extract(isodow from local) > 5 and extract(hour from local) between 9 and 19 then 1.45 else 1
            end as awake
    ) a
    -- Users begin to use a package when they get it.
    where at - interval '30 minutes' < i.activated_at
        or pg_temp.draw(i.n * 1000 + h, seed + 40) < awake * i.activity
), parts as (
    select *, 1 as part, 1 as share from online
    union all
    select *, 2, 0.3 from online where pg_temp.draw(key, seed + 42) < 0.14
)
select p.id, p.user_id, p.h, p.at, c.server_id, c.client_id, c.factor,
    sum(1 + round(weight * share * up.part * 1e6))::bigint as weight,
    min(p.key) as key
from parts p
join demo_past_choice c on c.n = p.n and c.available_group = p.available_group
    -- People stay on a node for some hours. They begin on their favourite.
    and c.rank = case when is_first and part = 1 then 1 else 1 + floor(c.ranks * power(
        pg_temp.draw(p.n * 1000 + case when part = 1 then p.h / 3 else 500 + p.h end, seed + 43), 2.4)) end
join demo_past_up up on up.server_id = c.server_id and up.h = p.h
where up.part > 0.05
group by 1, 2, 3, 4, 5, 6, 7;

analyze demo_past_weight;

-- An item that traffic ended has used a little more than its limit: a report is charged as a whole. Billed bytes are
-- rounded once for each row, half away from zero.
create temp table demo_past_usage on commit drop as
select id, user_id, h, at, server_id, client_id, upload, download, round(upload * factor)::bigint as billed_upload,
    round(download * factor)::bigint as billed_download
from (
    select w.*, ceil(raw * up)::bigint as upload, ceil(raw * (1 - up))::bigint as download
    from demo_past
    cross join demo_past_weight w
    join (
        select i.id, (traffic_limit_bytes / nullif(sum(weight * factor), 0))::double precision * case
            when is_active then least(0.85, (0.5 + 0.6 * pg_temp.draw(i.key, seed + 50))
                * extract(epoch from now - activated_at)::double precision / expire_duration_seconds)
            when by_traffic then 1.0003 + 0.002 * pg_temp.draw(i.key, seed + 50)
            -- The part of the item's time that is in the past.
            else (0.3 + 0.62 * pg_temp.draw(i.key, seed + 50)) / expire_duration_seconds
                * extract(epoch from ended_at - greatest(activated_at, starts))::double precision
        end as bytes
        from demo_past, demo_past_item i
        join demo_past_weight w on w.id = i.id
        group by i.id, i.key, is_active, by_traffic, traffic_limit_bytes, expire_duration_seconds, activated_at,
            ended_at, now, starts, seed
    ) of_item on of_item.id = w.id
    cross join lateral (select 0.03 + 0.12 * pg_temp.draw(w.key, seed + 51) as up) u
    -- What costs nothing is not limited by the item.
    cross join lateral (select least(bytes * weight, case when factor = 0 then 9e9 * (0.1 + u.up) end) as raw) r
    where bytes is not null
) raw;

analyze demo_past_usage;

-- Two users complained, and are billed less. The sums below contain it.
create temp table demo_past_correction on commit drop as
select distinct on (u.id, u.at, u.server_id, u.client_id) u.*, -(u.billed_download / 2) as difference,
    least(u.at + interval '29 hours', ends) as corrected_at, reason
from demo_past, (values
    (0.4, 'The node counted traffic of its own health checks for this user'),
    (0.7, 'Goodwill: slow node during the hour, half of the download is given back')
) c (place, reason)
cross join lateral (
    select u.* from demo_past_usage u
    join demo_past_item i on i.id = u.id and not i.is_active and not i.by_traffic
    where u.at <= starts + days * place * interval '1 day' and u.billed_download > 1000000
    order by u.at desc, u.billed_download desc, u.id limit 1
) u;

update demo_past_usage u set billed_download = u.billed_download + c.difference
from demo_past_correction c
where c.id = u.id and c.at = u.at and c.server_id = u.server_id and c.client_id is not distinct from u.client_id;

insert into telecom.user_package_usage (
    user_id, bucket_start, node_server_id, node_client_id, package_queue_id, raw_upload_bytes, raw_download_bytes,
    billed_upload_bytes, billed_download_bytes)
select user_id, at, server_id, client_id, id, upload, download, billed_upload, billed_download
from demo_past_usage
order by at, user_id, server_id, client_id;

-- What traffic ended has ended soon after its last use. An item that was never charged, because its nodes were down or
-- free, was given back.
create temp table demo_past_charge on commit drop as
select i.*, coalesce(upload, 0) as upload, coalesce(download, 0) as download,
    case
        when not by_traffic then 'time' when upload + download >= traffic_limit_bytes then 'traffic' else 'cancelled'
    end::telecom.package_end_reason as end_reason,
    case when by_traffic and upload + download >= traffic_limit_bytes
        then least(ended_at, last_at + make_interval(secs => 1860 + floor(1700 * pg_temp.draw(i.key, seed + 60))))
        else ended_at
    end as really_ended_at
from demo_past, demo_past_item i
left join (
    select id, sum(billed_upload)::bigint as upload, sum(billed_download)::bigint as download, max(at) as last_at
    from demo_past_usage
    group by id
) u using (id);

insert into telecom.package_queue (
    id, user_id, package_id, by_order, status, end_reason, upload_bytes, download_bytes, announced_percent, created_at,
    activated_at, expires_at, ended_at)
select c.id, user_id, package_id, md5(concat_ws(' ', 'telecom-demo-past', seed, user_id, k))::uuid,
    case when end_reason = 'cancelled' then 'cancelled' else 'consumed' end::telecom.package_queue_status,
    end_reason, upload, download,
    (select coalesce(max(level), 0) from unnest(array[50, 80, 95]) level
    where (upload + download) * 100::numeric >= level * traffic_limit_bytes::numeric),
    activated_at - make_interval(secs => 60 + floor(7200 * pg_temp.draw(key, seed + 61))), activated_at, expires_at,
    really_ended_at
from demo_past, demo_past_charge c
where not is_active
order by c.id;

update telecom.package_queue q set
    upload_bytes = c.upload, download_bytes = c.download,
    announced_percent = (select coalesce(max(level), 0) from unnest(array[50, 80, 95]) level
        where (c.upload + c.download) * 100::numeric >= level * traffic_limit_bytes::numeric)
from demo_past_charge c
where c.is_active and q.id = c.id;

insert into telecom.usage_correction (
    user_id, bucket_start, node_server_id, node_client_id, package_queue_id, billed_upload_bytes, billed_download_bytes,
    corrected_at, actor_user_id, reason)
select user_id, at, server_id, client_id, id, 0, difference, corrected_at, admin, reason
from demo_past_correction, demo_past
order by at, id;

-- The ledger. It names no billing run, as usage of another publisher: a run would be compared with raw reports, which
-- are deleted after some weeks and which the past does not have.
insert into telecom.accepted_usage (
    bucket_start, raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes)
select at, sum(upload)::bigint, sum(download)::bigint, sum(billed_upload)::bigint,
    (sum(billed_download) - coalesce(
        (select sum(difference) from demo_past_correction c where c.at = u.at), 0))::bigint
from demo_past_usage u
group by at
order by at;

update telecom.reconciliation set checked_from = least(checked_from, starts) from demo_past;
