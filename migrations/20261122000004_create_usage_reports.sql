-- One row a report: what makes a repeat visible, and what billing claims.
create table telecom.usage_report (
    report_id      uuid constraint usage_report_pk primary key,
    seq            bigint generated always as identity,
    node_server_id integer not null
        constraint usage_report_node_server_fk references telecom.node_server,
    period_start   timestamptz not null,
    period_end     timestamptz not null,
    payload_hash   bytea not null,
    line_count     integer not null,
    received_at    timestamptz not null,
    billing_run_id uuid,
    constraint usage_report_period_check check (period_start <= period_end),
    constraint usage_report_line_count_check check (line_count >= 0)
);

-- A heartbeat has nothing to bill.
create index usage_report_unbilled_idx on telecom.usage_report (seq) where billing_run_id is null and line_count > 0;
create index usage_report_received_at_idx on telecom.usage_report using brin (received_at);

-- Raw rows, append-only, a partition a day of arrival; `maintain-storage` creates and drops the partitions.
create table telecom.traffic_usage (
    usage_report_seq bigint not null,
    received_at      timestamptz not null,
    upload_bytes     bigint not null,
    download_bytes   bigint not null,
    user_id          uuid not null,
    node_client_id   integer,
    -- The client's factor when the report arrived: a later change does not reach back.
    traffic_factor   numeric(7, 4) not null,
    constraint traffic_usage_bytes_check check (upload_bytes >= 0 and download_bytes >= 0)
) partition by range (received_at);

create index traffic_usage_report_idx on telecom.traffic_usage (usage_report_seq);
