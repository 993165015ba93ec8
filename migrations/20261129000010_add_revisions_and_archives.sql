-- A revision counts the changes of a server or a client that administrators make, so that an update of an older revision is
-- refused. Archived servers and clients stay, because bills and history refer to them.
alter table telecom.node_server
    add column revision bigint not null default 1,
    add column archived_at timestamptz,
    add constraint node_server_archived_at_check
        check (archived_at between '1970-01-01Z' and '9999-12-31Z') not valid;
alter table telecom.node_client
    add column revision bigint not null default 1,
    add column archived_at timestamptz,
    add constraint node_client_archived_at_check
        check (archived_at between '1970-01-01Z' and '9999-12-31Z') not valid;

create or replace function telecom.keep_updated_at() returns trigger
language plpgsql as $$
begin
    new.updated_at := now();
    new.revision := old.revision + 1;
    return new;
end $$;

drop trigger node_server_updated_at_trigger on telecom.node_server;
create trigger node_server_updated_at_trigger
before update of name, compatibility, server_config, archived_at on telecom.node_server
for each row when (
    (old.name, old.compatibility, old.server_config, old.archived_at)
    is distinct from (new.name, new.compatibility, new.server_config, new.archived_at)
)
execute function telecom.keep_updated_at();

create or replace view telecom.user_node_client as
select q.user_id, c.id, c.node_server_id, c.name, c.traffic_factor, c.display_order, c.speed_limit_bits_per_second,
    c.country, c.location, c.route_class
from telecom.package_queue q
join telecom.package p on p.id = q.package_id
join telecom.node_client c on c.access_groups @> array[p.available_group]
where q.status = 'active' and c.archived_at is null;
