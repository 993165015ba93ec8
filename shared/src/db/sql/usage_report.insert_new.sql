/* usage_report.insert_new */
with reported as (
    select *
    from unnest(
        $1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[], $5::bytea[], $6::int[],
        $7::timestamptz[], $8::text[]
    ) as r (
        report_id, node_server_id, period_start, period_end, payload_hash, line_count,
        seen_at, sender_id
    )
), inserted as (
    insert into telecom.usage_report (
        report_id, node_server_id, period_start, period_end, payload_hash, line_count,
        seen_at, sender_id, received_at
    )
    select *, $9::timestamptz from reported
    on conflict do nothing
    returning report_id, node_server_id, seq
), inserted_under_our_id as (
    insert into telecom.usage_report (
        report_id, collector_report_id, node_server_id, period_start, period_end,
        payload_hash, line_count, seen_at, sender_id, received_at
    )
    select gen_random_uuid(), r.*, $9::timestamptz
    from reported r
    where not exists (
        select from inserted i
        where i.report_id = r.report_id and i.node_server_id = r.node_server_id
    )
    on conflict do nothing
    returning collector_report_id, node_server_id, seq
)
select report_id as "report_id!", node_server_id as "node_server_id!", seq as "seq!"
from inserted
union all
select collector_report_id, node_server_id, seq from inserted_under_our_id
