-- How a charge finds its hourly row: an item has few rows an hour, and comparing numbers costs less than users' ids.
create index user_package_usage_item_idx on telecom.user_package_usage (package_queue_id, bucket_start, node_server_id)
    where package_queue_id is not null;
