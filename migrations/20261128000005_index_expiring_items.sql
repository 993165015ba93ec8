-- no-transaction
-- Active items that are marked as expiring: few at any time. Charges leave the column as it is, so that they stay heap-only.
create index concurrently if not exists package_queue_expiring_idx on telecom.package_queue (id)
    where status = 'active' and expiring_event_at is not null;
