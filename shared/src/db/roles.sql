-- Who may do what in the database. Run after the migrations, each time: a repeat does nothing, and what is new is covered.
-- Roles belong to the whole server, which may have several databases like this one.
do $$
declare
    name text;
begin
    foreach name in array array['telecom_reader', 'telecom_writer'] loop
        begin
            execute format('create role %I', name);
        exception when duplicate_object or unique_violation then
            -- Another database's migration made it.
        end;
    end loop;
    if to_regrole('rds_iam') is not null then
        -- On RDS each is a login by itself, without a password; what a connection may take is the role's to say there.
        foreach name in array array['telecom_reader', 'telecom_writer'] loop
            execute format('alter role %I login', name);
            execute format('alter role %I set statement_timeout = %L', name, '60s');
            execute format('alter role %I set idle_in_transaction_session_timeout = %L', name, '60s');
            execute format('grant rds_iam to %I', name);
        end loop;
    end if;
    if not (select rolsuper from pg_roles where rolname = current_user) then
        -- Elsewhere one login takes the role of its function.
        grant telecom_reader, telecom_writer to current_user;
    end if;
end $$;

grant usage on schema telecom to telecom_reader, telecom_writer;
grant select on all tables in schema telecom to telecom_reader, telecom_writer;

-- Packages and node clients are the operator's: no function writes them, and of servers and queues none adds or removes.
grant update on telecom.node_server, telecom.package_queue to telecom_writer;
grant insert, update, delete on
    telecom.billing_batch, telecom.billing_run, telecom.collection_outage, telecom.node_server_heartbeat, telecom.node_status_history,
    telecom.node_status_transition, telecom.node_status_watch, telecom.node_status_seal, telecom.outbox,
    telecom.parked_event, telecom.traffic_usage, telecom.usage_report, telecom.user_package_usage
    to telecom_writer;
grant execute on all functions in schema telecom to telecom_writer;
