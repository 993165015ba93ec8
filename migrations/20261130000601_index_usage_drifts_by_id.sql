-- no-transaction
create unique index concurrently if not exists usage_drift_id_idx on telecom.usage_drift (id);
