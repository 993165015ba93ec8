-- What was accepted to be charged, written in the transaction that charges it: one row per transaction, billing run and
-- hour. Append-only. The hourly rows are compared with it, which every later change of theirs should leave alone.
create table telecom.accepted_usage (
    -- The UTC hour of the usage.
    bucket_start          timestamptz not null,
    -- Null if another publisher sent the events.
    billing_run_id        uuid,
    raw_upload_bytes      bigint not null,
    raw_download_bytes    bigint not null,
    billed_upload_bytes   bigint not null,
    billed_download_bytes bigint not null
);

create index accepted_usage_bucket_start_idx on telecom.accepted_usage (bucket_start);
create index accepted_usage_billing_run_idx on telecom.accepted_usage (billing_run_id) where billing_run_id is not null;

-- How far the rotation of reconcile-usage came through all hours, items and runs, newest first. Null: it begins anew.
create table telecom.reconciliation (
    only_row     boolean not null default true constraint reconciliation_pk primary key,
    -- Hours and runs from here on are compared with `accepted_usage`. The previous version of the code, which may run for
    -- some time after this migration, writes no rows there.
    checked_from timestamptz not null default date_trunc('hour', now()) + interval '3 hours',
    hour_cursor  timestamptz,
    item_cursor  bigint,
    run_cursor   uuid,
    constraint reconciliation_one_row_check check (only_row)
);

insert into telecom.reconciliation default values;

-- Numbers that do not agree. A row is deleted when they agree again.
create table telecom.usage_drift (
    kind                  text not null,
    -- Which hour, item or run: one of the three, by the kind.
    bucket_start          timestamptz,
    package_queue_id      bigint,
    billing_run_id        uuid,
    -- Owner of the item.
    user_id               uuid,
    -- What is recorded or charged minus what should be.
    raw_upload_bytes      bigint not null,
    raw_download_bytes    bigint not null,
    billed_upload_bytes   bigint not null,
    billed_download_bytes bigint not null,
    -- When it was found with these differences.
    found_at              timestamptz not null,
    -- An operator's reason to leave it as it is: no alarm, as long as the differences stay the same.
    accepted_reason       text,
    constraint usage_drift_kind_check check (kind in ('hour', 'uncharged', 'item', 'run', 'applied')),
    constraint usage_drift_key unique nulls not distinct (kind, bucket_start, package_queue_id, billing_run_id)
);

-- The difference between two sums of bytes, within the range of a bigint: a wrong number may be of any size.
create function telecom.byte_difference(actual numeric, expected numeric) returns bigint
language sql immutable parallel safe
return least(greatest(coalesce(actual, 0) - coalesce(expected, 0), -9223372036854775807), 9223372036854775807)::bigint;
