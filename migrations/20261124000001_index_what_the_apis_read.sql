-- What the lists of the APIs read, in the order in which they show it. None of these columns changes with a heartbeat or
-- a charge: updates of counters stay heap-only.
create index node_server_status_idx on telecom.node_server (status, id);
create index node_client_access_groups_idx on telecom.node_client using gin (access_groups);
create index package_queue_user_idx on telecom.package_queue (user_id, id);
create index package_queue_package_idx on telecom.package_queue (package_id, status, id);
create index package_queue_status_idx on telecom.package_queue (status, id);
