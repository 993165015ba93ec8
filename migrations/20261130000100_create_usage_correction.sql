-- Corrections of what users are billed. The sums contain each of them: the hourly row of the user, the counters of the item,
-- and the usage of the node and of the day. So no reader adds them.
create table telecom.usage_correction (
    id                    bigint generated always as identity constraint usage_correction_pk primary key,
    user_id               uuid not null,
    -- The UTC hour whose usage is corrected.
    bucket_start          timestamptz not null,
    node_server_id        integer not null,
    -- Null if the client is unknown.
    node_client_id        integer,
    -- Null if the usage is charged to no item.
    package_queue_id      bigint,
    -- Negative if the user is billed less. Raw bytes are what nodes reported, and are not corrected.
    billed_upload_bytes   bigint not null,
    billed_download_bytes bigint not null,
    corrected_at          timestamptz not null,
    actor_user_id         uuid not null,
    reason                text not null,
    constraint usage_correction_bytes_check check (billed_upload_bytes <> 0 or billed_download_bytes <> 0)
);

create index usage_correction_user_idx on telecom.usage_correction (user_id, bucket_start);
create index usage_correction_item_idx on telecom.usage_correction (package_queue_id) where package_queue_id is not null;
create index usage_correction_bucket_start_idx on telecom.usage_correction (bucket_start);
