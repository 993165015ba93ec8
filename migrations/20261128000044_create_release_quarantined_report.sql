-- Releases a quarantined report for billing and returns the number of lines. The lines become a report of their own that
-- arrives now, and the next billing run bills them at the factors of their first arrival. Lines of a client that the server
-- did not have are billed at `factor`, without a client. A second call for the same report fails.
create function telecom.release_quarantined_report(
    usage_report_seq bigint, reason text, factor numeric default null, released_by text default session_user
) returns bigint
language plpgsql as $$
declare
    quarantined telecom.quarantined_report;
    new_seq     bigint;
    lines       bigint;
begin
    if coalesce(btrim(reason), '') = '' then
        raise exception 'a reason is required';
    end if;
    if factor not between 0 and 100 then
        raise exception 'a factor is from 0 to 100';
    end if;
    update telecom.quarantined_report r
    set released_at = now(), released_by = $4, release_reason = btrim($2)
    where r.usage_report_seq = $1 and r.released_at is null
    returning * into quarantined;
    if not found then
        raise exception 'there is no unreleased report % in quarantine', $1;
    end if;
    if factor is null and exists (
        select from telecom.quarantined_usage u where u.usage_report_seq = $1 and u.traffic_factor is null
    ) then
        raise exception 'report % has lines of unknown node clients: a factor is required', $1;
    end if;

    insert into telecom.usage_report (
        report_id, sender_id, node_server_id, period_start, period_end, seen_at, payload_hash, line_count, received_at)
    select gen_random_uuid(), quarantined.sender_id, quarantined.node_server_id, quarantined.period_start,
        quarantined.period_end, least(quarantined.period_end, quarantined.received_at), '', count(*), now()
    from telecom.quarantined_usage u
    where u.usage_report_seq = $1
    returning seq, line_count into new_seq, lines;

    insert into telecom.traffic_usage (
        usage_report_seq, received_at, upload_bytes, download_bytes, user_id, node_client_id, traffic_factor)
    select new_seq, now(), u.upload_bytes, u.download_bytes, u.user_id,
        case when u.traffic_factor is not null then u.node_client_id end, coalesce(u.traffic_factor, factor)
    from telecom.quarantined_usage u
    where u.usage_report_seq = $1;
    return lines;
end $$;

-- For administrators, who own the schema. No Lambda function needs it.
revoke execute on function telecom.release_quarantined_report from public;
