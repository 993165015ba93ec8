-- Reports that were accepted and of which some or all lines are not billed until an administrator releases them. The row
-- in `usage_report` makes a repeat visible, as of any other report; its `line_count` leaves these lines out.
create table telecom.quarantined_report (
    usage_report_seq bigint constraint quarantined_report_pk primary key,
    report_id        uuid not null,
    node_server_id   integer not null,
    sender_id        text,
    period_start     timestamptz not null,
    period_end       timestamptz not null,
    received_at      timestamptz not null,
    reason           text not null,
    released_at      timestamptz,
    released_by      text,
    release_reason   text,
    constraint quarantined_report_reason_check check (reason in ('implausible_bytes', 'unknown_node_client')),
    constraint quarantined_report_release_check check (
        (released_at is null) = (released_by is null) and (released_at is null) = (release_reason is null)
    )
);

create index quarantined_report_received_at_idx on telecom.quarantined_report (received_at);

create table telecom.quarantined_usage (
    usage_report_seq bigint not null
        constraint quarantined_usage_report_fk references telecom.quarantined_report on delete cascade,
    upload_bytes     bigint not null,
    download_bytes   bigint not null,
    user_id          uuid not null,
    -- As reported. The server may have no such client.
    node_client_id   integer,
    -- The client's factor when the report arrived. Null if the server had no such client.
    traffic_factor   numeric(7, 4),
    constraint quarantined_usage_bytes_check check (upload_bytes >= 0 and download_bytes >= 0),
    constraint quarantined_usage_traffic_factor_check check (traffic_factor between 0 and 100)
);

create index quarantined_usage_report_idx on telecom.quarantined_usage (usage_report_seq);

-- One row per report, for administrators.
create view telecom.quarantine as
select r.usage_report_seq, r.node_server_id, r.report_id, r.sender_id, r.period_start, r.period_end, r.received_at, r.reason,
    u.lines, u.lines_without_factor, u.upload_bytes, u.download_bytes, r.released_at, r.released_by, r.release_reason
from telecom.quarantined_report r
cross join lateral (
    select count(*) as lines, count(*) filter (where traffic_factor is null) as lines_without_factor,
        coalesce(sum(upload_bytes), 0) as upload_bytes, coalesce(sum(download_bytes), 0) as download_bytes
    from telecom.quarantined_usage
    where usage_report_seq = r.usage_report_seq
) u;
