-- Writes the sums of the past, as `summarize-usage` would.

insert into telecom.node_usage_hourly
select at, server_id, client_id, sum(upload)::bigint, sum(download)::bigint, sum(billed_upload)::bigint,
    sum(billed_download)::bigint
from demo_past_usage
group by grouping sets ((at, server_id, client_id), (at))
order by 1, 2 nulls first, 3;

insert into telecom.node_usage_daily
select (at at time zone 'UTC')::date, server_id, client_id, sum(upload)::bigint, sum(download)::bigint,
    sum(billed_upload)::bigint, sum(billed_download)::bigint
from demo_past_usage
group by 1, 2, 3
order by 1, 2, 3;

-- A day is closed two hours after its end.
update telecom.usage_summary set days_closed_before = today, days_summed_before = today
from (select ((now - interval '2 hours') at time zone 'UTC')::date as today from demo_past) t;

insert into telecom.user_usage_daily
select user_id, (at at time zone 'UTC')::date, server_id, client_id, sum(upload)::bigint, sum(download)::bigint,
    sum(billed_upload)::bigint, sum(billed_download)::bigint
from demo_past_usage, telecom.usage_summary
where (at at time zone 'UTC')::date < days_summed_before
group by 1, 2, 3, 4
order by 2, 1;

-- The users with the most traffic. The job finds them again within a minute.
insert into telecom.top_user_refresh (range, period_start, refreshed_at, seconds, users)
select range, from_time, now, 0, (select count(distinct user_id) from demo_past_usage where at >= from_time)
from demo_past, lateral (
    values ('day', ends - interval '23 hours'), ('week', date_trunc('day', now, 'UTC') - interval '6 days'),
        ('month', date_trunc('day', now, 'UTC') - interval '29 days')
) r (range, from_time)
on conflict on constraint top_user_refresh_pk do update set
    period_start = excluded.period_start, refreshed_at = excluded.refreshed_at, seconds = 0, users = excluded.users;

insert into telecom.top_user
select range, user_id,
    row_number() over (partition by range order by billed_up + billed_down desc, up + down desc, user_id),
    row_number() over (partition by range order by up + down desc, billed_up + billed_down desc, user_id),
    up, down, billed_up, billed_down
from (
    select range, user_id, sum(upload)::bigint as up, sum(download)::bigint as down,
        sum(billed_upload)::bigint as billed_up, sum(billed_download)::bigint as billed_down
    from telecom.top_user_refresh
    join demo_past_usage on at >= period_start
    group by 1, 2
) total;
