-- One row with an extreme number or time must not fail the statement that processes a thousand others: a sum that overflows
-- a bigint fails all of it, and a time that is infinite cannot be decoded. Bounds that no sum of two can leave: 2^60 bytes
-- (1 EiB) for what is sold, 2^61 for what is counted, the years 1 to 9999 for times.
update telecom.package set traffic_limit_bytes = 1152921504606846976 where traffic_limit_bytes > 1152921504606846976;

update telecom.package_queue q set
    adjust_quota_bytes = greatest(least(adjust_quota_bytes, 1152921504606846976), -1152921504606846976),
    upload_bytes = least(upload_bytes, 2305843009213693952),
    download_bytes = least(download_bytes, 2305843009213693952)
where adjust_quota_bytes not between -1152921504606846976 and 1152921504606846976
    or upload_bytes > 2305843009213693952 or download_bytes > 2305843009213693952;

update telecom.package_queue q set
    created_at = least(greatest(created_at, '0001-01-01Z'), '9999-12-31Z'),
    activated_at = least(greatest(activated_at, '0001-01-01Z'), '9999-12-31Z'),
    expires_at = least(greatest(expires_at, '0001-01-01Z'), '9999-12-31Z'),
    ended_at = least(greatest(ended_at, '0001-01-01Z'), '9999-12-31Z'),
    expiring_event_at = least(greatest(expiring_event_at, '0001-01-01Z'), '9999-12-31Z')
where created_at not between '0001-01-01Z' and '9999-12-31Z'
    or activated_at not between '0001-01-01Z' and '9999-12-31Z'
    or expires_at not between '0001-01-01Z' and '9999-12-31Z'
    or ended_at not between '0001-01-01Z' and '9999-12-31Z'
    or expiring_event_at not between '0001-01-01Z' and '9999-12-31Z';

-- Not valid first: a check of existing rows would hold a lock that blocks writers. The next migration validates.
alter table telecom.package
    add constraint package_traffic_limit_bytes_range_check
        check (traffic_limit_bytes between 0 and 1152921504606846976) not valid,
    add constraint package_created_at_range_check
        check (created_at between '0001-01-01Z' and '9999-12-31Z') not valid;

alter table telecom.package_queue
    add constraint package_queue_adjust_quota_range_check
        check (adjust_quota_bytes between -1152921504606846976 and 1152921504606846976) not valid,
    add constraint package_queue_counters_range_check
        check (upload_bytes <= 2305843009213693952 and download_bytes <= 2305843009213693952) not valid,
    add constraint package_queue_times_range_check check (
        created_at between '0001-01-01Z' and '9999-12-31Z'
        and activated_at between '0001-01-01Z' and '9999-12-31Z'
        and expires_at between '0001-01-01Z' and '9999-12-31Z'
        and ended_at between '0001-01-01Z' and '9999-12-31Z'
        and expiring_event_at between '0001-01-01Z' and '9999-12-31Z'
    ) not valid;
