-- Roles and privileges. This script runs after the migrations, each time. A repeated run changes
-- nothing, and new tables are covered. Roles belong to the whole database server, which may have
-- several databases like this one.
--
-- telecom_reader         functions that read
-- telecom_secret_reader  functions that show configurations of servers or clients, which contain keys and passwords
-- telecom_writer         consumers and jobs
-- telecom_node           functions that serve node software and collectors
-- telecom_api            functions with which administrators change something, and the gRPC server
do $$
declare
    name text;
begin
    foreach name in array array['telecom_reader', 'telecom_secret_reader', 'telecom_writer', 'telecom_node', 'telecom_api'] loop
        begin
            execute format('create role %I', name);
        exception when duplicate_object or unique_violation then
            -- The migration of another database created the role.
        end;
        if to_regrole('rds_iam') is not null then
            -- On RDS each role is a login of its own, without a password, and the limits of a
            -- connection are set on the role.
            execute format('alter role %I login', name);
            execute format('alter role %I set statement_timeout = %L', name, '60s');
            execute format('alter role %I set idle_in_transaction_session_timeout = %L', name, '60s');
            execute format('grant rds_iam to %I', name);
        end if;
        if not (select rolsuper from pg_roles where rolname = current_user) then
            -- Elsewhere functions share one login, which switches to the role of its function.
            execute format('grant %I to current_user', name);
        end if;
    end loop;
end $$;

grant usage on schema telecom to telecom_reader, telecom_writer;

-- All tables can be read, except for configurations and the secrets of users. The columns of these
-- tables are listed, so that a new column is hidden until it is added here. Consumers and jobs do not read
-- the audit log.
do $$
declare
    relation regclass;
begin
    for relation in
        select oid from pg_class
        where relnamespace = 'telecom'::regnamespace and relkind in ('r', 'p', 'v', 'm')
            and relname not in ('node_server', 'node_client', 'node_user', 'online_address_salt', 'webhook')
    loop
        execute format('grant select on %s to telecom_reader', relation);
        if relation <> 'telecom.audit_entry'::regclass then
            execute format('grant select on %s to telecom_writer', relation);
        end if;
    end loop;
    -- Earlier versions granted this.
    revoke select on telecom.audit_entry from telecom_writer;
    -- Versions from before telecom_secret_reader read configurations as telecom_reader and
    -- telecom_writer. They run until the deployment has finished, and again after a rollback.
    -- Therefore only the run after the one that creates the role revokes this privilege. The
    -- check is on a privilege in this database, because the role may exist for another database.
    if exists (
        select from pg_attribute a, aclexplode(a.attacl) g
        where a.attrelid = 'telecom.node_server'::regclass and a.attname = 'server_config'
            and g.grantee = 'telecom_secret_reader'::regrole
    ) then
        revoke select on telecom.node_server, telecom.node_client from telecom_reader, telecom_writer;
    end if;
end $$;
grant select (id, name, compatibility, status, revision, archived_at, created_at, updated_at) on telecom.node_server
    to telecom_reader, telecom_writer;
grant select (
    id, node_server_id, name, traffic_factor, display_order, speed_limit_bits_per_second, country, location, route_class,
    access_groups, revision, archived_at, created_at, updated_at
) on telecom.node_client to telecom_reader, telecom_writer;

grant select (user_id, number, created_at, updated_at) on telecom.node_user to telecom_reader, telecom_writer;
grant select (only_row) on telecom.online_address_salt to telecom_reader, telecom_writer;
grant select (id, url, description, event_types, previous_secret_until, created_at, disabled_at, disabled_by)
    on telecom.webhook to telecom_reader, telecom_writer;

grant telecom_reader to telecom_secret_reader;
grant select (secret) on telecom.node_user to telecom_secret_reader;
grant select (server_config) on telecom.node_server to telecom_secret_reader;
grant select (client_config) on telecom.node_client to telecom_secret_reader;

-- Only the columns that statements of shared/src/db write. Consumers and jobs write no packages and
-- node clients, add or delete no servers, and delete no items. Table-wide privileges that earlier versions
-- granted are revoked first.
revoke insert, update, delete on all tables in schema telecom from telecom_writer;

grant update (status) on telecom.node_server to telecom_writer, telecom_api;
grant
    update (
        status, upload_bytes, download_bytes, announced_percent, expiring_event_at, activated_at, expires_at, ended_at,
        end_reason, extended_seconds, notice_due_at, noticed_hours, noticed_expires_at
    )
    on telecom.package_queue to telecom_writer;
