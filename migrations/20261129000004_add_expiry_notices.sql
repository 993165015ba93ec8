-- Notices that the time of an active item ends soon. The default makes the items that are active now due for a check, without
-- writing them: expire-packages checks them in batches. Items that become active later are made due by the trigger.
alter table telecom.package_queue
    -- When the next notice of an active item is due for a check. Null if none is left.
    add column notice_due_at timestamptz default '1970-01-01Z',
    -- The last published level, in hours before the end, and the end that it was published for. A later end arms all levels.
    add column noticed_hours smallint,
    add column noticed_expires_at timestamptz;
alter table telecom.package_queue alter column notice_due_at drop default;

-- An item is checked after it became active and after its end was moved, by any writer. `activated_at` is never in the
-- future, so the next run of the job checks the item. The statements of charges and of notices name none of these columns.
create function telecom.make_notice_due() returns trigger
language plpgsql as $$
begin
    new.notice_due_at := new.activated_at;
    return new;
end $$;

create trigger package_queue_notice_trigger
before insert or update of status, activated_at, expires_at on telecom.package_queue
for each row when (new.status = 'active')
execute function telecom.make_notice_due();
