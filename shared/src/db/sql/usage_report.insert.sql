/* usage_report.insert */
insert into telecom.usage_report (
    report_id, collector_report_id,
    node_server_id, period_start, period_end, payload_hash, line_count, seen_at, sender_id,
    trace, received_at
)
select
    case when $10 then gen_random_uuid() else r.report_id end,
    case when $10 then r.report_id end,
    r.node_server_id, r.period_start, r.period_end, r.payload_hash, r.line_count, r.seen_at,
    r.sender_id, r.trace, $9
from unnest(
    $1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[], $5::bytea[], $6::int[],
    $7::timestamptz[], $8::text[], $11::text[]
) as r (
    report_id, node_server_id, period_start, period_end, payload_hash, line_count, seen_at,
    sender_id, trace
)
on conflict do nothing
returning coalesce(collector_report_id, report_id) as "report_id!", node_server_id, seq
