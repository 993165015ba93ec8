-- A user's history is that of some servers over many hours: it is read server by server.
create index node_status_history_server_idx
    on telecom.node_status_history (node_server_id, date_trunc('hour', created_at at time zone 'UTC'));

create unique index node_status_hourly_mv_server_key on telecom.node_status_hourly_mv (node_server_id, hour);
drop index telecom.node_status_hourly_mv_key;
