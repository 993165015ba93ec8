-- no-transaction
-- Items that ended lately. An update that ends an item changes an indexed column anyway.
create index concurrently if not exists package_queue_ended_at_idx on telecom.package_queue (ended_at)
    where ended_at is not null;
