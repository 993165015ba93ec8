-- Sums of `user_package_usage`, which answer questions about all users and about long times from few rows.

-- Hourly usage of a node client, and of all servers together (both ids are null). `summarize-usage` adds the rows of
-- `node_usage_delta` to it, so that the sums of both tables always equal the hourly usage of users.
create table telecom.node_usage_hourly (
    bucket_start          timestamptz not null,
    node_server_id        integer,
    -- Null if the client is unknown.
    node_client_id        integer,
    raw_upload_bytes      bigint not null,
    raw_download_bytes    bigint not null,
    billed_upload_bytes   bigint not null,
    billed_download_bytes bigint not null,
    constraint node_usage_hourly_key unique nulls not distinct (bucket_start, node_server_id, node_client_id)
);

create index node_usage_hourly_server_idx on telecom.node_usage_hourly (node_server_id, bucket_start);
create index node_usage_hourly_client_idx on telecom.node_usage_hourly (node_client_id, bucket_start);

-- What charges add. They append rows and update none, because all users of a node share its row.
create table telecom.node_usage_delta (
    bucket_start          timestamptz not null,
    node_server_id        integer not null,
    node_client_id        integer,
    raw_upload_bytes      bigint not null,
    raw_download_bytes    bigint not null,
    billed_upload_bytes   bigint not null,
    billed_download_bytes bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

-- Usage of a user per UTC day and node client, for the days before `usage_summary.days_summed_before`.
create table telecom.user_usage_daily (
    user_id               uuid not null,
    day                   date not null,
    node_server_id        integer not null,
    node_client_id        integer,
    raw_upload_bytes      bigint not null,
    raw_download_bytes    bigint not null,
    billed_upload_bytes   bigint not null,
    billed_download_bytes bigint not null,
    constraint user_usage_daily_key unique nulls not distinct (user_id, day, node_server_id, node_client_id)
);

create index user_usage_daily_day_idx on telecom.user_usage_daily using brin (day) with (autosummarize = on);

-- What charges add to days that are closed. `summarize-usage` adds it to `user_usage_daily` once the day is summed.
create table telecom.late_user_usage (
    user_id               uuid not null,
    day                   date not null,
    node_server_id        integer not null,
    node_client_id        integer,
    raw_upload_bytes      bigint not null,
    raw_download_bytes    bigint not null,
    billed_upload_bytes   bigint not null,
    billed_download_bytes bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

create index late_user_usage_user_idx on telecom.late_user_usage (user_id);

-- How far days are summed. A charge reads this row, and so holds a lock of the table until it is committed.
-- `summarize-usage` closes days under an exclusive lock. Therefore a charge whose usage is not in `late_user_usage` is
-- committed before the day is summed.
create table telecom.usage_summary (
    only_row           boolean not null default true constraint usage_summary_pk primary key,
    -- Usage of days before this one is late.
    days_closed_before date not null,
    days_summed_before date not null,
    constraint usage_summary_one_row_check check (only_row),
    constraint usage_summary_days_check check (days_summed_before <= days_closed_before)
);

-- The users with the most traffic in a range that ends now, as of the last refresh.
create table telecom.top_user (
    range                 text not null,
    user_id               uuid not null,
    -- Place by billed and by raw bytes. Null if it is not among the first 1,000.
    billed_rank           integer,
    raw_rank              integer,
    raw_upload_bytes      bigint not null,
    raw_download_bytes    bigint not null,
    billed_upload_bytes   bigint not null,
    billed_download_bytes bigint not null,
    constraint top_user_pk primary key (range, user_id),
    constraint top_user_billed_rank_key unique (range, billed_rank),
    constraint top_user_raw_rank_key unique (range, raw_rank)
);

create table telecom.top_user_refresh (
    range        text constraint top_user_refresh_pk primary key,
    period_start timestamptz not null,
    refreshed_at timestamptz not null,
    -- How long the refresh took. A range that takes long is refreshed less often.
    seconds      double precision not null,
    users        bigint not null
);

-- Charges wait until the existing usage is summed. Days are summed by the job.
lock table telecom.user_package_usage in share row exclusive mode;

insert into telecom.node_usage_hourly
select bucket_start, node_server_id, node_client_id, sum(raw_upload_bytes)::bigint, sum(raw_download_bytes)::bigint,
    sum(billed_upload_bytes)::bigint, sum(billed_download_bytes)::bigint
from telecom.user_package_usage
group by grouping sets ((bucket_start, node_server_id, node_client_id), (bucket_start));

insert into telecom.usage_summary (days_closed_before, days_summed_before)
select day, day from (
    select coalesce((min(bucket_start) at time zone 'UTC')::date, (now() at time zone 'UTC')::date) as day
    from telecom.user_package_usage
) first_day;
