-- Changes of items and usage charged to no item. Triggers write each row in the transaction that makes the change. The
-- oracle takes the time of a change from the commit timestamp of its transaction.
create schema chaos;

create table chaos.item_event (
    seq        bigint generated always as identity,
    item_id    bigint not null,
    user_id    uuid not null,
    status     text not null,
    previous   text,
    xid        xid not null,
    started_at timestamptz not null
);

create table chaos.unpaid (
    user_id    uuid not null,
    bytes      bigint not null,
    xid        xid not null,
    started_at timestamptz not null
);

create function chaos.note_item() returns trigger language plpgsql security definer as $$
begin
    if tg_op = 'DELETE' then
        insert into chaos.item_event (item_id, user_id, status, previous, xid, started_at)
        values (old.id, old.user_id, 'deleted', old.status::text, pg_current_xact_id()::xid, now());
    elsif tg_op = 'INSERT' then
        insert into chaos.item_event (item_id, user_id, status, xid, started_at)
        values (new.id, new.user_id, new.status::text, pg_current_xact_id()::xid, now());
    elsif new.adjust_quota_bytes > old.adjust_quota_bytes then
        insert into chaos.item_event (item_id, user_id, status, xid, started_at)
        values (new.id, new.user_id, 'raised', pg_current_xact_id()::xid, now());
    elsif new.status <> old.status then
        insert into chaos.item_event (item_id, user_id, status, previous, xid, started_at)
        values (new.id, new.user_id, new.status::text, old.status::text, pg_current_xact_id()::xid, now());
    end if;
    return null;
end $$;

create trigger note_item_change after insert or delete on telecom.package_queue
    for each row execute function chaos.note_item();
create trigger note_item_status after update of status, adjust_quota_bytes on telecom.package_queue
    for each row execute function chaos.note_item();

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
