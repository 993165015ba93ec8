-- no-transaction
-- ExplainUsage reads the reports of a server about one hour.
create index concurrently if not exists usage_report_server_period_end_idx
    on telecom.usage_report (node_server_id, period_end);
