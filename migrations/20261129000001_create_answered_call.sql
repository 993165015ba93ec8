-- The answers of changes that were made with an idempotency key. A repeated call gets the same answer and changes nothing.
create table telecom.answered_call (
    actor_user_id   uuid not null,
    idempotency_key text not null,
    -- SHA-256 of the operation and its input: the same key with another request is refused.
    request_hash    bytea not null,
    -- Null only within the transaction of the call.
    answer          jsonb,
    created_at      timestamptz not null,
    constraint answered_call_pk primary key (actor_user_id, idempotency_key)
);

create index answered_call_created_at_idx on telecom.answered_call (created_at);
