-- What each server's status was, and when: an interval a row, the open one last.
create table telecom.node_status_transition (
    id             bigint generated always as identity constraint node_status_transition_pk primary key,
    node_server_id integer not null
        constraint node_status_transition_node_server_fk references telecom.node_server on delete cascade,
    -- None: the first that is known of the server.
    from_status    telecom.node_server_status,
    to_status      telecom.node_server_status not null,
    -- Of an outage: the last sign of life, which is before anybody noticed.
    since          timestamptz not null,
    until          timestamptz,
    detected_at    timestamptz not null,
    -- Who took a server out of service or back, and why.
    actor_user_id  uuid,
    reason         text,
    constraint node_status_transition_edge_check check (from_status is distinct from to_status),
    constraint node_status_transition_interval_check check (since <= until),
    constraint node_status_transition_reason_check check ((actor_user_id is null) = (reason is null))
);

create unique index node_status_transition_open_key on telecom.node_status_transition (node_server_id) where until is null;
create index node_status_transition_server_idx on telecom.node_status_transition (node_server_id, since);
create index node_status_transition_until_idx on telecom.node_status_transition (until);

-- When no server at all was heard: it is the collection that is broken then, and nothing is known of the servers.
create table telecom.collection_outage (
    id    bigint generated always as identity constraint collection_outage_pk primary key,
    since timestamptz not null,
    until timestamptz,
    constraint collection_outage_interval_check check (since <= until)
);

create unique index collection_outage_open_key on telecom.collection_outage ((true)) where until is null;
