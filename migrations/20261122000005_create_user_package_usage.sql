-- Hourly usage of a user, by server, node client and the package item that paid for it (none: no active package).
-- Rows are rewritten during their hour, all of a page in one batch: hence the room.
create table telecom.user_package_usage (
    user_id               uuid not null,
    bucket_start          timestamptz not null,
    node_server_id        integer not null,
    node_client_id        integer,
    package_queue_id      bigint,
    raw_upload_bytes      bigint not null,
    raw_download_bytes    bigint not null,
    billed_upload_bytes   bigint not null,
    billed_download_bytes bigint not null,
    constraint user_package_usage_key unique nulls not distinct
        (user_id, bucket_start, node_server_id, node_client_id, package_queue_id),
    constraint user_package_usage_bytes_check check (
        raw_upload_bytes >= 0 and raw_download_bytes >= 0 and billed_upload_bytes >= 0 and billed_download_bytes >= 0
    )
) with (fillfactor = 45);
