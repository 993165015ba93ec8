-- When servers were last judged: silence during which nobody listened says nothing.
create table telecom.node_status_watch (
    only_row   boolean not null default true constraint node_status_watch_pk primary key,
    ran_at     timestamptz,
    -- Silence counts from here at the earliest.
    heard_from timestamptz,
    constraint node_status_watch_one_row_check check (only_row)
);

insert into telecom.node_status_watch default values;
