-- no-transaction
-- Usage that no item pays for is rare, and reconcile-usage looks at all of it.
create index concurrently if not exists user_package_usage_uncharged_idx on telecom.user_package_usage (bucket_start)
    where package_queue_id is null;
