-- no-transaction
create index concurrently if not exists quarantined_report_node_server_idx
    on telecom.quarantined_report (node_server_id, usage_report_seq);