-- What orders and their cancellations write, from the queue and from administrators.
grant insert (user_id, package_id, by_order, created_at) on telecom.package_queue to telecom_writer, telecom_api;
grant insert (order_id, user_id, series, amount, package_id, received_at, cancelled_at), update (cancelled_at)
    on telecom.package_order to telecom_writer, telecom_api;
-- To fold counts. Changes of items are counted by triggers, which act as the owner of the table.
grant insert (package_id, status, items), delete on telecom.package_queue_count to telecom_writer;

grant
    insert (
        report_id, collector_report_id, node_server_id, period_start, period_end, payload_hash, line_count, seen_at, sender_id, trace,
        received_at
    ),
    update (billing_run_id), delete
    on telecom.usage_report to telecom_writer;
grant
    insert (
        usage_report_seq, received_at, upload_bytes, download_bytes, user_id, node_client_id, traffic_factor
    )
    on telecom.traffic_usage to telecom_writer;
grant
    insert (
        user_id, bucket_start, node_server_id, node_client_id, package_queue_id, raw_upload_bytes, raw_download_bytes,
        billed_upload_bytes, billed_download_bytes, uncharged_at
    ),
    update (raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes, uncharged_at), delete
    on telecom.user_package_usage to telecom_writer;
-- Sums of hourly usage. A lock of usage_summary, which the job takes to close a day, requires a privilege on the table.
grant
    insert (
        bucket_start, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
        billed_download_bytes
    ), delete
    on telecom.node_usage_delta to telecom_writer;
grant
    insert (
        bucket_start, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
        billed_download_bytes
    ),
    update (raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes), delete
    on telecom.node_usage_hourly to telecom_writer;
grant
    insert (
        day, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
        billed_download_bytes
    ),
    update (raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes), delete
    on telecom.node_usage_daily to telecom_writer;
grant
    insert (
        user_id, day, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
        billed_download_bytes
    ), delete
    on telecom.late_user_usage to telecom_writer;
grant
    insert (
        user_id, day, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
        billed_download_bytes
    ),
    update (raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes), delete
    on telecom.user_usage_daily to telecom_writer;
grant update on telecom.usage_summary to telecom_writer;
grant
    insert (
        range, user_id, billed_rank, raw_rank, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
        billed_download_bytes
    ), delete
    on telecom.top_user to telecom_writer;
grant insert (range, period_start, refreshed_at, seconds, users), update (period_start, refreshed_at, seconds, users)
    on telecom.top_user_refresh to telecom_writer;
grant
    insert (usage_report_seq, report_id, node_server_id, sender_id, period_start, period_end, received_at, reason), delete
    on telecom.quarantined_report to telecom_writer;
grant
    insert (usage_report_seq, upload_bytes, download_bytes, user_id, node_client_id, traffic_factor), delete
    on telecom.quarantined_usage to telecom_writer;
grant
    insert (
        bucket_start, billing_run_id, raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes
    ), delete
    on telecom.accepted_usage to telecom_writer;
grant update (hour_cursor, item_cursor, run_cursor) on telecom.reconciliation to telecom_writer;
grant
    insert (
        kind, bucket_start, package_queue_id, billing_run_id, user_id, raw_upload_bytes, raw_download_bytes,
        billed_upload_bytes, billed_download_bytes, found_at, first_found_at
    ),
    update (
        raw_upload_bytes, raw_download_bytes, billed_upload_bytes, billed_download_bytes, found_at, accepted_reason
    ),
    delete
    on telecom.usage_drift to telecom_writer;
grant insert (id, payload_hash, event_count, applied_at), delete on telecom.billing_batch to telecom_writer;
grant
    insert (
        id, claimed_at, report_count, event_count, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
        billed_download_bytes
    ), delete
    on telecom.billing_run to telecom_writer;
grant
    insert (
        user_id, bucket_start, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
        billed_download_bytes, reason, parked_at, retry_at
    ),
    update (reason, attempts, retry_at), delete
    on telecom.parked_event to telecom_writer;
grant
    insert (
        id, job, request_id, started_at, deadline_at, ended_at, outcome, error_code, counts, lag_seconds
    ),
    update (ended_at, outcome, error_code, counts, lag_seconds), delete
    on telecom.job_run to telecom_writer;
grant
    insert (queue, message_id, error_code, reason, first_failed_at, last_failed_at),
    update (error_code, reason, attempts, last_failed_at), delete
    on telecom.rejected_message to telecom_writer;
grant insert (queue, message_count, counted_at), update (message_count, counted_at)
    on telecom.dead_letter_queue to telecom_writer;
