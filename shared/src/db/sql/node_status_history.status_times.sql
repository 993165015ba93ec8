/* node_status_history.status_times */
with server as (
    select id from telecom.node_server where id = $1
    union
    select node_server_id from telecom.user_node_client where user_id = $2
), known as materialized (
    select k.kept, k.kept - coalesce((
        select range_agg(tstzrange(since, until)) from telecom.collection_outage
        where since < $4 and coalesce(until, 'infinity') > $3
    ), '{}') as heard
    from (
        select tstzmultirange(tstzrange($3, $4) * tstzrange(kept_from, 'infinity')) as kept
        from telecom.node_status_seal
    ) k
), status_interval as (
    select server.id, t.to_status, number,
        least(upper(r), ($5::timestamptz[])[number + 1])
            - greatest(lower(r), ($5::timestamptz[])[number]) as length
    from server
    cross join lateral (
        (select to_status, since, until from telecom.node_status_transition
         where node_server_id = server.id and since > $3 and since < $4)
        union all
        (select to_status, since, until from telecom.node_status_transition
         where node_server_id = server.id and since <= $3 and (until is null or until > $3)
         order by since desc limit 1)
    ) t
    cross join known
    cross join unnest(
        case t.to_status when 'maintenance' then known.kept else known.heard end
        * tstzmultirange(tstzrange(t.since, t.until))
    ) r
    cross join generate_series(
        width_bucket(lower(r), $5::timestamptz[]),
        width_bucket(upper(r) - interval '1 microsecond', $5::timestamptz[])
    ) number
)
select server.id as "id!", coalesce(number, 1) as "bucket!",
    coalesce(1000000 * extract(epoch from sum(length)
        filter (where to_status = 'online')), 0)::bigint as "online!",
    coalesce(1000000 * extract(epoch from sum(length)
        filter (where to_status = 'offline')), 0)::bigint as "offline!",
    coalesce(1000000 * extract(epoch from sum(length)
        filter (where to_status = 'maintenance')), 0)::bigint as "maintenance!"
from server
left join status_interval on status_interval.id = server.id
group by 1, 2
order by 1, 2
