-- Does not block readers or writers.
alter table telecom.node_server
    validate constraint node_server_times_check,
    validate constraint node_server_server_config_check;
alter table telecom.node_client
    validate constraint node_client_times_check,
    validate constraint node_client_client_config_check,
    validate constraint node_client_access_groups_check;
alter table telecom.node_server_heartbeat
    validate constraint node_server_heartbeat_times_check,
    validate constraint node_server_heartbeat_metrics_check;
alter table telecom.usage_report
    validate constraint usage_report_times_check;
