-- Who changed what, and who was shown secrets, through an API. An entry is written in the transaction of what it is about.
create table telecom.audit_entry (
    id            bigint generated always as identity,
    created_at    timestamptz not null,
    actor_user_id uuid not null,
    -- x-request-id or the id of the trace, where the request had one.
    request_id    text,
    action        text not null,
    target_kind   text not null,
    target_id     text not null,
    -- What of the target was changed, secrets masked.
    before        jsonb,
    after         jsonb,
    reason        text,
    constraint audit_entry_pk primary key (id)
);

create index audit_entry_created_at_idx on telecom.audit_entry (created_at);

-- The functions' roles may add entries and change none. This deletes old ones, at most so many; none is younger than 400
-- days, whatever the caller says.
create function telecom.delete_audit_entries(before timestamptz, at_most bigint) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp as $$
    with deleted as (
        delete from telecom.audit_entry where id = any(array(
            select id from telecom.audit_entry
            where created_at < least(delete_audit_entries.before, now() - interval '400 days')
            limit at_most
        ))
        returning 1
    )
    select count(*) from deleted
$$;

revoke execute on function telecom.delete_audit_entries(timestamptz, bigint) from public;
