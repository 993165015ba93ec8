-- One row per claim of the billing job: what it read and what it billed. Events that name a run of ours are charged even if
-- their server has been deleted since.
create table telecom.billing_run (
    id                    uuid constraint billing_run_pk primary key,
    claimed_at            timestamptz not null,
    report_count          integer not null,
    event_count           integer not null,
    raw_upload_bytes      bigint not null,
    raw_download_bytes    bigint not null,
    billed_upload_bytes   bigint not null,
    billed_download_bytes bigint not null
);

create index billing_run_claimed_at_idx on telecom.billing_run using brin (claimed_at);

-- Usage of users who could not be charged when all others of their batch were: a locked row, a number that leaves its range.
-- Kept until the cause is gone; retried by the billing job.
create table telecom.parked_event (
    id                    bigint generated always as identity constraint parked_event_pk primary key,
    user_id               uuid not null,
    bucket_start          timestamptz not null,
    node_server_id        integer not null,
    node_client_id        integer,
    raw_upload_bytes      bigint not null,
    raw_download_bytes    bigint not null,
    billed_upload_bytes   bigint not null,
    billed_download_bytes bigint not null,
    -- The error's code, and its cause.
    reason                text not null,
    parked_at             timestamptz not null,
    attempts              integer not null default 1,
    retry_at              timestamptz not null
);

create index parked_event_retry_at_idx on telecom.parked_event (retry_at);

-- When usage was last recorded that no item pays for: at that instant the user must not have had a package.
alter table telecom.user_package_usage add column uncharged_at timestamptz;
