-- How often the list of users changed that nodes with an access group receive: the sum of the group's rows. Every change
-- appends a row. No change updates a row, so that none waits for another, and a sum that includes one more committed change is
-- greater. `expire-packages` replaces several rows by their sum.
create table telecom.user_list_change (
    available_group integer not null,
    changes         bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create index user_list_change_idx on telecom.user_list_change (available_group) include (changes);

-- A list has the users whose item is active and not exhausted. This counts a change of the lists that an item joins or leaves.
-- It locks the user's row, so that a change of the secret by another transaction is either in the list before, or finds the
-- item and counts.
create function telecom.count_user_list_changes() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    was_listed boolean := false;
    is_listed  boolean := false;
begin
    if tg_op <> 'INSERT' then
        was_listed := old.status = 'active' and old.expiring_event_at is null;
    end if;
    if tg_op <> 'DELETE' then
        is_listed := new.status = 'active' and new.expiring_event_at is null;
    end if;
    if is_listed then
        perform from telecom.node_user where user_id = new.user_id for share;
    end if;
    insert into telecom.user_list_change (available_group, changes)
    select available_group, 1 from telecom.package
    where (was_listed and id = old.package_id) or (is_listed and id = new.package_id);
    return null;
end $$;

revoke execute on function telecom.count_user_list_changes() from public;

-- The triggers name no columns, because triggers that run before them change columns, too.
create trigger package_queue_user_list_insert_trigger
after insert on telecom.package_queue
for each row when (new.status = 'active' and new.expiring_event_at is null)
execute function telecom.count_user_list_changes();

create trigger package_queue_user_list_update_trigger
after update on telecom.package_queue
for each row when (
    (old.status = 'active' and old.expiring_event_at is null)
        is distinct from (new.status = 'active' and new.expiring_event_at is null)
    or (new.status = 'active' and old.package_id is distinct from new.package_id)
)
execute function telecom.count_user_list_changes();

create trigger package_queue_user_list_delete_trigger
after delete on telecom.package_queue
for each row when (old.status = 'active' and old.expiring_event_at is null)
execute function telecom.count_user_list_changes();

-- A truncated queue empties all lists.
create function telecom.count_truncated_user_lists() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into telecom.user_list_change (available_group, changes) select distinct available_group, 1 from telecom.package;
    return null;
end $$;

revoke execute on function telecom.count_truncated_user_lists() from public;

create trigger package_queue_user_list_truncate_trigger
after truncate on telecom.package_queue
for each statement execute function telecom.count_truncated_user_lists();

-- A package that is changed by hand changes the lists that its users are in, and those that they come into.
create function telecom.count_package_list_changes() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into telecom.user_list_change (available_group, changes) values (old.available_group, 1), (new.available_group, 1);
    return null;
end $$;

revoke execute on function telecom.count_package_list_changes() from public;

create trigger package_user_list_trigger
after update on telecom.package
for each row when ((old.available_group, old.max_client_number) is distinct from (new.available_group, new.max_client_number))
execute function telecom.count_package_list_changes();

-- A changed number or secret changes the lists that the user is in.
create function telecom.count_node_user_list_changes() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into telecom.user_list_change (available_group, changes)
    select p.available_group, 1
    from telecom.package_queue q
    join telecom.package p on p.id = q.package_id
    where q.user_id = old.user_id and q.status = 'active';
    return null;
end $$;

revoke execute on function telecom.count_node_user_list_changes() from public;

create trigger node_user_list_trigger
after update or delete on telecom.node_user
for each row execute function telecom.count_node_user_list_changes();
