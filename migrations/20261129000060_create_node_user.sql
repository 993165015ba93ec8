-- A user as node software knows them: by a number, and by a secret that is their password on the nodes. Every user with an
-- item has a row, and keeps it, because late reports name the number.
create table telecom.node_user (
    user_id    uuid constraint node_user_pk primary key,
    -- Node software keeps it in 32 bits. The greatest number stands for a user that does not exist.
    number     integer generated always as identity (maxvalue 2147483646) constraint node_user_number_key unique,
    -- A random UUID of version 4. Some protocols use its first 16 characters as a key, which the time of a UUID of version 7
    -- would make equal for many users.
    secret     uuid not null default gen_random_uuid(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint node_user_number_check check (number > 0)
);

-- It acts as its owner, so that a role which may insert items needs no privilege on the secrets.
create function telecom.create_node_users() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    -- Known users take no number. The order is the one in which all transactions lock users.
    insert into telecom.node_user (user_id)
    select distinct i.user_id from inserted i
    where not exists (select from telecom.node_user u where u.user_id = i.user_id)
    order by i.user_id
    on conflict (user_id) do nothing;
    return null;
end $$;

revoke execute on function telecom.create_node_users() from public;

-- Writers wait until the rows of all users are inserted, some seconds for a million users.
lock table telecom.package_queue in share row exclusive mode;

create trigger package_queue_node_user_trigger
after insert on telecom.package_queue
referencing new table as inserted
for each statement execute function telecom.create_node_users();

insert into telecom.node_user (user_id) select distinct user_id from telecom.package_queue order by user_id;
