-- In the order that a refresh sorts it into: whole rows, by column. What comes sorted is sorted at once, wherever the rows
-- lie in the history.
drop view telecom.node_status_hourly;
drop materialized view telecom.node_status_hourly_mv;

create materialized view telecom.node_status_hourly_mv as
select date_trunc('hour', h.created_at at time zone 'UTC') as hour, h.node_server_id, h.status
from telecom.node_status_history h
-- The second bound is always met: with both, the planner expects a small part of the rows, and takes the index.
where date_trunc('hour', h.created_at at time zone 'UTC') >= (select open_from from telecom.node_status_seal)
    and date_trunc('hour', h.created_at at time zone 'UTC') < 'infinity'
order by 1, 2;

create unique index node_status_hourly_mv_server_key on telecom.node_status_hourly_mv (node_server_id, hour);

create view telecom.node_status_hourly as
select hour, node_server_id, status
from telecom.node_status_hourly_mv
where hour >= (select open_from from telecom.node_status_seal)
union all
select date_trunc('hour', created_at at time zone 'UTC'), node_server_id, status
from telecom.node_status_history
where date_trunc('hour', created_at at time zone 'UTC') < (select open_from from telecom.node_status_seal);
