-- Which sender may report which server. Managed by the operator. A sender with rows may report only these servers, a server
-- with rows accepts only these senders, and without any row every sender may report every server.
create table telecom.report_sender (
    -- SQS's `SenderId`. The id of a role, without its session, stands for all sessions of the role.
    sender_id      text not null,
    -- Without a cascade: a sender that loses its last row may report every server that is not bound.
    node_server_id integer not null constraint report_sender_node_server_fk references telecom.node_server,
    constraint report_sender_pk primary key (sender_id, node_server_id),
    constraint report_sender_sender_id_check check (sender_id <> '')
);

create index report_sender_node_server_idx on telecom.report_sender (node_server_id);
