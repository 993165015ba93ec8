-- The view holds the open hours alone, so that refreshing it costs the same after years as after days; sealed hours are
-- read where they were recorded. `node_status_hourly` is the one reader over both.
create table telecom.node_status_seal (
    only_row  boolean not null default true constraint node_status_seal_pk primary key,
    -- The first open hour, UTC.
    open_from timestamp not null,
    constraint node_status_seal_one_row_check check (only_row)
);

insert into telecom.node_status_seal (open_from) values ('-infinity');

drop materialized view telecom.node_status_hourly_mv;

create materialized view telecom.node_status_hourly_mv as
select date_trunc('hour', h.created_at at time zone 'UTC') as hour, h.node_server_id, h.status
from telecom.node_status_history h
-- The second bound is always met: with both, the planner expects a small part of the rows, and takes the index.
where date_trunc('hour', h.created_at at time zone 'UTC') >= (select open_from from telecom.node_status_seal)
    and date_trunc('hour', h.created_at at time zone 'UTC') < 'infinity';

create unique index node_status_hourly_mv_key on telecom.node_status_hourly_mv (hour, node_server_id);

create view telecom.node_status_hourly as
select hour, node_server_id, status
from telecom.node_status_hourly_mv
where hour >= (select open_from from telecom.node_status_seal)
union all
select date_trunc('hour', created_at at time zone 'UTC'), node_server_id, status
from telecom.node_status_history
where date_trunc('hour', created_at at time zone 'UTC') < (select open_from from telecom.node_status_seal);