grant insert (id, destination, detail_type, body, trace, created_at, send_after) on telecom.outbox
    to telecom_writer, telecom_api;
grant update (send_after, attempts, last_error), delete on telecom.outbox to telecom_writer;

grant
    insert (
        node_server_id, last_online_at, metrics_at, cpu_percent, memory_used_bytes, memory_total_bytes, disk_used_bytes,
        disk_total_bytes, load1, online_users, uptime_seconds, upload_bytes_per_second, download_bytes_per_second,
        last_traffic_at, clock_skew_seconds, clock_skew_logged_at
    ),
    update (
        last_online_at, metrics_at, cpu_percent, memory_used_bytes, memory_total_bytes, disk_used_bytes, disk_total_bytes,
        load1, online_users, uptime_seconds, upload_bytes_per_second, download_bytes_per_second, last_traffic_at,
        clock_skew_seconds, clock_skew_logged_at
    )
    on telecom.node_server_heartbeat to telecom_writer, telecom_node;
grant
    insert (
        node_server_id, hour, samples, cpu_percent_samples, cpu_percent_sum, cpu_percent_max, memory_used_samples,
        memory_used_bytes_sum, memory_used_bytes_max, memory_total_bytes_max, disk_used_samples, disk_used_bytes_sum,
        disk_used_bytes_max, disk_total_bytes_max, load1_samples, load1_sum, load1_max, online_users_samples,
        online_users_sum, online_users_max, upload_samples, upload_bytes_per_second_sum, upload_bytes_per_second_max,
        download_samples, download_bytes_per_second_sum, download_bytes_per_second_max
    ),
    update (
        samples, cpu_percent_samples, cpu_percent_sum, cpu_percent_max, memory_used_samples,
        memory_used_bytes_sum, memory_used_bytes_max, memory_total_bytes_max, disk_used_samples, disk_used_bytes_sum,
        disk_used_bytes_max, disk_total_bytes_max, load1_samples, load1_sum, load1_max, online_users_samples,
        online_users_sum, online_users_max, upload_samples, upload_bytes_per_second_sum, upload_bytes_per_second_max,
        download_samples, download_bytes_per_second_sum, download_bytes_per_second_max
    )
    on telecom.node_server_metrics_hourly to telecom_writer, telecom_node;
grant delete on telecom.node_server_metrics_hourly to telecom_writer;
grant
    insert (
        node_access_id, node_client_id, body_hash, push_id, first_arrived_at, last_arrived_at, arrivals
    ),
    update (first_arrived_at, last_arrived_at, arrivals), delete
    on telecom.node_push to telecom_writer;
grant
    insert (node_access_id, node_client_id, part),
    update (
        push_id, arrived_at, was_late, was_repeated, traffic_factor, user_numbers, upload_bytes, download_bytes
    ), delete
    on telecom.last_node_push to telecom_writer;
grant
    insert (
        push_id, doubt, node_access_id, node_server_id, node_client_id, arrived_at, previous_push_id, evidence,
        user_numbers, upload_bytes, download_bytes, total_bytes, traffic_factor, unreadable, unreadable_rows
    ), delete
    on telecom.doubtful_push to telecom_writer;
grant delete on telecom.online_address to telecom_writer;
-- Deliveries to webhooks. The secrets that sign them are encrypted.
grant select (sealed_secret, sealed_previous_secret), update (disabled_at, disabled_by) on telecom.webhook
    to telecom_writer;
grant
    insert (webhook_id, event_id, event_type, body, created_at, due_at, retry_until),
    update (status, attempts, last_attempt_at, due_at, claimed_until, response_status, failure), delete
    on telecom.webhook_delivery to telecom_writer;
-- To fold the changes of user lists, which triggers count as the owner of the table.
grant insert (available_group, changes), delete on telecom.user_list_change to telecom_writer;
grant insert (node_server_id, status, created_at), delete on telecom.node_status_history to telecom_writer;
grant
    insert (node_server_id, from_status, to_status, since, until, detected_at, actor_user_id, reason), delete
    on telecom.node_status_transition to telecom_writer, telecom_api;
grant insert (since, until), update (until), delete on telecom.collection_outage to telecom_writer;
grant update (ran_at, heard_from, unjudged_from, is_settled) on telecom.node_status_watch to telecom_writer;
grant update (open_from, kept_from) on telecom.node_status_seal to telecom_writer;

-- What node software receives, and what it reports beside usage.
grant telecom_secret_reader to telecom_node;
grant select (salt) on telecom.online_address_salt to telecom_node;
grant insert, update (seen_at) on telecom.online_address to telecom_node;

