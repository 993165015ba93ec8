-- An item belongs to one user for ever: its hourly usage is found by the item.
create function telecom.refuse_new_owner() returns trigger
language plpgsql as $$
begin
    raise exception 'the owner of package item % cannot change', old.id
        using errcode = 'check_violation', constraint = 'package_queue_owner_check', table = 'package_queue',
            schema = 'telecom', hint = 'Cancel the item and insert one for the other user.';
end $$;

create trigger package_queue_owner_trigger
before update of user_id on telecom.package_queue
for each row when (old.user_id is distinct from new.user_id)
execute function telecom.refuse_new_owner();

-- `expiring_event_at` is set on every active item that is exhausted, however it became so: expire-packages finds it by the
-- index of the next migration. A charge sets it itself; this trigger does where the quota or the status changes, by SQL or by
-- an API. A raise of the quota arms the thresholds above the share that is used then.
create function telecom.mark_exhausted_item() returns trigger
language plpgsql as $$
declare
    -- Not `bigint`: numbers out of range are for the constraints to refuse, by name.
    used  numeric := new.upload_bytes::numeric + new.download_bytes;
    quota numeric;
begin
    select p.traffic_limit_bytes::numeric + new.adjust_quota_bytes into quota from telecom.package p where p.id = new.package_id;
    if used >= quota then
        new.expiring_event_at := coalesce(new.expiring_event_at, now());
    else
        new.expiring_event_at := null;
        -- An exhausted item keeps its percentage: it passed all thresholds.
        new.announced_percent := least(new.announced_percent, coalesce(trunc(used * 100 / quota), 0));
    end if;
    return new;
end $$;

create trigger package_queue_exhausted_trigger
before insert or update of adjust_quota_bytes, package_id, status on telecom.package_queue
for each row when (new.status = 'active')
execute function telecom.mark_exhausted_item();

-- A limit that is changed counts for the items that are active: each is marked anew, in the order of users, as charges lock
-- them.
create function telecom.mark_items_of_package() returns trigger
language plpgsql as $$
declare
    item bigint;
begin
    for item in
        select id from telecom.package_queue where package_id = new.id and status = 'active' order by user_id for no key update
    loop
        update telecom.package_queue set package_id = package_id where id = item;
    end loop;
    return null;
end $$;

create trigger package_traffic_limit_trigger
after update of traffic_limit_bytes on telecom.package
for each row when (old.traffic_limit_bytes is distinct from new.traffic_limit_bytes)
execute function telecom.mark_items_of_package();

-- Items that are exhausted already and whose event was lost.
update telecom.package_queue q set expiring_event_at = now()
from telecom.package p
where p.id = q.package_id and q.status = 'active' and q.expiring_event_at is null
    and q.upload_bytes + q.download_bytes >= p.traffic_limit_bytes + q.adjust_quota_bytes;
