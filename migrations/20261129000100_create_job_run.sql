-- What scheduled jobs did: one row per invocation, kept for 14 days.
create type telecom.job_outcome as enum ('running', 'completed', 'incomplete', 'failed');

create table telecom.job_run (
    id          uuid                not null constraint job_run_pk primary key,
    job         text                not null,
    request_id  text,
    started_at  timestamptz         not null,
    -- When the function ends the run at the latest. A run that has no end by then was killed.
    deadline_at timestamptz,
    ended_at    timestamptz,
    outcome     telecom.job_outcome not null default 'running',
    error_code  text,
    counts      jsonb,
    lag_seconds bigint,
    constraint job_run_end_check check ((ended_at is null) = (outcome = 'running')),
    constraint job_run_error_code_check check ((error_code is not null) = (outcome = 'failed')),
    constraint job_run_counts_check check (jsonb_typeof(counts) = 'object')
);
create index job_run_job_idx on telecom.job_run (job, outcome, started_at, id) include (deadline_at);
create index job_run_started_idx on telecom.job_run (started_at, id);