grant telecom_secret_reader to telecom_api;
-- What administrators change. `set-node-server-maintenance` needs `node_status_transition`, above.
grant insert (actor_user_id, idempotency_key, request_hash, created_at), update (answer)
    on telecom.answered_call to telecom_api;
grant
    insert (id, name, compatibility, server_config, created_at, updated_at),
    update (name, compatibility, server_config, archived_at)
    on telecom.node_server to telecom_api;
grant
    insert (
        id, node_server_id, name, traffic_factor, display_order, speed_limit_bits_per_second, country, location,
        route_class, access_groups, client_config, created_at, updated_at
    ),
    update (
        node_server_id, name, traffic_factor, display_order, speed_limit_bits_per_second, country, location,
        route_class, access_groups, client_config, archived_at
    )
    on telecom.node_client to telecom_api;
grant usage on sequence telecom.node_server_id_seq, telecom.node_client_id_seq to telecom_api;
grant
    insert (
        series, version, name, available_group, max_client_number, expire_duration_seconds, traffic_limit_bytes,
        created_at
    ),
    update (is_master, retired_at)
    on telecom.package to telecom_api;
grant
    update (
        status, upload_bytes, download_bytes, adjust_quota_bytes, activated_at, expires_at, ended_at, end_reason,
        extended_seconds
    )
    on telecom.package_queue to telecom_api;
-- Corrections change billed bytes only. Raw bytes are what nodes reported.
grant
    insert (
        user_id, bucket_start, node_server_id, node_client_id, package_queue_id, raw_upload_bytes, raw_download_bytes,
        billed_upload_bytes, billed_download_bytes
    ),
    update (billed_upload_bytes, billed_download_bytes)
    on telecom.user_package_usage to telecom_api;
grant
    insert (
        user_id, bucket_start, node_server_id, node_client_id, package_queue_id, billed_upload_bytes,
        billed_download_bytes, corrected_at, actor_user_id, reason
    )
    on telecom.usage_correction to telecom_api;
grant
    insert (
        bucket_start, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
        billed_download_bytes
    )
    on telecom.node_usage_delta to telecom_api;
grant
    insert (
        user_id, day, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes, billed_upload_bytes,
        billed_download_bytes
    )
    on telecom.late_user_usage to telecom_api;
grant delete on telecom.usage_correction to telecom_writer;
grant update (retry_at) on telecom.parked_event to telecom_api;
grant insert (
    id, created_at, actor_user_id, request_id, available_group, series, hours, reason, item_count
) on telecom.package_extension to telecom_api;
grant insert (user_id, secret, updated_at), update (secret, updated_at) on telecom.node_user to telecom_api;
grant
    insert (
        token_hash, protocol, software, node_server_id, node_client_id, allowed_networks, interval_seconds,
        client_timeout_seconds, created_at
    ),
    update (revoked_at)
    on telecom.node_access to telecom_api;
grant update (decision, decided_at) on telecom.doubtful_push to telecom_api;
-- A release adds the quarantined lines as a report of its own.
grant update (released_at, released_by, release_reason) on telecom.quarantined_report to telecom_api;
grant
    insert (
        report_id, node_server_id, period_start, period_end, payload_hash, line_count, seen_at, sender_id, trace, received_at
    )
    on telecom.usage_report to telecom_api;
grant
    insert (
        usage_report_seq, received_at, upload_bytes, download_bytes, user_id, node_client_id, traffic_factor
    )
    on telecom.traffic_usage to telecom_api;
grant
    insert (id, url, description, event_types, sealed_secret, created_at),
    update (sealed_secret, sealed_previous_secret, previous_secret_until, disabled_at, disabled_by),
    select (sealed_secret, sealed_previous_secret)
    on telecom.webhook to telecom_api;
grant update (status, attempts, due_at, retry_until) on telecom.webhook_delivery to telecom_api;
grant delete on telecom.answered_call to telecom_writer;
grant update (last_package_id, last_item_id, extended_count, completed_at), delete on telecom.package_extension
    to telecom_writer;
-- Each audited API call inserts its own audit entry. No function changes an entry. `list-audit-entries` reads them as
-- telecom_reader.
grant insert (created_at, actor_user_id, request_id, action, target_kind, target_id, before, after, reason)
    on telecom.audit_entry to telecom_secret_reader, telecom_writer;
grant execute on all functions in schema telecom to telecom_writer;
-- Only administrators may release quarantined reports for billing: by a call, which is audited, or as the owner of the schema.
revoke execute on function telecom.release_quarantined_report from telecom_writer;
