-- How many items a package has in a status is the sum of its rows for that status. Every change of items appends rows with
-- the numbers that it adds and removes. No change updates a row, so that none waits for another. `expire-packages` replaces
-- several rows by their sum.
--
-- There is no foreign key, because each change of an item would lock the row of its package.
create table telecom.package_queue_count (
    package_id bigint not null,
    status     telecom.package_queue_status not null,
    items      bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- It acts as its owner, so that a role which may change items needs no privilege on the counts. After a rollback, the previous
-- version of the code revokes all privileges that it does not know.
create function telecom.count_package_items() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        insert into telecom.package_queue_count (package_id, status, items)
        select package_id, status, count(*) from inserted group by package_id, status;
    elsif tg_op = 'UPDATE' then
        insert into telecom.package_queue_count (package_id, status, items)
        values (old.package_id, old.status, -1), (new.package_id, new.status, 1);
    elsif tg_op = 'DELETE' then
        insert into telecom.package_queue_count (package_id, status, items)
        select package_id, status, -count(*) from deleted group by package_id, status;
    else
        truncate telecom.package_queue_count;
    end if;
    return null;
end $$;

revoke execute on function telecom.count_package_items() from public;

-- Writers wait until the items are counted, about a second for 5 million items.
lock table telecom.package_queue in share row exclusive mode;

create trigger package_queue_count_insert_trigger
after insert on telecom.package_queue
referencing new table as inserted
for each statement execute function telecom.count_package_items();

-- A trigger for each row, because only such a trigger can be limited to columns and see the rows. A charge sets neither of
-- the two columns, so it does not fire the trigger.
create trigger package_queue_count_update_trigger
after update of package_id, status on telecom.package_queue
for each row when (old.package_id is distinct from new.package_id or old.status is distinct from new.status)
execute function telecom.count_package_items();

create trigger package_queue_count_delete_trigger
after delete on telecom.package_queue
referencing old table as deleted
for each statement execute function telecom.count_package_items();

create trigger package_queue_count_truncate_trigger
after truncate on telecom.package_queue
for each statement execute function telecom.count_package_items();

insert into telecom.package_queue_count (package_id, status, items)
select package_id, status, count(*) from telecom.package_queue group by package_id, status;
