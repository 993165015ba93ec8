-- no-transaction
-- Active items by their next notice. Charges leave the column as it is, so that they stay heap-only.
create index concurrently if not exists package_queue_notice_due_idx on telecom.package_queue (notice_due_at)
    where status = 'active' and notice_due_at is not null;
