create table telecom.node_status_history (
    id             bigint generated always as identity constraint node_status_history_pk primary key,
    node_server_id integer not null
        constraint node_status_history_node_server_fk references telecom.node_server on delete cascade,
    status         telecom.node_server_status not null,
    created_at     timestamptz not null
);

-- One snapshot a server and hour.
create unique index node_status_history_hour_key
    on telecom.node_status_history (date_trunc('hour', created_at at time zone 'UTC'), node_server_id);

create materialized view telecom.node_status_hourly_mv as
select date_trunc('hour', created_at at time zone 'UTC') at time zone 'UTC' as bucket_start, node_server_id, status
from telecom.node_status_history;

create unique index node_status_hourly_mv_key on telecom.node_status_hourly_mv (bucket_start, node_server_id);
