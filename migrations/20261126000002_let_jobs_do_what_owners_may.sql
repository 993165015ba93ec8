-- The jobs' role owns nothing: what takes an owner is a function of the owner's, and does this one thing.
alter function telecom.create_traffic_usage_partitions(date, integer)
    security definer set search_path = pg_catalog, pg_temp;
alter function telecom.drop_traffic_usage_partitions(date)
    security definer set search_path = pg_catalog, pg_temp;

-- Readers go on meanwhile. Of a long history the planner expects more than there is to do, and would compile the query for
-- longer than it runs; the hours still open are sorted in memory.
create function telecom.refresh_node_status_view() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp set jit = off set work_mem = '32MB' as $$
begin
    refresh materialized view concurrently telecom.node_status_hourly_mv;
    analyze telecom.node_status_hourly_mv;
end $$;

-- A function may be called by everybody unless it is said otherwise.
revoke execute on all functions in schema telecom from public;
