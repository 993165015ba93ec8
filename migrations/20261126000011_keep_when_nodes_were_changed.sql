-- Whoever changes a server or a client by hand need not think of saying when. What jobs and administrators' calls change,
-- the status, is not of this: it has a log of its own.
create function telecom.keep_updated_at() returns trigger
language plpgsql as $$
begin
    new.updated_at := now();
    return new;
end $$;

create trigger node_server_updated_at_trigger
before update of name, compatibility, server_config on telecom.node_server
for each row when ((old.name, old.compatibility, old.server_config) is distinct from (new.name, new.compatibility, new.server_config))
execute function telecom.keep_updated_at();

create trigger node_client_updated_at_trigger
before update on telecom.node_client
for each row when (old.* is distinct from new.*)
execute function telecom.keep_updated_at();
