-- no-transaction
create index concurrently if not exists quarantined_report_released_idx
    on telecom.quarantined_report (reason, usage_report_seq) where released_at is not null;
