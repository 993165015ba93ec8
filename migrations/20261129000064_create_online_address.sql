-- From how many addresses a user is connected to each client. Rows are read for three minutes, and then deleted. The table is
-- not logged: after a crash it is empty, and the next reports of the nodes fill it.
create unlogged table telecom.online_address (
    user_number    integer not null,
    node_client_id integer not null,
    -- The first 16 bytes of SHA-256 of the salt and the address.
    address_hash   bytea not null,
    seen_at        timestamptz not null,
    constraint online_address_pk primary key (user_number, node_client_id, address_hash)
) with (fillfactor = 70);

-- One row. Without the salt, the addresses could be found by hashing all of them.
create table telecom.online_address_salt (
    only_row boolean default true constraint online_address_salt_pk primary key
        constraint online_address_salt_one_row_check check (only_row),
    salt     uuid not null default gen_random_uuid()
);

insert into telecom.online_address_salt default values;
