-- Why messages failed that may end in a dead-letter queue. SQS does not keep the reason.
create table telecom.rejected_message (
    queue           text        not null,
    message_id      text        not null,
    error_code      text        not null,
    reason          text        not null,
    attempts        bigint      not null default 1,
    first_failed_at timestamptz not null,
    last_failed_at  timestamptz not null,
    constraint rejected_message_pk primary key (queue, message_id)
);
create index rejected_message_newest_idx on telecom.rejected_message (queue, last_failed_at, message_id);
create index rejected_message_last_failed_idx on telecom.rejected_message (last_failed_at);

-- How many messages wait in each dead-letter queue, as the job sweep-outbox counted them last.
create table telecom.dead_letter_queue (
    queue         text        not null constraint dead_letter_queue_pk primary key,
    message_count bigint      not null constraint dead_letter_queue_message_count_check check (message_count >= 0),
    counted_at    timestamptz not null
);
