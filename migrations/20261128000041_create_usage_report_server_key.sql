-- no-transaction
create unique index concurrently usage_report_server_report_key
    on telecom.usage_report (node_server_id, coalesce(collector_report_id, report_id));
