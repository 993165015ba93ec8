-- Changes of items, completed extensions, and usage charged to no item. Triggers write each row in the transaction
-- that makes the change. The oracle takes the time of a change from the commit timestamp of its transaction.
create schema chaos;

create table chaos.item_event (
    seq bigint generated always as identity,
    item_id bigint not null,
    user_id uuid not null,
    package_id bigint not null,
    by_order uuid,
    -- The new status, or what else has changed: 'deleted', 'adjusted' or 'extended'.
    status text not null,
    previous text,
    -- Bytes that were added to the quota. Null for other changes.
    bytes bigint,
    -- Name of the function's worker, or 'operator'.
    writer text not null default current_setting('application_name'),
    xid xid not null default pg_current_xact_id()::xid,
    started_at timestamptz not null default now()
);

-- When extensions were completed.
create table chaos.extension_event (
    extension_id uuid not null,
    xid xid not null default pg_current_xact_id()::xid
);

create table chaos.unpaid (
    user_id uuid not null,
    bytes bigint not null,
    xid xid not null,
    started_at timestamptz not null
);

create function chaos.note(item telecom.package_queue, status text, previous text, bytes bigint) returns void
language sql security definer as $$
    insert into chaos.item_event (item_id, user_id, package_id, by_order, status, previous, bytes)
    values (item.id, item.user_id, item.package_id, item.by_order, note.status, note.previous, note.bytes)
$$;

create function chaos.note_item() returns trigger language plpgsql security definer as $$
begin
    if tg_op = 'DELETE' then
        perform chaos.note(old, 'deleted', old.status::text, null);
    elsif tg_op = 'INSERT' then
        perform chaos.note(new, new.status::text, null, null);
    else
        if new.adjust_quota_bytes <> old.adjust_quota_bytes then
            perform chaos.note(new, 'adjusted', null, new.adjust_quota_bytes - old.adjust_quota_bytes);
        end if;
        if new.extended_seconds <> old.extended_seconds then
            perform chaos.note(new, 'extended', null, null);
        end if;
        if new.status <> old.status then
            perform chaos.note(new, new.status::text, old.status::text, null);
        end if;
    end if;
    return null;
end $$;

create trigger note_item_change after insert or delete on telecom.package_queue
    for each row execute function chaos.note_item();
create trigger note_item_status after update of status, adjust_quota_bytes, extended_seconds on telecom.package_queue
    for each row execute function chaos.note_item();

create function chaos.note_extension() returns trigger language plpgsql security definer as $$
begin
    insert into chaos.extension_event (extension_id) values (new.id);
    return null;
end $$;

create trigger note_extension after update of completed_at on telecom.package_extension
    for each row when (new.completed_at is not null) execute function chaos.note_extension();

create function chaos.note_unpaid() returns trigger language plpgsql security definer as $$
declare
    bytes bigint := new.raw_upload_bytes + new.raw_download_bytes + new.billed_upload_bytes + new.billed_download_bytes;
begin
    if tg_op = 'UPDATE' then
        bytes := bytes - old.raw_upload_bytes - old.raw_download_bytes - old.billed_upload_bytes - old.billed_download_bytes;
    end if;
    insert into chaos.unpaid (user_id, bytes, xid, started_at)
    values (new.user_id, bytes, pg_current_xact_id()::xid, now());
    return null;
end $$;

create trigger note_unpaid after insert or update on telecom.user_package_usage
    for each row when (new.package_queue_id is null) execute function chaos.note_unpaid();
