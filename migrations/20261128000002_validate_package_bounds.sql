-- A validation reads the tables without blocking writers.
alter table telecom.package validate constraint package_traffic_limit_bytes_range_check;
alter table telecom.package validate constraint package_created_at_range_check;
alter table telecom.package_queue validate constraint package_queue_adjust_quota_range_check;
alter table telecom.package_queue validate constraint package_queue_counters_range_check;
alter table telecom.package_queue validate constraint package_queue_times_range_check;
