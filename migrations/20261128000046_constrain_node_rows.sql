-- Values that SQL by hand could put into a row and that the code cannot read: infinite times, times that RFC 3339 cannot
-- write, NaN, arrays with nulls, and configurations nested deeper, or with larger numbers, than JSON and Protobuf readers
-- accept. One such row would fail every page that contains it. `not valid` checks new rows only and locks for an instant.
-- The next migration checks the rows that exist.

-- Rows that exist and break a rule: the tables are small. A configuration that breaks one is the operator's to correct.
update telecom.node_server set
    created_at = greatest(least(created_at, '9999-12-31Z'), '1970-01-01Z'),
    updated_at = greatest(least(updated_at, '9999-12-31Z'), '1970-01-01Z')
where not (created_at between '1970-01-01Z' and '9999-12-31Z' and updated_at between '1970-01-01Z' and '9999-12-31Z');

update telecom.node_client set
    created_at = greatest(least(created_at, '9999-12-31Z'), '1970-01-01Z'),
    updated_at = greatest(least(updated_at, '9999-12-31Z'), '1970-01-01Z'),
    access_groups = array(select unnest from unnest(access_groups) where unnest is not null)
where not (created_at between '1970-01-01Z' and '9999-12-31Z' and updated_at between '1970-01-01Z' and '9999-12-31Z')
    or array_ndims(access_groups) > 1 or array_lower(access_groups, 1) <> 1
    or array_to_string(access_groups, ',') <> array_to_string(access_groups, ',', 'null');

-- The next report writes the row anew.
delete from telecom.node_server_heartbeat
where not (last_online_at between '1970-01-01Z' and '9999-12-31Z' and metrics_at between '1970-01-01Z' and '9999-12-31Z'
    and cpu_percent between 0 and 100 and load1 between 0 and 1000000
    and memory_used_bytes >= 0 and memory_total_bytes >= 0 and disk_used_bytes >= 0 and disk_total_bytes >= 0
    and online_users >= 0 and uptime_seconds >= 0
    and upload_bytes_per_second >= 0 and download_bytes_per_second >= 0);

alter table telecom.node_server
    add constraint node_server_times_check check (
        created_at between '1970-01-01Z' and '9999-12-31Z'
        and updated_at between '1970-01-01Z' and '9999-12-31Z'
    ) not valid,
    add constraint node_server_server_config_check check (
        jsonb_typeof(server_config) = 'object'
        and not jsonb_path_exists(server_config, '$.**{31 to last}')
        and not jsonb_path_exists(server_config, '$.** ? (@.type() == "number" && (@ > 1e308 || @ < -1e308))')
    ) not valid;

alter table telecom.node_client
    add constraint node_client_times_check check (
        created_at between '1970-01-01Z' and '9999-12-31Z'
        and updated_at between '1970-01-01Z' and '9999-12-31Z'
    ) not valid,
    add constraint node_client_client_config_check check (
        jsonb_typeof(client_config) = 'object'
        and not jsonb_path_exists(client_config, '$.**{31 to last}')
        and not jsonb_path_exists(client_config, '$.** ? (@.type() == "number" && (@ > 1e308 || @ < -1e308))')
    ) not valid,
    add constraint node_client_access_groups_check check (
        array_ndims(access_groups) = 1 and array_lower(access_groups, 1) = 1
        and array_position(access_groups, null) is null
    ) not valid;

alter table telecom.node_server_heartbeat
    add constraint node_server_heartbeat_times_check check (
        last_online_at between '1970-01-01Z' and '9999-12-31Z'
        and metrics_at between '1970-01-01Z' and '9999-12-31Z'
        and last_traffic_at between '1970-01-01Z' and '9999-12-31Z'
        and clock_skew_logged_at between '1970-01-01Z' and '9999-12-31Z'
    ) not valid,
    add constraint node_server_heartbeat_metrics_check check (
        cpu_percent between 0 and 100 and load1 between 0 and 1000000
        and memory_used_bytes >= 0 and memory_total_bytes >= 0 and disk_used_bytes >= 0 and disk_total_bytes >= 0
        and online_users >= 0 and uptime_seconds >= 0
        and upload_bytes_per_second >= 0 and download_bytes_per_second >= 0
    ) not valid;

alter table telecom.usage_report
    add constraint usage_report_times_check check (
        period_start between '1970-01-01Z' and '9999-12-31Z'
        and period_end between '1970-01-01Z' and '9999-12-31Z'
        and received_at between '1970-01-01Z' and '9999-12-31Z'
        and seen_at between '1970-01-01Z' and '9999-12-31Z'
    ) not valid;
