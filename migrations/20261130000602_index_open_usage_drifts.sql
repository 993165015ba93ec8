-- no-transaction
create index concurrently if not exists usage_drift_open_idx on telecom.usage_drift (kind, id) where accepted_reason is null;
