-- Every billing message ever applied, written in the transaction that applies it.
create table telecom.billing_batch (
    id           uuid constraint billing_batch_pk primary key,
    payload_hash bytea not null,
    event_count  integer not null,
    applied_at   timestamptz not null
);

create index billing_batch_applied_at_idx on telecom.billing_batch using brin (applied_at);

-- What must leave the database after a commit. Bodies are short-lived: not worth compressing.
create table telecom.outbox (
    id          uuid constraint outbox_pk primary key,
    destination telecom.outbox_destination not null,
    detail_type text,
    body        text not null,
    trace       text,
    attempts    integer not null default 0,
    created_at  timestamptz not null,
    -- The sender's lease: nobody else sends the row before this moment.
    send_after  timestamptz not null,
    last_error  text,
    constraint outbox_detail_type_check check ((destination = 'event_bus') = (detail_type is not null))
);

alter table telecom.outbox alter column body set storage external;
create index outbox_send_after_idx on telecom.outbox (send_after);
